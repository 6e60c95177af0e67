"""What is asked of registries to carry out a rule. No database, no framework: clients in, values out."""

from collections.abc import Iterable, Iterator, Sequence

from registry import CopyOptions, Pace, RegistryClient
from replication.engine.asking import Place
from replication.engine.comparing import (
    Comparison,
    ReferrerNews,
    SourceView,
    compare,
    tags_in_step,
)
from replication.filters import FilterSpec, accepts_repository, named_repositories

__all__ = [
    "Comparison",
    "Place",
    "ReferrerNews",
    "SourceView",
    "compare",
    "copy_options",
    "in_batches",
    "list_repositories",
    "tags_in_step",
]

CHUNK_BYTES = 10 * 1024 * 1024


def list_repositories(client: RegistryClient, filters: Sequence[FilterSpec], *, namespace: str) -> Iterator[str]:
    """Yield the source's repositories that a rule takes.

    One request per page of the catalogue; none where the rule names its repositories outright. Raises RegistryError.
    """
    named = named_repositories(filters, namespace=namespace)
    if named is not None:
        yield from named
        return
    for repository in client.repositories():
        if accepts_repository(filters, repository, namespace=namespace):
            yield repository


def copy_options(*, copy_by_chunk: bool, referrers: bool, pace: Pace | None) -> CopyOptions:
    """Return the engine's options for a rule's wishes; ``pace`` is that of all its copies together."""
    return CopyOptions(
        chunk_bytes=CHUNK_BYTES if copy_by_chunk else None,
        pace=pace,
        referrers=referrers,
    )


def in_batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the items in lists of `size`, the last one shorter."""
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
