"""A registry in memory on a loopback port, for tests: behaves by the specification until it is told otherwise."""

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from registry.testkit.content import Content, GeneratedContent, as_content, digest_of, read_all
from registry.testkit.images import (
    OCI_INDEX,
    BuiltManifest,
    build_artifact,
    build_attestation,
    build_image,
    build_index,
)
from registry.testkit.messages import Request
from registry.testkit.server import RegistryServer
from registry.testkit.state import RegistryState
from registry.testkit.store import StoredManifest


@dataclass(kw_only=True)
class MemoryRegistry(RegistryState):
    """A registry to push to, to pull from and to break; the options are those of `RegistryState`.

    >>> with MemoryRegistry() as registry:
    ...     digest = registry.add_image("library/nginx", "1.27")
    ...     registry.tags("library/nginx") == {"1.27": digest}
    True
    """

    def __post_init__(self) -> None:
        """Begin empty and stopped."""
        super().__post_init__()
        self._server: RegistryServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Serve; after a stop on the same port and with the same content."""
        self.stopping.clear()
        self._server = RegistryServer(self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            name=f"memory-registry-{self.port}",
            daemon=True,
        )
        self._thread.start()
        self.notify(self.notify_url, self.notify_headers)

    def stop(self) -> None:
        """Refuse connections, cut the open ones, keep the content. Nothing happens when it is stopped already."""
        if self._server is None or self._thread is None:
            return
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_connections()
        self._thread.join(5)
        self._server = self._thread = None
        self.silence()

    @property
    def repositories(self) -> tuple[str, ...]:
        """List what the catalogue would list."""
        return tuple(self.store.names())

    def tags(self, repository: str) -> dict[str, str]:
        """Give `{tag: digest}`."""
        with self.store.reading(repository) as kept:
            return dict(kept.tags)

    def manifests(self, repository: str) -> dict[str, StoredManifest]:
        """Give `{digest: manifest}`."""
        with self.store.reading(repository) as kept:
            return dict(kept.manifests)

    def blobs(self, repository: str) -> dict[str, Content]:
        """Give `{digest: content}`."""
        with self.store.reading(repository) as kept:
            return dict(kept.blobs)

    def blob_bytes(self, repository: str, digest: str) -> bytes:
        """Read a blob as a whole."""
        return read_all(self.blobs(repository)[digest])

    @property
    def open_uploads(self) -> int:
        """Count the upload sessions that were neither committed nor cancelled."""
        return len(self.store.uploads)

    @property
    def connections_taken(self) -> int:
        """Count the connections since the start."""
        return self._server.connections_taken if self._server else 0

    def requests_for(self, method: str, path_part: str = "") -> list[Request]:
        """Give the recorded requests of one method whose path has `path_part` in it."""
        return [entry for entry in self.requests if entry.method == method and path_part in entry.path]

    def expire_tokens(self) -> None:
        """Make every token given out so far worthless."""
        self.access.expire_tokens()

    def lose_uploads(self) -> None:
        """Forget every open upload session."""
        for identifier in list(self.store.uploads):
            self.store.close_upload(identifier)

    def add_blob(self, repository: str, content: bytes | Content) -> str:
        """Store a blob and give its digest."""
        digest = digest_of(content)
        with self.store.changing(repository) as kept:
            kept.blobs[digest] = as_content(content)
        return digest

    def remove_blob(self, repository: str, digest: str) -> None:
        """Lose a blob, as storage does."""
        with self.store.changing(repository) as kept:
            kept.blobs.pop(digest, None)

    def remove_tag(self, repository: str, tag: str) -> None:
        """Untag, by no request."""
        with self.store.changing(repository) as kept:
            kept.tags.pop(tag, None)

    def add_manifest(self, repository: str, tag: str | None, built: BuiltManifest) -> str:
        """Store a built manifest with its blobs, under a tag or only by digest, and give its digest."""
        with self.store.changing(repository) as kept:
            kept.blobs.update(built.blobs)
        stored = StoredManifest(built.media_type, built.content)
        self.store.put_manifest(repository, built.digest, stored, tag)
        return built.digest

    def add_image(
        self,
        repository: str,
        tag: str | None,
        *,
        layers: Sequence[bytes | Content] = (),
        layer_sizes: Iterable[int] = (),
        docker: bool = False,
        platform: str = "linux/amd64",
    ) -> str:
        """Store an image and give its digest.

        Without layers it has one small layer that no other repository and tag has; `layer_sizes` makes layers of
        these sizes, of generated bytes that are not kept in memory.
        """
        seed = f"{repository}:{tag}:{platform}"
        contents = [*layers, *(GeneratedContent(size, f"{seed}:{n}") for n, size in enumerate(layer_sizes))]
        contents = contents or [f"the only layer of {seed}\n".encode()]
        return self.add_manifest(repository, tag, build_image(contents, docker=docker, platform=platform))

    def add_index(
        self,
        repository: str,
        tag: str | None,
        platforms: Sequence[str] = ("linux/amd64", "linux/arm64/v8"),
        *,
        docker: bool = False,
        attested: bool = False,
    ) -> str:
        """Store a multi-platform image, its children by digest only, and give the index's digest.

        `attested` adds an attestation of each image, as BuildKit does.
        """
        children = [
            build_image([f"{repository}:{tag} for {platform}\n".encode()], docker=docker, platform=platform)
            for platform in platforms
        ]
        if attested:
            children += [build_attestation(child) for child in children]
        for child in children:
            self.add_manifest(repository, None, child)
        return self.add_manifest(repository, tag, build_index(children, docker=docker))

    def add_signature(
        self,
        repository: str,
        subject_digest: str,
        *,
        artifact_type: str = "application/vnd.test.signature.v1",
        note: str = "",
    ) -> str:
        """Attach a small artifact to a stored manifest by its `subject` field and give the artifact's digest.

        Without the referrers API the fallback tag lists it, as clients see to; `note` tells two of one subject apart.
        """
        subject = self.manifests(repository)[subject_digest]
        described = {"mediaType": subject.media_type, "digest": subject_digest, "size": len(subject.content)}
        payload = f"signature of {subject_digest} {note}".encode()
        built = build_artifact(payload, artifact_type=artifact_type, subject=described)
        digest = self.add_manifest(repository, None, built)
        if not self.referrers:
            self.list_as_referrer(repository, subject_digest, {**built.descriptor(), "artifactType": artifact_type})
        return digest

    def list_as_referrer(self, repository: str, subject_digest: str, entry: dict[str, Any]) -> str:
        """Add an entry to the subject's fallback tag, as clients do, and give the index's digest."""
        tag = subject_digest.replace(":", "-")
        with self.store.changing(repository) as kept:
            stored = kept.manifests.get(kept.tags.get(tag, ""))
            entries = [*(stored.document["manifests"] if stored else ()), entry]
            index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
            return self.add_manifest(repository, tag, BuiltManifest(OCI_INDEX, json.dumps(index, indent=1).encode()))

    def referrers_under_tag(self, repository: str, subject_digest: str) -> list[str]:
        """Give the digests that the subject's fallback tag lists."""
        index = self.tags(repository).get(subject_digest.replace(":", "-"))
        if index is None:
            return []
        return [entry["digest"] for entry in self.manifests(repository)[index].document["manifests"]]
