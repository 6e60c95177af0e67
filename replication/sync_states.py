"""The memory of what the targets hold."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.utils import timezone

from replication.models import SyncState

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """A tag that was just seen, or put, at a place."""

    endpoint_id: int
    repository: str
    tag: str
    digest: str


def trusted_digests(endpoint_id: int | None, repository: str) -> dict[str, str]:
    """Return `{tag: digest}` of what the place was seen to hold lately enough to be believed without asking."""
    since = timezone.now() - timedelta(hours=settings.VERIFY_HOURS)
    rows = SyncState.objects.filter(endpoint=endpoint_id, repository=repository, verified_at__gte=since)
    return dict(rows.values_list("tag", "digest"))


def knows_repository(endpoint_id: int | None, repository: str) -> bool:
    """Say whether anything was ever known of the place."""
    return SyncState.objects.filter(endpoint=endpoint_id, repository=repository).exists()


def remember(
    endpoint_id: int | None, repository: str, digests: Mapping[str, str], *, known: Mapping[str, str] | None = None
) -> None:
    """Note that the place was just seen to hold `{tag: digest}`; what is `known` already is not written again."""
    if endpoint_id is None:
        return
    known = known or {}
    remember_all(
        Seen(endpoint_id, repository, tag, digest) for tag, digest in digests.items() if known.get(tag) != digest
    )


def remember_all(seen: Iterable[Seen]) -> None:
    """Note what was just seen, in one order for all workers so that they cannot lock each other out."""
    now = timezone.now()
    latest = {(each.endpoint_id, each.repository, each.tag): each for each in seen}
    rows = [
        SyncState(
            endpoint_id=each.endpoint_id,
            repository=each.repository,
            tag=each.tag,
            digest=each.digest,
            put_at=now,
            verified_at=now,
        )
        for each in sorted(latest.values())
    ]
    if not rows:
        return
    SyncState.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["endpoint", "repository", "tag"],
        update_fields=["digest", "put_at", "verified_at"],
    )


def forget(endpoint_id: int | None, repository: str, tags: Collection[str]) -> None:
    """Note that the target no longer holds these tags by us."""
    SyncState.objects.filter(endpoint=endpoint_id, repository=repository, tag__in=tags).delete()


def doubt(endpoint_id: int, repository: str, *, tag: str = "", digest: str = "") -> None:
    """Note that somebody else changed the tag (or whatever has the digest) there: what we knew is to be asked again."""
    rows = SyncState.objects.filter(endpoint_id=endpoint_id, repository=repository)
    rows = rows.filter(tag=tag).exclude(digest=digest) if tag else rows.filter(digest=digest)
    rows.update(verified_at=LONG_AGO)
