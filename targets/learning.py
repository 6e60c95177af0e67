"""What registries taught this process, kept in their rows for all others (`registry.learning`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from registry import Connection
from registry.learning import learned_document, learned_from
from targets.models import Endpoint

# When the first of the things in a row was learned, and how long they are believed from then on.
LEARNED_AT = "learned_at"
BELIEVED_FOR = timedelta(days=30)


@dataclass
class Lesson:
    """What one connection learns, and what its row was last seen to have of it."""

    endpoint_id: int
    connection: Connection
    stored: dict[str, Any] = field(default_factory=dict)

    def follow(self, capabilities: Mapping[str, Any]) -> None:
        """Let the connection know what changed in its row: what others learned, and what is to be forgotten."""
        known = learned_from(_believed(capabilities))
        document = learned_document(known)
        for name in document.keys() | self.stored.keys():
            if document.get(name) != self.stored.get(name):
                setattr(self.connection.learned, name, getattr(known, name))
        self.stored = document

    def keep(self) -> None:
        """Write what is new into the row. No query while there is nothing new."""
        document = learned_document(self.connection.learned)
        if document != self.stored:
            self._store(document)
            self.stored = document

    def _store(self, document: Mapping[str, Any]) -> None:
        """Add it to what other workers wrote; not when the row has another address by now."""
        with transaction.atomic():
            rows = Endpoint.objects.select_for_update()
            row = rows.filter(pk=self.endpoint_id, url=self.connection.settings.url).first()
            if row is None:
                return
            old = _believed(row.capabilities)
            left = {name: value for name, value in old.items() if name in document or name not in self.stored}
            new = {name: value for name, value in document.items() if self.stored.get(name) != value}
            since = {LEARNED_AT: old.get(LEARNED_AT, timezone.now().isoformat())}
            Endpoint.objects.filter(pk=row.pk).update(capabilities={**left, **new, **since})


def _believed(capabilities: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what was learned, nothing when it is old: registries are upgraded, and proxies before them changed."""
    learned_at = parse_datetime(str(capabilities.get(LEARNED_AT, "")))
    is_old = learned_at is not None and timezone.now() - learned_at > BELIEVED_FOR
    return {} if is_old else capabilities
