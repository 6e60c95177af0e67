"""Where the client asks its gate, and what it tells it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from registry import (
    Connection,
    Descriptor,
    RateLimitedError,
    RegistryClient,
    RegistrySettings,
    Stopped,
    Tally,
    digest_of,
)
from registry.gate import Lane, OpenGate, lane_of, paced
from registry.ratelimits import asked_pause
from registry.testkit import MemoryRegistry, known_faults

URL = "https://registry.test/v2/a/b"
BLOB = f"{URL}/blobs/sha256:{'0' * 64}"


class Notebook:
    """A permit, and the gate that gives it: writes down what it is told."""

    def __init__(self, block_bytes: int | None = None) -> None:
        self.block_bytes = block_bytes
        self.lanes: list[Lane] = []
        self.works: list[object | None] = []
        self.statuses: list[int] = []
        self.moved: list[int] = []
        self.held = 0
        self.missed = 0
        self.refusal: Exception | None = None

    def enter(self, lane: Lane, *, attempt: str, work: object | None, check_stop: Callable[[], None]) -> "Notebook":
        if self.refusal is not None:
            raise self.refusal
        self.lanes.append(lane)
        self.works.append(work)
        self.held += 1
        return self

    def await_bytes(self, size_bytes: int) -> None:
        self.moved.append(size_bytes)

    def hear(self, status: int, headers: Mapping[str, str]) -> None:
        self.statuses.append(status)

    def miss(self) -> None:
        self.missed += 1

    def leave(self) -> None:
        self.held -= 1


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def client(memory_registry: MemoryRegistry, notebook: Notebook) -> Iterator[RegistryClient]:
    connection = Connection(RegistrySettings(memory_registry.url))
    connection.gate = notebook
    yield RegistryClient(connection, tally=Tally())
    connection.close()


@pytest.mark.parametrize(
    ("method", "url", "streams_body", "lane"),
    [
        ("HEAD", BLOB, False, Lane.SMALL),
        ("GET", BLOB, False, Lane.DOWNLOAD),
        ("GET", f"{BLOB}?x=1", False, Lane.DOWNLOAD),
        ("GET", f"{URL}/manifests/v1", False, Lane.SMALL),
        ("GET", f"{URL}/blobs/uploads/1234", False, Lane.SMALL),
        ("POST", f"{URL}/blobs/uploads/", False, Lane.SMALL),
        ("PATCH", f"{URL}/blobs/uploads/1234", True, Lane.UPLOAD),
        ("PUT", f"{URL}/blobs/uploads/1234?digest=x", False, Lane.SMALL),
        ("DELETE", f"{URL}/blobs/uploads/1234", False, Lane.CLEARING),
        ("DELETE", f"{URL}/manifests/v1", False, Lane.SMALL),
    ],
)
def test_each_request_has_its_lane(method, url, streams_body, lane):
    assert lane_of(method, url, streams_body=streams_body) is lane


def test_every_request_asks_the_gate_and_gives_its_permit_back(memory_registry, client, notebook):
    memory_registry.add_image("a/b", "v1", layer_sizes=[5000])
    manifest = client.get_manifest("a/b", "v1")
    client.head_manifest("a/b", "v1")
    client.tags("a/b")
    layer = manifest.blobs[-1]
    content = client.get_blob_bytes("a/b", layer)
    client.upload_blob("c/d", Descriptor(layer.media_type, layer.digest, len(content)), [content])

    lanes = [Lane.SMALL, Lane.SMALL, Lane.SMALL, Lane.DOWNLOAD, Lane.SMALL, Lane.UPLOAD]
    assert notebook.lanes == lanes
    assert notebook.statuses == [200, 200, 200, 200, 202, 201]
    assert len(set(map(id, notebook.works))) == 1
    assert notebook.works[0] is not None


def test_no_permit_is_kept_whatever_comes_back(memory_registry, client):
    memory_registry.faults.add(known_faults.rate_limited(pattern="/tags/"))
    memory_registry.faults.add(known_faults.unauthorized_without_challenge(pattern="/manifests/"))
    held = HeldGate()
    client.connection.gate = held
    for ask in (lambda: client.tags("a/b"), lambda: client.get_manifest("a/b", "v1"), lambda: client.tags("no/such")):
        with pytest.raises(Exception, match=r"a/b|no/such"):
            ask()
    memory_registry.stop()
    with pytest.raises(Exception, match="refused"):
        client.tags("a/b")
    assert held.entered >= 4
    assert held.given_back == held.entered


class HeldGate:
    """Counts each permit once, however often it is given back."""

    def __init__(self) -> None:
        self.entered = self.given_back = 0

    def enter(self, lane: Lane, *, attempt: str, work: object | None, check_stop: Callable[[], None]) -> "_Held":
        self.entered += 1
        return _Held(self)


class _Held(Notebook):
    def __init__(self, gate: HeldGate) -> None:
        super().__init__()
        self._gate = gate
        self._is_held = True

    def leave(self) -> None:
        self._gate.given_back += self._is_held
        self._is_held = False


def test_what_the_gate_refuses_is_never_sent(memory_registry, client, notebook):
    notebook.refusal = RateLimitedError("not now", retry_after_seconds=30)
    with pytest.raises(RateLimitedError, match="not now"):
        client.tags("a/b")
    assert memory_registry.requests == []


def test_bodies_pass_in_blocks_of_the_permits_size(memory_registry, client):
    content = b"x" * 10_000
    memory_registry.add_image("a/b", "v1")
    notebook = Notebook(block_bytes=4096)
    client.connection.gate = notebook
    descriptor = Descriptor("application/octet-stream", digest_of(content), len(content))
    client.upload_blob("a/b", descriptor, [content])
    sent, notebook.moved = notebook.moved, []
    assert sent == [4096, 4096, 1808]
    assert client.get_blob_bytes("a/b", descriptor) == content
    assert sum(notebook.moved) == len(content)
    assert max(notebook.moved) <= 4096


def test_a_stop_while_bytes_wait_ends_the_upload(memory_registry, client):
    class Stopping(Notebook):
        def await_bytes(self, size_bytes: int) -> None:
            raise Stopped

    client.connection.gate = Stopping(block_bytes=1024)
    content = b"x" * 10_000
    with pytest.raises(Stopped):
        client.upload_blob("a/b", Descriptor("application/octet-stream", digest_of(content), 10_000), [content])


def test_paced_pieces_are_the_same_bytes():
    permit = Notebook(block_bytes=3)
    assert list(paced([b"abcdefgh", b"", b"ij"], permit)) == [b"abc", b"def", b"gh", b"", b"ij"]
    assert permit.moved == [3, 3, 2, 0, 2]


def test_a_connection_has_an_open_gate_unless_given_another():
    assert isinstance(Connection(RegistrySettings("http://registry.test")).gate, OpenGate)


def hub(remaining: int, limit: int = 100, window: int = 21600) -> dict[str, str]:
    return {"ratelimit-limit": f"{limit};w={window}", "ratelimit-remaining": f"{remaining};w={window}"}


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "30"}, 30),
        (503, {"Retry-After": "30"}, 30),
        (429, {"Retry-After": "86400"}, 600),
        (429, {"Retry-After": "0"}, None),
        (429, {"Retry-After": "soon"}, None),
        (429, {}, None),
        (200, {"Retry-After": "30"}, None),
        (200, hub(57), None),
        (200, hub(2), None),
        (200, hub(1), 216),
        (200, hub(0), 216),
        (200, hub(0, limit=5, window=21600), 600),
        (200, hub(0, limit=5000, window=21600), 60),
        (429, {**hub(0), "Retry-After": "30"}, 30),
        (429, hub(0), 216),
        (200, {"ratelimit-limit": "600", "ratelimit-remaining": "0"}, None),
        (200, {"ratelimit-remaining": "0;w=21600"}, None),
        (200, {"ratelimit-limit": "x;w=1", "ratelimit-remaining": "0;w="}, None),
    ],
)
def test_an_answer_says_how_long_to_stay_away(status, headers, seconds):
    pause = asked_pause(status, headers)
    assert (pause.seconds if pause else None) == seconds


def test_a_date_says_it_too():
    later = datetime.now(UTC) + timedelta(seconds=90)
    pause = asked_pause(429, {"Retry-After": format_datetime(later, usegmt=True)})
    assert pause is not None
    assert 80 < pause.seconds <= 90


def test_a_pause_says_why():
    pause = asked_pause(200, hub(0))
    assert pause is not None
    assert pause.why == "0 of 100 pulls in 6 h are left at the registry"
