"""The memory of what the targets hold."""

from collections.abc import Collection, Mapping

from django.utils import timezone

from replication.models import SyncState


def known_digests(endpoint_id: int | None, repository: str, tags: Collection[str]) -> dict[str, str]:
    """Return `{tag: digest}` of what we know of these tags there."""
    rows = SyncState.objects.filter(endpoint=endpoint_id, repository=repository)
    return {tag: digest for tag, digest in rows.values_list("tag", "digest") if tag in tags}


def remember(
    endpoint_id: int | None, repository: str, digests: Mapping[str, str], *, known: Mapping[str, str] | None = None
) -> None:
    """Note that the target holds `{tag: digest}`; what is `known` already is not written again."""
    if endpoint_id is None:
        return
    known = known or {}
    now = timezone.now()
    rows = [
        SyncState(endpoint_id=endpoint_id, repository=repository, tag=tag, digest=digest, put_at=now)
        for tag, digest in sorted(digests.items())
        if known.get(tag) != digest
    ]
    SyncState.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["endpoint", "repository", "tag"],
        update_fields=["digest", "put_at"],
    )


def forget(endpoint_id: int | None, repository: str, tags: Collection[str]) -> None:
    """Note that the target no longer holds these tags by us."""
    SyncState.objects.filter(endpoint=endpoint_id, repository=repository, tag__in=tags).delete()
