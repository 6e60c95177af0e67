"""Large blobs between registries with TLS: they come into the process, and a stop still wakes who reads."""

import threading
import time

import pytest

from registry import CopySource, CopyTarget, Stopped, Timeouts, copy_artifact
from registry.client.proving import UNHASHED_BYTES
from registry.testkit import GeneratedContent, MemoryRegistry, digest_of, known_faults

CONTENT = GeneratedContent(UNHASHED_BYTES + 3_000_000, "encrypted on its way")
LAYER = digest_of(CONTENT)
LONG = Timeouts(connect_seconds=5, first_byte_seconds=30, stall_seconds=30)


@pytest.fixture(params=["both", "source", "target"])
def pair(request, certificate):
    """Give source and target, one of them or both with TLS."""
    options = {"certificate_path": str(certificate[0]), "key_path": str(certificate[1])}
    plain = {}
    with (
        MemoryRegistry(**(plain if request.param == "target" else options)) as source,
        MemoryRegistry(**(plain if request.param == "source" else options)) as target,
    ):
        yield source, target


@pytest.fixture
def copy(pair, make_client, certificate):
    source, target = pair
    digest = source.add_image("team/app", "1", layers=[CONTENT])
    settings = {"ca_certificate": certificate[0].read_text(), "timeouts": LONG}

    def run(stop=None):
        to = make_client(target, **settings)
        to.connection.learned.verifies_uploads = True
        return copy_artifact(
            CopySource(make_client(source, **settings), "team/app", digest),
            [CopyTarget(to, "mirror/app", ("1",))],
            stop=stop,
        )[0]

    return run


def test_it_arrives(copy, pair):
    result = copy()

    assert result.bytes_copied >= CONTENT.size_bytes
    assert digest_of(pair[1].blobs("mirror/app")[LAYER]) == LAYER


@pytest.mark.parametrize("after_bytes", [100_000, 5_000_000])
def test_a_download_that_breaks_is_gone_on_with(copy, pair, after_bytes):
    pair[0].faults.add(known_faults.reset_download(after_bytes, pattern=LAYER))

    copy()

    assert digest_of(pair[1].blobs("mirror/app")[LAYER]) == LAYER


def test_a_stop_does_not_wait_for_a_silent_source(copy, pair):
    pair[0].faults.add(known_faults.stalled(20, after_bytes=5_000_000, pattern=LAYER))
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()

    with pytest.raises(Stopped):
        copy(stop)
    assert time.monotonic() - began < 10
    pair[0].stop()
