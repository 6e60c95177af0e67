"""Images to copy, and the way they get into the source registry.

Layers are genuine gzip members, because skopeo compresses again what is none, and of random bytes, because nothing
may be gained by compressing them.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urljoin

import urllib3

from registry.testkit import BuiltManifest, Content, GeneratedContent, StoredContent, build_image, build_index

GZIP_WINDOW_BITS = 31
PUSHERS = 8
PLATFORMS = (
    "linux/amd64",
    "linux/arm64/v8",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/386",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
)


class PushFailedError(RuntimeError):
    """The source registry refused what it was to hold."""


@dataclass(frozen=True)
class Artifact:
    """What stands behind one tag: the root, and the children where it is an index."""

    root: BuiltManifest
    children: tuple[BuiltManifest, ...] = ()

    @property
    def blobs(self) -> dict[str, Content]:
        """Give `{digest: content}` of everything below."""
        found = dict(self.root.blobs)
        for child in self.children:
            found.update(child.blobs)
        return found

    @property
    def size_bytes(self) -> int:
        """Give the size of the blobs, each counted once."""
        return sum(content.size_bytes for content in self.blobs.values())


def make_layer(size_bytes: int, seed: str) -> Content:
    """Make a gzip member of about this size (RFC 1952; stored blocks, so nothing is computed to unpack it)."""
    packer = zlib.compressobj(0, zlib.DEFLATED, GZIP_WINDOW_BITS)
    blocks = [packer.compress(block) for block in GeneratedContent(size_bytes, seed).read()]
    return StoredContent((*blocks, packer.flush()))


def make_image(layer_sizes: Sequence[int], seed: str, *, shared: Sequence[Content] = ()) -> Artifact:
    """Make an image of layers that it shares with others and layers of its own."""
    own = [make_layer(size, f"{seed}:{number}") for number, size in enumerate(layer_sizes)]
    return Artifact(build_image([*shared, *own], annotations={"org.opencontainers.image.title": seed}))


def make_index(layer_bytes: int, seed: str) -> Artifact:
    """Make an index over eight platforms, each with one layer and a config."""
    children = tuple(
        build_image([make_layer(layer_bytes, f"{seed}:{platform}")], platform=platform) for platform in PLATFORMS
    )
    return Artifact(build_index(children), children)


def make_tags(
    count: int, seed: str, *, base_bytes: int = 64 << 10, layer_bytes: int = 4 << 10
) -> Iterator[tuple[str, Artifact]]:
    """Give `(tag, image)`: different images on one base."""
    base = make_layer(base_bytes, f"{seed}:base")
    for number in range(count):
        yield f"v{number}", make_image([layer_bytes], f"{seed}:{number}", shared=[base])


@dataclass(frozen=True)
class Published:
    """A repository as it stands in the source: `digests` is `{tag: digest}`."""

    repository: str
    digests: dict[str, str]
    size_bytes: int
    blob_count: int


def publish(host: str, repository: str, artifacts: Iterable[tuple[str, Artifact]]) -> Published:
    """Push artifacts by plain HTTP (OCI distribution-spec, "Push"), several at a time, each blob once."""
    pusher = _Pusher(host, repository)
    digests: dict[str, str] = {}
    pushed: dict[str, int] = {}
    with ThreadPoolExecutor(PUSHERS) as pool:
        manifests = []
        for tag, artifact in artifacts:
            new = {digest: content for digest, content in artifact.blobs.items() if digest not in pushed}
            list(pool.map(pusher.put_blob, new.keys(), new.values()))
            pushed.update((digest, content.size_bytes) for digest, content in new.items())
            digests[tag] = artifact.root.digest
            manifests.append(pool.submit(pusher.put_artifact, tag, artifact))
        for future in manifests:
            future.result()
    return Published(repository, digests, sum(pushed.values()), len(pushed))


class _Pusher:
    """Puts blobs and manifests into one repository."""

    def __init__(self, host: str, repository: str) -> None:
        self._base = f"http://{host}/v2/{repository}"
        self._pool = urllib3.PoolManager(maxsize=PUSHERS, retries=False)

    def put_blob(self, digest: str, content: Content) -> None:
        begun = self._ask("POST", f"{self._base}/blobs/uploads/")
        location = urljoin(self._base, begun.headers["Location"])
        separator = "&" if "?" in location else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(content.size_bytes)}
        self._ask("PUT", f"{location}{separator}digest={digest}", content.read(), headers)

    def put_artifact(self, tag: str, artifact: Artifact) -> None:
        for child in artifact.children:
            self._put_manifest(child.digest, child)
        self._put_manifest(tag, artifact.root)

    def _put_manifest(self, reference: str, manifest: BuiltManifest) -> None:
        headers = {"Content-Type": manifest.media_type}
        self._ask("PUT", f"{self._base}/manifests/{reference}", manifest.content, headers)

    def _ask(
        self, method: str, url: str, body: bytes | Iterator[bytes] | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        answer = self._pool.request(method, url, body=body, headers=headers or {})
        if answer.status not in (201, 202):
            raise PushFailedError(f"{method} {url}: {answer.status} {answer.data[:300]!r}")
        return answer
