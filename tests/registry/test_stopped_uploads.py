"""An upload that is stopped is cancelled when somebody wanted an end, and left open when another worker goes on."""

import threading
import time

import pytest
import redis

from registry import Stopped
from registry.client.uploads import SHELVED_BYTES
from registry.media import Descriptor
from registry.testkit import GeneratedContent
from registry.testkit.content import BLOCK_BYTES, digest_of, read_all
from targets.limits.broker import Broker
from targets.shelves import SessionShelf

CONTENT = GeneratedContent(SHELVED_BYTES, "a large layer")
BLOB = Descriptor("x/y", digest_of(CONTENT), CONTENT.size_bytes)
SENT_BYTES = 3 * BLOCK_BYTES


@pytest.fixture
def make_shelf(valkey_server):
    """Make the shelf of all workers, as seen by one that is to end and hands over, or not."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return lambda *, is_handing_over: SessionShelf(
        "registry", Broker(valkey_server.url), outlives_stop=lambda: is_handing_over
    )


@pytest.fixture
def stop_midway(memory_registry, make_client):
    """Upload until the stop after `SENT_BYTES`: `stop_midway(shelf)`."""

    def upload(shelf):
        stop = threading.Event()

        def pieces(offset):
            yield from CONTENT.read(offset, SENT_BYTES)
            stop.set()
            yield from CONTENT.read(SENT_BYTES)

        with pytest.raises(Stopped):
            make_client(memory_registry, stop=stop).upload_blob("team/app", BLOB, pieces, shelf=shelf)

    return upload


def await_bytes(registry, size_bytes):
    """Wait until the registry has read what was on its way to it."""
    (upload,) = registry.store.uploads.values()
    until = time.monotonic() + 10
    while upload.size_bytes < size_bytes:
        assert time.monotonic() < until, f"only {upload.size_bytes} bytes arrived"
        time.sleep(0.01)


def test_a_worker_that_hands_over_leaves_the_session_to_the_next(memory_registry, make_client, make_shelf, stop_midway):
    stop_midway(make_shelf(is_handing_over=True))
    await_bytes(memory_registry, SENT_BYTES)
    opened = []

    def read(offset):
        opened.append(offset)
        return CONTENT.read(offset)

    shelf = make_shelf(is_handing_over=False)
    make_client(memory_registry).upload_blob("team/app", BLOB, read, shelf=shelf)

    assert opened == [SENT_BYTES]
    assert memory_registry.blob_bytes("team/app", BLOB.digest) == read_all(CONTENT)
    assert shelf.find("team/app", BLOB.digest) == ""


def test_a_stop_that_is_meant_leaves_nothing_behind(memory_registry, make_shelf, stop_midway):
    shelf = make_shelf(is_handing_over=False)

    stop_midway(shelf)

    assert memory_registry.open_uploads == 0
    assert shelf.find("team/app", BLOB.digest) == ""
