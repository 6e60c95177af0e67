"""The state of a test kit registry: repositories, manifests, tags and open uploads. Not tied to HTTP."""

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from registry.testkit.content import Content, DiscardedContent, StoredContent
from registry.testkit.images import INDEX_TYPES
from registry.testkit.messages import ApiError


@dataclass(frozen=True)
class StoredManifest:
    """A manifest with the type it was pushed under."""

    media_type: str
    content: bytes

    @property
    def document(self) -> dict[str, Any]:
        """Parse the manifest."""
        document: dict[str, Any] = json.loads(self.content)
        return document

    @property
    def subject(self) -> dict[str, Any] | None:
        """Give the descriptor of what this manifest is attached to."""
        return self.document.get("subject")


@dataclass
class Repository:
    """`{digest: content}`, `{digest: manifest}`, `{tag: digest}`."""

    blobs: dict[str, Content] = field(default_factory=dict)
    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    has_had_manifests: bool = False


@dataclass
class Upload:
    """An open upload session; `blocks` stays empty where uploads are discarded."""

    repository: str
    keep: bool
    identifier: str = field(default_factory=lambda: str(uuid.uuid4()))
    size_bytes: int = 0
    blocks: list[bytes] = field(default_factory=list)
    hashes: dict[str, Any] = field(default_factory=lambda: {name: hashlib.new(name) for name in ("sha256",)})

    def append(self, block: bytes) -> None:
        """Take the next bytes."""
        self.size_bytes += len(block)
        self.hashes["sha256"].update(block)
        if self.keep:
            self.blocks.append(block)

    def digest(self, algorithm: str) -> str:
        """Compute the digest of everything received; others than sha256 need the bytes kept."""
        if algorithm not in self.hashes:
            hasher = hashlib.new(algorithm)
            for block in self.blocks:
                hasher.update(block)
            return f"{algorithm}:{hasher.hexdigest()}"
        return f"{algorithm}:{self.hashes[algorithm].hexdigest()}"

    def content(self) -> Content:
        """Give what was received, or its size."""
        return StoredContent(tuple(self.blocks)) if self.keep else DiscardedContent(self.size_bytes)


class Store:
    """Everything a registry keeps; `changing()` guards whatever reads and writes."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, Upload] = {}

    @contextmanager
    def changing(self, repository: str) -> Iterator[Repository]:
        """Hold the lock over a repository that may come into being."""
        with self._lock:
            yield self.repositories.setdefault(repository, Repository())

    @contextmanager
    def reading(self, repository: str) -> Iterator[Repository]:
        """Hold the lock over a repository; an empty one where it does not exist."""
        with self._lock:
            yield self.repositories.get(repository, Repository())

    def names(self) -> list[str]:
        """List what the catalogue lists: also repositories that only hold blobs (seen at distribution 2.8.2)."""
        with self._lock:
            return sorted(name for name, kept in self.repositories.items() if kept.blobs or kept.has_had_manifests)

    def open_upload(self, repository: str, *, keep: bool) -> Upload:
        """Open an upload session."""
        upload = Upload(repository, keep)
        with self._lock:
            self.uploads[upload.identifier] = upload
        return upload

    def upload(self, repository: str, identifier: str) -> Upload:
        """Find an open session or raise BLOB_UPLOAD_UNKNOWN."""
        with self._lock:
            upload = self.uploads.get(identifier)
        if upload is None or upload.repository != repository:
            raise ApiError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        return upload

    def close_upload(self, identifier: str) -> None:
        """Forget a session."""
        with self._lock:
            self.uploads.pop(identifier, None)

    def put_manifest(
        self, repository: str, digest: str, manifest: StoredManifest, tag: str | None, *, sparse: bool = False
    ) -> None:
        """Store a manifest and let a tag point at it, or raise MANIFEST_BLOB_UNKNOWN for what it names.

        `sparse` takes an index whatever it names.
        """
        with self.changing(repository) as kept:
            missing = sorted(_named_digests(manifest) - set(kept.blobs) - set(kept.manifests))
            if missing and not (sparse and manifest.media_type in INDEX_TYPES):
                raise ApiError(400, "MANIFEST_BLOB_UNKNOWN", f"blob unknown to registry: {missing[0]}")
            kept.manifests[digest] = manifest
            kept.has_had_manifests = True
            if tag is not None:
                kept.tags[tag] = digest

    def delete_manifest(self, repository: str, digest: str) -> None:
        """Take a manifest away with every tag on it (distribution-spec, "Deleting Manifests")."""
        with self.changing(repository) as kept:
            if kept.manifests.pop(digest, None) is None:
                raise ApiError(404, "MANIFEST_UNKNOWN")
            for tag in [tag for tag, value in kept.tags.items() if value == digest]:
                del kept.tags[tag]


def _named_digests(manifest: StoredManifest) -> set[str]:
    """Collect what must exist before: config and layers, or the children of an index; never foreign layers."""
    document = manifest.document
    if manifest.media_type in INDEX_TYPES:
        return {child["digest"] for child in document.get("manifests", [])}
    named = [document["config"]] if "config" in document else []
    named += [layer for layer in document.get("layers", []) if not layer.get("urls")]
    return {blob["digest"] for blob in named}
