"""The rule for targets that lag, with threads that take a blob's bytes at a pace of their own."""

import hashlib
import threading
import time
from dataclasses import dataclass, field

import pytest

from registry import CopySource, Descriptor, DigestMismatchError, Stopped
from registry.copying.halt import Halt
from registry.copying.sharing import Reader, Readings
from registry.testkit import GeneratedContent, MemoryRegistry, known_faults
from registry.testkit import digest_of as digest_of_content

SIZE_BYTES = 40 << 20
CONTENT = GeneratedContent(SIZE_BYTES, "shared")


@pytest.fixture
def source():
    with MemoryRegistry() as registry:
        registry.add_blob("team/app", CONTENT)
        yield registry


@pytest.fixture
def blob():
    return Descriptor("application/octet-stream", digest_of_content(CONTENT), SIZE_BYTES)


@pytest.fixture
def make_readers(source, make_client):
    """Make the readers of one copy: `make_readers(2, stall_seconds=0.3)`."""

    def make(count, *, stall_seconds):
        order = CopySource(make_client(source), "team/app", "")
        readings = Readings(order, stall_seconds=stall_seconds, stop=Halt(None))
        return [readings.reader(Halt(None)) for _ in range(count)]

    return make


@dataclass
class Taker(threading.Thread):
    """Takes a blob as a target would: `pause_seconds` per piece."""

    reader: Reader
    blob: Descriptor
    pause_seconds: float = 0.0
    is_hashed: bool = True
    read_bytes: int = 0
    digest: str = ""
    seconds: float = 0.0
    error: BaseException | None = None
    has_begun: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.reader.announce([self.blob])

    def __hash__(self) -> int:
        return id(self)

    def run(self):
        began, hasher = time.monotonic(), hashlib.sha256()
        try:
            for piece in self.reader.pieces(self.blob, 0, self.count, is_hashed=self.is_hashed):
                hasher.update(piece)
                self.has_begun.set()
                time.sleep(self.pause_seconds)
        except (Stopped, DigestMismatchError) as error:
            self.error = error
        self.digest = f"sha256:{hasher.hexdigest()}"
        self.seconds = time.monotonic() - began

    def count(self, delta):
        self.read_bytes += delta


def run_all(*takers):
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(30)
        assert not taker.is_alive()


def ranges(source):
    """Give the Range of each GET of a blob."""
    return [request.headers.get("range", "") for request in source.requests_for("GET", "/blobs/")]


def test_a_slow_taker_holds_the_others_up_for_the_stall_time_and_then_goes_on_alone(source, blob, make_readers):
    readers = make_readers(3, stall_seconds=0.5)
    slow, *quick = Taker(readers[0], blob, 0.1), Taker(readers[1], blob), Taker(readers[2], blob)

    run_all(slow, *quick)

    assert {taker.digest for taker in (slow, *quick)} == {blob.digest}
    assert max(taker.seconds for taker in quick) < slow.seconds / 2
    whole, rest = ranges(source)
    assert whole == ""
    # It went on exactly behind what it was given: nothing was read twice for it.
    assert rest.removeprefix("bytes=").removesuffix("-").isdecimal()
    offset = int(rest[6:-1])
    assert slow.read_bytes + quick[0].read_bytes + quick[1].read_bytes == SIZE_BYTES + SIZE_BYTES - offset


def test_what_nobody_hashes_is_gone_on_with_from_where_it_was(source, blob, make_readers):
    readers = make_readers(2, stall_seconds=0.5)
    slow, quick = Taker(readers[0], blob, 0.1, is_hashed=False), Taker(readers[1], blob, is_hashed=False)

    run_all(slow, quick)

    assert {slow.digest, quick.digest} == {blob.digest}
    whole, rest = ranges(source)
    assert whole == ""
    assert slow.read_bytes + quick.read_bytes == 2 * SIZE_BYTES - int(rest.removeprefix("bytes=").removesuffix("-"))


@pytest.mark.parametrize("wishes", [(True, True), (True, False), (False, True)], ids=str)
def test_one_who_wants_it_hashed_has_it_hashed_for_all(source, blob, make_readers, wishes):
    source.faults.add(known_faults.corrupted_body(30_000_000))
    readers = make_readers(2, stall_seconds=20)
    takers = [Taker(reader, blob, is_hashed=wish) for reader, wish in zip(readers, wishes, strict=True)]

    run_all(*takers)

    assert all(isinstance(taker.error, DigestMismatchError) for taker in takers)


def test_what_nobody_wants_hashed_is_given_as_it_came(source, blob, make_readers):
    source.faults.add(known_faults.corrupted_body(30_000_000))
    takers = [Taker(reader, blob, is_hashed=False) for reader in make_readers(2, stall_seconds=20)]

    run_all(*takers)

    assert takers[0].digest == takers[1].digest != blob.digest
    assert [taker.error for taker in takers] == [None, None]


def test_takers_that_are_all_slow_stay_together(source, blob, make_readers):
    readers = make_readers(3, stall_seconds=0.5)

    run_all(*(Taker(reader, blob, 0.04) for reader in readers))

    assert ranges(source) == [""]


def test_one_that_has_the_blob_for_itself_may_be_as_slow_as_it_likes(source, blob, make_readers):
    (reader,) = make_readers(1, stall_seconds=0.1)
    taker = Taker(reader, blob, 0.05)

    run_all(taker)

    assert taker.digest == blob.digest
    assert ranges(source) == [""]


def test_the_reading_waits_for_those_who_may_want_the_blob_and_not_for_the_others(source, blob, make_readers):
    first, second, third = make_readers(3, stall_seconds=20)
    takers = [Taker(first, blob), Taker(second, blob)]
    takers[0].start()
    assert not takers[0].has_begun.wait(0.3)
    takers[1].start()
    assert not takers[0].has_begun.wait(0.3)

    third.announce([])

    for taker in takers:
        taker.join(10)
    assert {taker.digest for taker in takers} == {blob.digest}
    assert ranges(source) == [""]


def test_one_that_does_not_come_in_time_reads_alone_and_is_not_waited_for_again(source, blob, make_readers):
    first, late = make_readers(2, stall_seconds=0.3)
    early_taker, late_taker = Taker(first, blob), Taker(late, blob)

    run_all(early_taker)
    run_all(late_taker)

    assert not late.is_waited_for
    assert ranges(source) == ["", ""]
    assert early_taker.digest == late_taker.digest == blob.digest


def test_one_that_leaves_does_not_end_the_reading_of_the_others(source, blob, make_readers):
    readers = make_readers(2, stall_seconds=20)
    stays, leaves = Taker(readers[0], blob, 0.02), Taker(readers[1], blob, 0.02)
    stays.start()
    leaves.start()
    assert leaves.has_begun.wait(10)

    readers[1].leave_all()

    stays.join(20)
    leaves.join(5)
    assert isinstance(leaves.error, Stopped)
    assert stays.digest == blob.digest
    assert ranges(source) == [""]


def test_when_all_leave_the_source_is_let_go(source, blob, make_readers):
    readers = make_readers(2, stall_seconds=20)
    takers = [Taker(reader, blob, 0.05) for reader in readers]
    for taker in takers:
        taker.start()
    assert all(taker.has_begun.wait(10) for taker in takers)

    for reader in readers:
        reader.leave_all()

    for taker in takers:
        taker.join(5)
        assert isinstance(taker.error, Stopped)
    assert wait_until(lambda: not [t for t in threading.enumerate() if t.name == "blob-reading"])
    assert sum(taker.read_bytes for taker in takers) < SIZE_BYTES


def wait_until(condition, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
