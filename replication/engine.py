"""What is asked of registries to carry out a rule. No database, no framework: clients in, values out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from registry import CopyOptions, NotFoundError, RegistryClient, RegistryError
from registry.media import DOCKER_CONFIG, OCI_CONFIG, SCHEMA1_TYPES, Manifest
from replication.filters import FilterSpec, accepts_repository, accepts_tag, named_repositories, wanted_resource

Answer = TypeVar("Answer")

# Small requests in flight at once for one repository (peers' engines use 3 to 16).
PARALLEL_HEADS = 8
# Above this many tags one listing of the target is cheaper than asking for each.
FEW_TAGS = 3
CHUNK_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceView:
    """What a source repository has: `{tag: digest}`, and the tags that were asked for and are not there."""

    digests: Mapping[str, str]
    missing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """A repository in a registry, and the client to talk to it with."""

    client: RegistryClient
    repository: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides of one repository: the source, and for each target (by key) its `{tag: digest}` or what went wrong."""

    source: SourceView
    targets: Mapping[int, Mapping[str, str] | RegistryError]


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


def compare(
    source: Place,
    targets: Mapping[int, Place],
    *,
    filters: Sequence[FilterSpec],
    tags: Sequence[str] | None,
    known: Mapping[int, Mapping[str, str]],
) -> Comparison:
    """Look at a repository at the source and at its targets.

    `tags` limits the look to those tags, and to those of `known` (per target `{tag: digest}`), which are then looked
    at there whatever the source has. Without `tags` what is `known` of a target is believed where it agrees with the
    source and the target lists the tag. One request per tag at the source, one per tag that is not known at the
    target, and one listing per side. Raises RegistryError when the source cannot be read; a target that cannot be read
    stands in the result with its error.
    """
    view = look_at_source(source, filters=filters, tags=tags)
    found: dict[int, Mapping[str, str] | RegistryError] = {}
    for key, place in targets.items():
        try:
            if tags is None:
                found[key] = look_at_target(place, sorted(view.digests), believed=_agreed(view, known[key]))
            else:
                found[key] = look_at_target(place, sorted({*view.digests, *known[key]}))
        except RegistryError as error:
            found[key] = error
    return Comparison(view, found)


def look_at_source(place: Place, *, filters: Sequence[FilterSpec], tags: Sequence[str] | None) -> SourceView:
    """Return the digests of the tags that pass the filters. A repository that is not there has no tags."""
    if tags is None:
        try:
            tags = place.client.tags(place.repository)
        except NotFoundError:
            tags = []
    wanted = [tag for tag in tags if accepts_tag(filters, tag)]
    digests = _digests(place, wanted)
    missing = frozenset(wanted) - digests.keys()
    kind = wanted_resource(filters)
    if kind:
        digests = _only(place, digests, kind)
    return SourceView(digests, missing)


def _agreed(view: SourceView, known: Mapping[str, str]) -> dict[str, str]:
    """Return what is known of a target where it is what the source has."""
    return {tag: digest for tag, digest in view.digests.items() if known.get(tag) == digest}


def look_at_target(place: Place, tags: Sequence[str], *, believed: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return `{tag: digest}` for those of `tags` that the target has; a believed digest is not asked for."""
    believed = believed or {}
    if len(tags) > FEW_TAGS or believed:
        try:
            existing = set(place.client.tags(place.repository))
        except NotFoundError:
            return {}
        tags = [tag for tag in tags if tag in existing]
    seen = {tag: believed[tag] for tag in tags if tag in believed}
    return seen | _digests(place, [tag for tag in tags if tag not in seen])


def _digests(place: Place, tags: Sequence[str]) -> dict[str, str]:
    """Ask for the digest of each tag, several at a time."""
    heads = _all_of([partial(place.client.head_manifest, place.repository, tag) for tag in tags])
    return {tag: head.digest for tag, head in zip(tags, heads, strict=True) if head is not None}


def _only(place: Place, digests: Mapping[str, str], kind: str) -> dict[str, str]:
    """Keep the images, or the artifacts that are none. One request per digest."""
    wanted = sorted(set(digests.values()))
    manifests = _all_of([partial(place.client.get_manifest, place.repository, digest) for digest in wanted])
    kept = {m.digest for m in manifests if _is_image(m) is (kind == "image")}
    return {tag: digest for tag, digest in digests.items() if digest in kept}


def _is_image(manifest: Manifest) -> bool:
    """Say whether it is something to run: an index, or a manifest whose config is that of a container image."""
    if manifest.is_index or manifest.media_type in SCHEMA1_TYPES:
        return True
    config = manifest.document.get("config")
    return isinstance(config, dict) and config.get("mediaType") in (OCI_CONFIG, DOCKER_CONFIG)


def _all_of(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Run the calls a few at a time; the first error ends the rest."""
    if len(calls) <= 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(PARALLEL_HEADS, thread_name_prefix="heads") as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def copy_options(*, kilobits_per_second: int, copy_by_chunk: bool) -> CopyOptions:
    """Return the engine's options for a rule's wishes."""
    return CopyOptions(
        chunk_bytes=CHUNK_BYTES if copy_by_chunk else None,
        bytes_per_second=kilobits_per_second * 1024 // 8 or None,
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
