"""The memory of which referrers were carried over to the targets."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from operator import itemgetter

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from registry import CopyResult
from registry.companions import read_companion_tag
from replication.companions import Carried, Versions
from replication.models import ReferrerState, SyncState, Task, Transfer
from replication.plan import Scope

_Key = tuple[int, str, str]
"""Endpoint, repository, digest."""


def recall(task: Task, *, verify: bool) -> Carried:
    """Return what was carried over to a task's target; of a scope only what it may be about. Two queries.

    Nothing where that is to be verified: then all is carried over again, and the copy asks for what is there.
    """
    if verify:
        return Carried()
    rows = ReferrerState.objects.filter(endpoint=task.target_id, repository=task.target_repository)
    if task.scope is not None:
        rows = rows.filter(_concerned(task, Scope.from_json(task.scope)))
    since = timezone.now() - timedelta(hours=settings.VERIFY_HOURS)
    found = list(rows.values_list("digest", "versions", "checked_at"))
    due = frozenset(digest for digest, _, checked_at in found if checked_at < since)
    return Carried({digest: versions for digest, versions, _ in found}, due)


def _concerned(task: Task, scope: Scope) -> Q:
    there = SyncState.objects.filter(endpoint=task.target_id, repository=task.target_repository, tag__in=scope.tags)
    concerned = Q(digest__in=there.values("digest"))
    for tag in scope.tags:
        companion = read_companion_tag(tag)
        if companion is not None and companion.subject:
            concerned |= Q(versions__has_key=companion.subject)
    return concerned


def remember_referrers(task: Task, seen: Mapping[str, Versions]) -> None:
    """Note `{digest: {subject: version}}` as found in step at a task's target."""
    if task.target_id is not None:
        _store({(task.target_id, task.target_repository, digest): versions for digest, versions in seen.items()})


def remember_copied(copied: Iterable[tuple[Transfer, CopyResult]]) -> None:
    """Note what copies took along, where there is something to know: children, or anything that refers to them."""
    rows: dict[_Key, Versions] = {}
    for transfer, result in copied:
        task, versions = transfer.task, result.referrer_versions
        if task.target_id is None or not (len(versions) > 1 or any(versions.values())):
            continue
        rows[task.target_id, task.target_repository, transfer.digest] = versions
        if transfer.is_of_referrers:
            rows |= _families(task, transfer.digest, versions)
    _store(rows)


def _families(task: Task, digest: str, versions: Versions) -> dict[_Key, Versions]:
    """Return what is kept of the indexes that a child belongs to with its new versions, or they would be news again."""
    rows = ReferrerState.objects.filter(
        endpoint=task.target_id, repository=task.target_repository, versions__has_key=digest
    )
    return {
        (row.endpoint_id, row.repository, row.digest): {**row.versions, **versions}
        for row in rows.exclude(digest=digest)
    }


def _store(rows: Mapping[_Key, Versions]) -> None:
    """Write in one order for all workers, so that they cannot lock each other out."""
    if not rows:
        return
    now = timezone.now()
    ReferrerState.objects.bulk_create(
        [
            ReferrerState(
                endpoint_id=endpoint_id, repository=repository, digest=digest, versions=dict(versions), checked_at=now
            )
            for (endpoint_id, repository, digest), versions in sorted(rows.items(), key=itemgetter(0))
        ],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["endpoint", "repository", "digest"],
        update_fields=["versions", "checked_at"],
    )


def known_tags(task: Task) -> frozenset[str] | None:
    """Return the source's fallback tags as planning saw them; None when it did not list them."""
    return None if task.referrer_tags is None else frozenset(task.referrer_tags)
