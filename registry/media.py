"""Media types, descriptors and manifests (OCI image-spec: media-types, descriptor, manifest, image-index).

Manifests are never written anew: a Manifest keeps the exact bytes, and its properties only read them.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from registry.digests import digest_of
from registry.errors import ProtocolError, UnsupportedError
from registry.reference import is_digest
from registry.refusals import is_web_page

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})
IMAGE_TYPES = frozenset({OCI_MANIFEST, OCI_ARTIFACT, DOCKER_MANIFEST})
SCHEMA1_TYPES = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
MANIFEST_TYPES = INDEX_TYPES | IMAGE_TYPES | SCHEMA1_TYPES

# In one header: some proxies drop repeated ones. Without a type old registries convert or answer schema 1.
ACCEPT = ", ".join(
    (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, OCI_ARTIFACT, DOCKER_SCHEMA1_SIGNED, DOCKER_SCHEMA1)
)

PULL_LIMIT_BYTES = 8 << 20
PUSH_WARNING_BYTES = 4 << 20
"""distribution and containers/image refuse larger manifests."""

_BLOB_TYPE_PREFIXES = (
    "application/vnd.oci.image.layer.",
    "application/vnd.oci.image.config.",
    "application/vnd.docker.image.rootfs.",
    "application/vnd.docker.container.image.",
    "application/vnd.buildkit.cacheconfig.",
)


def media_type_of(content_type: str | None) -> str:
    """Return the media type of a Content-Type header, without parameters.

    >>> media_type_of("Application/JSON; charset=utf-8")
    'application/json'
    """
    return (content_type or "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Platform:
    """The platform of an index's entry; ``unknown/unknown`` marks BuildKit's attestations."""

    operating_system: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.operating_system, self.architecture, self.variant) if part)


@dataclass(frozen=True)
class Descriptor:
    """What a manifest says about a piece of content."""

    media_type: str
    digest: str
    size_bytes: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, compare=False)
    urls: tuple[str, ...] = ()
    data: bytes | None = field(default=None, repr=False)
    artifact_type: str = ""

    @property
    def is_foreign(self) -> bool:
        """Content that must be had from ``urls`` and not from registries (deprecated in OCI, kept by Windows)."""
        return self.media_type == DOCKER_FOREIGN_LAYER or self.media_type.startswith(OCI_FOREIGN_LAYER)

    @property
    def is_blob(self) -> bool:
        """Surely a blob, though an index names it (BuildKit's cache indexes hold layers)."""
        return self.media_type.startswith(_BLOB_TYPE_PREFIXES)

    @classmethod
    def parse(cls, document: object) -> "Descriptor":
        """Read a descriptor; raise ProtocolError when it is none."""
        if not isinstance(document, dict):
            raise ProtocolError("The manifest contains a descriptor that is not an object")
        digest, size_bytes = document.get("digest"), document.get("size")
        if not isinstance(digest, str) or not is_digest(digest):
            raise ProtocolError(f"The manifest contains a descriptor without a usable digest: {str(digest)[:80]!r}")
        if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 0:
            raise ProtocolError(f"The manifest gives no usable size for {digest}")
        urls = document.get("urls")
        return cls(
            media_type=_text(document, "mediaType"),
            digest=digest,
            size_bytes=size_bytes,
            platform=_platform(document.get("platform")),
            annotations=_texts(document.get("annotations")),
            urls=tuple(url for url in urls if isinstance(url, str)) if isinstance(urls, list) else (),
            data=_inline(document.get("data")),
            artifact_type=_text(document, "artifactType"),
        )


@dataclass(frozen=True)
class Manifest:
    """A manifest or index: its type, its exact bytes and their digest."""

    media_type: str
    content: bytes = field(repr=False)
    digest: str

    @classmethod
    def parse(cls, content: bytes, *, content_type: str | None = None, digest: str = "") -> "Manifest":
        """Check the shape and decide the type: the body's ``mediaType``, else the header, else the shape.

        ``digest`` is the one under which it was read and verified; without it sha256 is taken. Raise ProtocolError for
        what is no manifest, UnsupportedError for schema 1 (its digest is not that of its bytes).
        """
        document = _document(content, content_type)
        media_type = _decide_type(document, media_type_of(content_type))
        manifest = cls(media_type, content, digest or digest_of(content))
        _ = manifest.children, manifest.blobs, manifest.subject  # raise now what is wrong with them
        return manifest

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The parsed bytes."""
        document: Mapping[str, Any] = json.loads(self.content)
        return document

    @property
    def size_bytes(self) -> int:
        """Length of the bytes."""
        return len(self.content)

    @property
    def is_index(self) -> bool:
        """Answer whether it lists other manifests."""
        return self.media_type in INDEX_TYPES

    @cached_property
    def children(self) -> tuple[Descriptor, ...]:
        """Entries of an index, apart from those that surely are blobs."""
        return tuple(entry for entry in self._index_entries if not entry.is_blob)

    @cached_property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, without the non-distributable ones."""
        return tuple(blob for blob in self._all_blobs if not blob.is_foreign)

    @cached_property
    def foreign_layers(self) -> tuple[Descriptor, ...]:
        """Layers that are not to be pushed to registries."""
        return tuple(blob for blob in self._all_blobs if blob.is_foreign)

    @cached_property
    def subject(self) -> Descriptor | None:
        """The manifest that this one (a signature, an SBOM …) is about."""
        subject = self.document.get("subject")
        return None if subject is None else Descriptor.parse(subject)

    @cached_property
    def _index_entries(self) -> tuple[Descriptor, ...]:
        return self._descriptors("manifests") if self.is_index else ()

    @cached_property
    def _all_blobs(self) -> tuple[Descriptor, ...]:
        if self.is_index:
            return tuple(entry for entry in self._index_entries if entry.is_blob)
        if self.media_type == OCI_ARTIFACT:
            return self._descriptors("blobs")
        config = self.document.get("config")
        own = () if config is None else (Descriptor.parse(config),)
        return own + self._descriptors("layers")

    def _descriptors(self, name: str) -> tuple[Descriptor, ...]:
        entries = self.document.get(name)
        if entries is None:
            return ()
        if not isinstance(entries, list):
            raise ProtocolError(f"The manifest's {name} is not a list")
        return tuple(Descriptor.parse(entry) for entry in entries)


def _document(content: bytes, content_type: str | None) -> dict[str, Any]:
    if is_web_page({"Content-Type": content_type or ""}, content):
        raise ProtocolError("A web page answered where a manifest was expected")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("The manifest is not JSON") from error
    if not isinstance(document, dict):
        raise ProtocolError("The manifest is not a JSON object")
    return document


def _decide_type(document: Mapping[str, Any], header_type: str) -> str:
    own_type = media_type_of(_text(document, "mediaType"))
    has_children, has_layers = "manifests" in document, "layers" in document
    if document.get("schemaVersion") == 1 or own_type in SCHEMA1_TYPES or header_type in SCHEMA1_TYPES:
        raise UnsupportedError(
            "Docker schema 1 manifests cannot be replicated: their digest does not cover their bytes"
        )
    if has_children and has_layers:
        # CVE-2021-41190: two readers could see two different images.
        raise ProtocolError("The manifest is both an index and an image")
    if own_type and header_type in MANIFEST_TYPES and own_type != header_type:
        raise ProtocolError(f"The manifest calls itself {own_type}, but it was served as {header_type}")
    decided = own_type or (header_type if header_type in MANIFEST_TYPES else "")
    if not decided:
        decided = OCI_INDEX if has_children else OCI_MANIFEST
        if not has_children and not has_layers:
            raise ProtocolError("The document is not a manifest: it has neither a media type nor manifests nor layers")
    if (decided in INDEX_TYPES and has_layers) or (decided in IMAGE_TYPES and has_children):
        raise ProtocolError(f"The manifest is served as {decided}, but its content says otherwise")
    return decided


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _platform(value: object) -> Platform | None:
    if not isinstance(value, dict):
        return None
    return Platform(
        _text(value, "os"), _text(value, "architecture"), _text(value, "variant"), _text(value, "os.version")
    )


def _inline(value: object) -> bytes | None:
    """Return the content a descriptor carries (base64), None when there is none or it is broken."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return None
