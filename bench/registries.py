"""The registries of the benchmark: Debian's docker-registry, fresh for each run, and what was asked of them.

Requests and bytes are read from the registry's own access log, so they are what went over the wire.
"""

import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import urllib3

from bench.content import Published
from registry.testkit.docker_registry import DockerRegistry

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
# Apache's combined log format, as distribution writes it: … "GET /v2/ HTTP/1.1" 200 2 …
_ACCESS_LINE = re.compile(rb'^\S+ - - \[[^]]*\] "([A-Z]+) (\S+) HTTP/[\d.]+" \d+ (\d+)', re.MULTILINE)
_LOOKERS = 8
_QUIET_SECONDS = 0.05
_LOG_LIMIT_SECONDS = 5.0


class WrongContentError(RuntimeError):
    """A tool left something else at the target than the source has."""


@dataclass(frozen=True)
class Wire:
    """What a registry was asked: `{method: requests}`, and the bytes of its answers' bodies."""

    requests: Mapping[str, int] = field(default_factory=dict)
    sent_bytes: int = 0

    @property
    def total_requests(self) -> int:
        """Add up the methods."""
        return sum(self.requests.values())

    def __add__(self, other: "Wire") -> "Wire":
        return Wire(dict(Counter(self.requests) + Counter(other.requests)), self.sent_bytes + other.sent_bytes)


def read_access_lines(log: bytes) -> Wire:
    r"""Count the requests in a piece of a registry's log.

    >>> read_access_lines(b'1.2.3.4 - - [23/Nov/2026:04:33:08 +0000] "GET /v2/ HTTP/1.1" 200 2 "" "curl"\n')
    Wire(requests={'GET': 1}, sent_bytes=2)
    """
    methods: Counter[str] = Counter()
    sent_bytes = 0
    for method, _, size in _ACCESS_LINE.findall(log):
        methods[method.decode()] += 1
        # What is written for a HEAD is counted too, though it never leaves.
        sent_bytes += int(size) if method != b"HEAD" else 0
    return Wire(dict(methods), sent_bytes)


@dataclass
class WireMeter:
    """Counts from the moment it is made."""

    registry: DockerRegistry

    def __post_init__(self) -> None:
        self._begin = len(_settled_log(self.registry))

    def read(self) -> Wire:
        """Say what was asked since."""
        return read_access_lines(_settled_log(self.registry)[self._begin :])


def _settled_log(registry: DockerRegistry) -> bytes:
    """Read the log once it has stopped growing: a line is written after its answer was sent."""
    path = registry.directory / "registry.log"
    deadline = time.monotonic() + _LOG_LIMIT_SECONDS
    size_bytes = -1
    while time.monotonic() < deadline and size_bytes != path.stat().st_size:
        size_bytes = path.stat().st_size
        time.sleep(_QUIET_SECONDS)
    return path.read_bytes()


@contextmanager
def fresh_registry(workshop: Path, *, content_of: DockerRegistry | None = None) -> Iterator[DockerRegistry]:
    """Run a registry with a process, a port and a storage of its own: empty, or a copy of another's storage."""
    with TemporaryDirectory(dir=workshop, prefix="registry-") as name:
        directory = Path(name)
        if content_of is not None:
            shutil.copytree(content_of.directory / "storage", directory / "storage")
        with DockerRegistry(directory=directory) as registry:
            yield registry


def verify(registry: DockerRegistry, published: Published) -> None:
    """Compare each tag's digest with the source's. Raises WrongContentError."""
    pool = urllib3.PoolManager(maxsize=_LOOKERS, retries=False)

    def look(tag: str) -> str | None:
        url = f"{registry.url}/v2/{published.repository}/manifests/{tag}"
        return pool.request("HEAD", url, headers={"Accept": ACCEPT}).headers.get("Docker-Content-Digest")

    with ThreadPoolExecutor(_LOOKERS) as lookers:
        found = dict(zip(published.digests, lookers.map(look, published.digests), strict=True))
    wrong = [tag for tag, digest in published.digests.items() if found[tag] != digest]
    if wrong:
        first = wrong[0]
        raise WrongContentError(
            f"{len(wrong)} of {len(found)} tags of {published.repository} are wrong at the target; "
            f"{first} is {found[first]} instead of {published.digests[first]}"
        )
