"""Questions to one repository: several at a time, each as cheap as can be."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from registry import (
    DigestMismatchError,
    NotFoundError,
    ProtocolError,
    RegistryClient,
    TooLargeError,
    UnsupportedError,
)
from registry.copying import NO_MANIFESTS, NO_MEMORY, BlobMemory, ManifestMemory
from registry.media import DOCKER_CONFIG, OCI_CONFIG, SCHEMA1_TYPES, Descriptor, Manifest

Answer = TypeVar("Answer")

# What can be wrong with one manifest, whoever asks.
_BAD_MANIFEST = (DigestMismatchError, ProtocolError, TooLargeError, UnsupportedError)

# Small requests in flight at once for one repository (peers' engines use 3 to 16).
PARALLEL_HEADS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A repository in a registry, the client to talk to it with, and what is known of it without asking."""

    client: RegistryClient
    repository: str
    memory: BlobMemory = NO_MEMORY
    manifests: ManifestMemory = NO_MANIFESTS
    is_unheard_of: bool = False
    """Nothing was ever known of it: it may not be there yet."""


def look_for(place: Place, tags: Sequence[str], *, read: frozenset[str] = frozenset()) -> dict[str, Descriptor]:
    """Return those of the tags that are there and what they point at; one request each, several at a time."""
    heads = all_of([partial(_head, place, tag, is_read=tag in read) for tag in tags])
    return {tag: head for tag, head in zip(tags, heads, strict=True) if head is not None}


def _head(place: Place, tag: str, *, is_read: bool) -> Descriptor | None:
    if is_read:
        try:
            manifest = place.client.get_manifest(place.repository, tag)
        except NotFoundError:
            return None
        except _BAD_MANIFEST:
            pass  # the copy will say so of this tag alone, which is not to keep all others from theirs
        else:
            place.manifests.keep(manifest)
            return Descriptor(manifest.media_type, manifest.digest, manifest.size_bytes)
    return place.client.head_manifest(place.repository, tag)


def only_of_kind(place: Place, digests: Mapping[str, str], kind: str) -> dict[str, str]:
    """Keep the images, or the artifacts that are none. One request per digest."""
    wanted = sorted(set(digests.values()))
    manifests = all_of([partial(manifest_of, place, digest) for digest in wanted])
    kept = {m.digest for m in manifests if _is_image(m) is (kind == "image")}
    return {tag: digest for tag, digest in digests.items() if digest in kept}


def manifest_of(place: Place, digest: str) -> Manifest:
    """Return a manifest, from memory if somebody read it lately."""
    manifest = place.manifests.find(digest)
    if manifest is None:
        manifest = place.client.get_manifest(place.repository, digest)
        place.manifests.keep(manifest)
    return manifest


def _is_image(manifest: Manifest) -> bool:
    """Say whether it is something to run: an index, or a manifest whose config is that of a container image."""
    if manifest.is_index or manifest.media_type in SCHEMA1_TYPES:
        return True
    config = manifest.document.get("config")
    return isinstance(config, dict) and config.get("mediaType") in (OCI_CONFIG, DOCKER_CONFIG)


def all_of(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
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
