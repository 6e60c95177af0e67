"""Images, indexes and attached artifacts built in Python, without any tool.

Shapes: OCI image specification 1.1 (manifest.md, image-index.md) and Docker's "Image Manifest Version 2, Schema 2".
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.testkit.content import Content, as_content, digest_of

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_INDEX})

Json = dict[str, Any]


@dataclass(frozen=True)
class BuiltManifest:
    """A manifest or index with the blobs it names: `{digest: content}`."""

    media_type: str
    content: bytes
    blobs: Mapping[str, Content] = field(default_factory=dict)
    platform: str = ""
    entry_annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Give the manifest's own digest."""
        return digest_of(self.content)

    def descriptor(self) -> Json:
        """Describe this manifest as an index names it."""
        described: Json = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}
        if self.platform:
            described["platform"] = parse_platform(self.platform)
        if self.entry_annotations:
            described["annotations"] = dict(self.entry_annotations)
        return described


def parse_platform(text: str) -> dict[str, str]:
    """Split a platform as it is written on command lines.

    >>> parse_platform("linux/arm64/v8")
    {'os': 'linux', 'architecture': 'arm64', 'variant': 'v8'}
    >>> parse_platform("windows/amd64:10.0.17763.1")
    {'os': 'windows', 'architecture': 'amd64', 'os.version': '10.0.17763.1'}
    """
    platform, _, version = text.partition(":")
    parts = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
    return {**parts, "os.version": version} if version else parts


def describe(content: bytes | Content, media_type: str) -> Json:
    """Describe a blob (OCI descriptor.md)."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": as_content(content).size_bytes}


def _encode(document: Json) -> bytes:
    # Indented on purpose: a client that parses and writes it again changes the digest and is found out.
    return json.dumps(document, indent=3).encode()


def build_image(
    layers: Iterable[bytes | Content],
    *,
    docker: bool = False,
    platform: str = "linux/amd64",
    created: str = "2024-05-01T10:00:00Z",
    annotations: Mapping[str, str] | None = None,
    diff_ids: Sequence[str] = (),
) -> BuiltManifest:
    """Build a single-platform image; the layers' bytes are taken as they are, they need not be archives.

    `diff_ids` are the digests of the unpacked layers (config.md), for an image that somebody shall run.
    """
    contents = [as_content(layer) for layer in layers]
    layer_type, config_type = (DOCKER_LAYER, DOCKER_CONFIG) if docker else (OCI_LAYER, OCI_CONFIG)
    described = [describe(content, layer_type) for content in contents]
    config = _encode(
        {
            "created": created,
            **parse_platform(platform),
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids) or [layer["digest"] for layer in described]},
        }
    )
    manifest: Json = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        "config": describe(config, config_type),
        "layers": described,
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    blobs = {layer["digest"]: content for layer, content in zip(described, contents, strict=True)}
    blobs[digest_of(config)] = as_content(config)
    return BuiltManifest(manifest["mediaType"], _encode(manifest), blobs, platform)


def build_index(children: Sequence[BuiltManifest], *, docker: bool = False) -> BuiltManifest:
    """Build an index (Docker: manifest list) over manifests; its children's blobs are not repeated in it."""
    media_type = DOCKER_INDEX if docker else OCI_INDEX
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [child.descriptor() for child in children],
    }
    return BuiltManifest(media_type, _encode(document))


def build_attestation(subject: BuiltManifest) -> BuiltManifest:
    """Build what BuildKit lists beside an image in its index (BuildKit, docs/attestations/attestation-storage.md)."""
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject.digest}
    built = build_image([f"provenance of {subject.digest}\n".encode()], platform="unknown/unknown")
    return BuiltManifest(built.media_type, built.content, built.blobs, built.platform, about)


def build_artifact(payload: bytes | Content, *, artifact_type: str, subject: Json | None = None) -> BuiltManifest:
    """Build an artifact with an empty config, e.g. a signature of `subject` (manifest.md, "artifact usage")."""
    content = as_content(payload)
    empty = b"{}"
    document: Json = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": describe(empty, OCI_EMPTY),
        "layers": [describe(content, artifact_type)],
    }
    if subject is not None:
        document["subject"] = subject
    blobs = {digest_of(empty): as_content(empty), digest_of(content): content}
    return BuiltManifest(OCI_MANIFEST, _encode(document), blobs)
