"""Large blobs between registries without TLS: they pass through the kernel, whatever happens on the way."""

import os
import threading
import time

import pytest

from registry import CopyOptions, CopyResult, CopySource, CopyTarget, Stopped, Timeouts, copy_artifact
from registry.client.proving import UNHASHED_BYTES
from registry.testkit import GeneratedContent, digest_of, known_faults

CONTENT = GeneratedContent(UNHASHED_BYTES + 3_000_000, "passed on")
LAYER = digest_of(CONTENT)
LONG = Timeouts(connect_seconds=5, first_byte_seconds=30, stall_seconds=30)


@pytest.fixture
def spliced(monkeypatch):
    """Add up what the kernel was asked to pass on."""
    sizes = []
    splice = os.splice

    def counted(*arguments, **options):
        size = splice(*arguments, **options)
        sizes.append(size)
        return size

    monkeypatch.setattr(os, "splice", counted)
    return sizes


@pytest.fixture
def copy(source, target, make_client):
    digest = source.add_image("team/app", "1", layers=[CONTENT])

    def run(*, stop=None, gate=None, **options):
        to = make_client(target, timeouts=LONG)
        to.connection.gate = gate or to.connection.gate
        to.connection.learned.verifies_uploads = True
        where = CopyTarget(to, "mirror/app", ("1",))
        outcome = copy_artifact(
            CopySource(make_client(source, timeouts=LONG), "team/app", digest),
            [where],
            options=CopyOptions(**options),
            stop=stop,
        )[0]
        if isinstance(outcome, CopyResult):
            assert target.tags("mirror/app") == {"1": digest}
            assert digest_of(target.blobs("mirror/app")[LAYER]) == LAYER
        return outcome

    return run


def test_it_passes_through_the_kernel(copy, spliced):
    result = copy()

    # Into the pipe and out of it, but for what came with the headers.
    assert sum(spliced) > 2 * (CONTENT.size_bytes - 100_000)
    assert result.bytes_copied >= CONTENT.size_bytes
    assert result.bytes_read >= CONTENT.size_bytes


@pytest.mark.parametrize("block_bytes", [1 << 20, 10_000])
def test_a_bandwidth_is_kept(copy, block_bytes):
    steps = []

    class Unhurried:
        def await_bytes(self, size_bytes, check_stop):
            steps.append(size_bytes)

    Unhurried.block_bytes = block_bytes

    assert isinstance(copy(pace=Unhurried()), CopyResult)
    assert sum(steps) >= CONTENT.size_bytes
    assert max(steps) <= block_bytes


def test_a_gate_that_cuts_is_obeyed(copy, target):
    steps = []

    class Cutting:
        block_bytes = 10_000

        def await_bytes(self, size_bytes):
            steps.append(size_bytes)

        def hear(self, status, headers):
            pass

        def miss(self):
            pass

        def leave(self):
            pass

    class Gate:
        def enter(self, lane, *, attempt, work, check_stop):
            return Cutting()

    assert isinstance(copy(gate=Gate()), CopyResult)
    assert sum(steps) >= CONTENT.size_bytes
    assert max(steps) <= Cutting.block_bytes


@pytest.mark.parametrize("after_bytes", [1, 100_000, 5_000_000, CONTENT.size_bytes - 1])
def test_a_download_that_breaks_is_gone_on_with(copy, source, after_bytes):
    source.faults.add(known_faults.reset_download(after_bytes, pattern=LAYER))

    assert isinstance(copy(), CopyResult)
    ranges = [request.headers.get("range", "") for request in source.requests_for("GET", LAYER)]
    assert len(ranges) == 2


def test_a_range_that_is_ignored_is_skipped_over(copy, source):
    source.faults.add(known_faults.reset_download(5_000_000, pattern=LAYER))
    source.faults.add(known_faults.range_ignored())

    assert isinstance(copy(), CopyResult)


@pytest.mark.parametrize("after_bytes", [1, 100_000, 5_000_000, CONTENT.size_bytes - 1])
def test_an_upload_that_breaks_is_gone_on_with_in_pieces(copy, target, after_bytes):
    target.faults.add(known_faults.reset_upload(after_bytes))

    assert isinstance(copy(), CopyResult)


def test_a_registry_that_wants_chunks_gets_them(copy, target):
    target.faults.add(known_faults.chunk_refused_above(4 << 20, status=413))

    assert isinstance(copy(), CopyResult)


def test_what_a_proxy_compressed_is_undone(copy, source):
    source.faults.add(known_faults.gzip_encoded(pattern=LAYER))

    assert isinstance(copy(), CopyResult)


def test_a_stop_does_not_wait_for_a_silent_source(copy, source):
    source.faults.add(known_faults.stalled(20, after_bytes=5_000_000, pattern=LAYER))
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()

    with pytest.raises(Stopped):
        copy(stop=stop)
    assert time.monotonic() - began < 10
    source.stop()
