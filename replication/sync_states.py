"""The memory of what the targets hold."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from replication.bulk import insert_rows
from replication.in_step import Put
from replication.models import SyncState

_COLUMNS = ("endpoint", "repository", "tag", "digest", "source_digest", "selection", "put_at", "verified_at")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """A tag that was just seen, or put, at a place; `source_digest` and `selection` as in `Put`."""

    endpoint_id: int
    repository: str
    tag: str
    digest: str
    source_digest: str = ""
    selection: str = ""


def puts_of(endpoint_id: int | None, repository: str, meant: Q | None = None) -> dict[str, Put]:
    """Return `{tag: what was put there}` of a place; what was seen lately enough is trusted. `meant` narrows it."""
    rows = SyncState.objects.filter(endpoint=endpoint_id, repository=repository)
    return {tag: put for _, tag, put in _puts(rows.filter(meant) if meant is not None else rows)}


def _puts(rows: QuerySet[SyncState]) -> Iterable[tuple[str, str, Put]]:
    """Return repository, tag and what was put there."""
    since = timezone.now() - timedelta(hours=settings.VERIFY_HOURS)
    columns = rows.values_list("repository", "tag", "digest", "source_digest", "selection", "verified_at")
    return [
        (repository, tag, Put(digest, source_digest, selection, is_trusted=verified_at >= since))
        for repository, tag, digest, source_digest, selection, verified_at in columns
    ]


def knows_repository(endpoint_id: int | None, repository: str) -> bool:
    """Say whether anything was ever known of the place."""
    return SyncState.objects.filter(endpoint=endpoint_id, repository=repository).exists()


def remember(endpoint_id: int | None, repository: str, puts: Mapping[str, Put], *, known: Mapping[str, Put]) -> None:
    """Note that the place was just seen to hold `{tag: put}`; what is `known` and trusted is not written again."""
    if endpoint_id is None:
        return
    remember_all(
        Seen(endpoint_id, repository, tag, put.digest, put.source_digest, put.selection)
        for tag, put in puts.items()
        if known.get(tag) != replace(put, is_trusted=True)
    )


def with_origins(digests: Mapping[str, str], known: Mapping[str, Put]) -> dict[str, Put]:
    """Return `{tag: put}` for what a source was seen to hold; of a digest that we put there its origin stays."""
    return {
        tag: known[tag] if tag in known and known[tag].digest == digest else Put(digest)
        for tag, digest in digests.items()
    }


def origins_kept(seen: Collection[Seen]) -> list[Seen]:
    """Return what was seen at one place, with the origins that its digests are known to have there. One query."""
    names = {each.repository for each in seen}, {each.tag for each in seen}
    places = {each.endpoint_id for each in seen}
    rows = SyncState.objects.filter(endpoint__in=places, repository__in=names[0], tag__in=names[1])
    known = {(repository, tag, put.digest): put for repository, tag, put in _puts(rows.exclude(selection=""))}
    kept = []
    for each in seen:
        put = known.get((each.repository, each.tag, each.digest))
        kept.append(replace(each, source_digest=put.source_digest, selection=put.selection) if put else each)
    return kept


def remember_all(seen: Iterable[Seen]) -> None:
    """Note what was just seen, in one order for all workers so that they cannot lock each other out."""
    now = timezone.now()
    latest = {(each.endpoint_id, each.repository, each.tag): each for each in seen}
    rows = [
        (each.endpoint_id, each.repository, each.tag, each.digest, each.source_digest, each.selection, now, now)
        for each in sorted(latest.values())
    ]
    insert_rows(SyncState, _COLUMNS, rows, unique=_COLUMNS[:3])


def forget(endpoint_id: int | None, repository: str, tags: Collection[str]) -> None:
    """Note that the target no longer holds these tags by us."""
    SyncState.objects.filter(endpoint=endpoint_id, repository=repository, tag__in=tags).delete()


def doubt(endpoint_id: int, repository: str, *, tag: str = "", digest: str = "") -> None:
    """Note that somebody else changed the tag (or whatever has the digest) there: what we knew is to be asked again."""
    rows = SyncState.objects.filter(endpoint_id=endpoint_id, repository=repository)
    rows = rows.filter(tag=tag).exclude(digest=digest) if tag else rows.filter(digest=digest)
    rows.update(verified_at=LONG_AGO)
