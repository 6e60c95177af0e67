"""Inbound notifications of registries: Docker distribution's envelope.

Source: distribution documentation, "Work with notifications": `{"events": [{"id", "action", "target": {"mediaType",
"digest", "repository", "tag"}, "request": {"useragent"}, …}]}`. Delivery is at least once, order is not guaranteed,
blobs are announced too, and a deletion by digest names no tag.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from harborsync.lib.installation import is_own_user_agent
from registry.media import MANIFEST_TYPES
from registry.reference import is_digest, is_repository_name, is_tag
from replication.models import Event
from replication.services.events import ring_for_events
from targets.models import Endpoint

MAX_ID_LENGTH = 128
ACTIONS = {"push": Event.Action.PUSH, "mount": Event.Action.PUSH, "delete": Event.Action.DELETE}


class EnvelopeError(ValueError):
    """The body is no envelope; the text says what one looks like."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What became of an envelope's events."""

    stored: int
    ignored: int


def accept_notification(endpoint: Endpoint, envelope: object) -> Acceptance:
    """Store the events that matter, before anything else is done with them. Raises EnvelopeError."""
    if not isinstance(envelope, Mapping) or not isinstance(envelope.get("events"), list):
        raise EnvelopeError('The body must be a JSON object with a list of events: {"events": [...]}.')
    events = [event for item in envelope["events"] if (event := read_event(endpoint, item)) is not None]
    with transaction.atomic():
        Event.objects.bulk_create(events, ignore_conflicts=True)
        if events:
            ring_for_events()
    return Acceptance(stored=len(events), ignored=len(envelope["events"]) - len(events))


def read_event(endpoint: Endpoint, item: object) -> Event | None:
    """Return the event as a row, or None when it is of no concern: a blob, a pull, our own write, or nonsense."""
    action = ACTIONS.get(_text(item.get("action"))) if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or action is None:
        return None
    if is_own_user_agent(_text(_object(item, "request").get("useragent"))):
        return None
    target = _object(item, "target")
    repository, tag, digest = (_text(target.get(key)) for key in ("repository", "tag", "digest"))
    if not is_repository_name(repository) or (tag and not is_tag(tag)) or (digest and not is_digest(digest)):
        return None
    if action == Event.Action.PUSH and not (tag and _text(target.get("mediaType")) in MANIFEST_TYPES):
        # Layers are announced too; a child of an index comes without a tag, and the tagged index comes last.
        return None
    if action == Event.Action.DELETE and not (tag or digest):
        return None
    source_id = _text(item.get("id"))[:MAX_ID_LENGTH]
    if not source_id:
        return None
    return Event(
        endpoint=endpoint,
        source_id=source_id,
        action=action,
        repository=repository,
        tag=tag,
        digest=digest,
        raw=_kept(item, target),
    )


def _kept(item: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the raw event is worth keeping for people who look into it later."""
    request, actor = _object(item, "request"), _object(item, "actor")
    return {
        "timestamp": _text(item.get("timestamp"))[:64],
        "media_type": _text(target.get("mediaType"))[:255],
        "user_agent": _text(request.get("useragent"))[:255],
        "address": _text(request.get("addr"))[:64],
        "actor": _text(actor.get("name"))[:255],
    }


def _object(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = item.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    """Return a string without NUL (PostgreSQL cannot store it); anything else is no text."""
    return value.replace("\0", "") if isinstance(value, str) else ""
