"""An upload that is stopped because another blob of its artifact failed: left open where a retry follows."""

import threading
import time
from contextlib import suppress

import pytest
import redis

from registry import CopySource, CopyTarget, RegistryError, ServerError, Stopped, copy_artifact
from registry.client.uploads import SHELVED_BYTES
from registry.copying.halt import Halt
from registry.errors import DeniedError
from registry.testkit import Fault, GeneratedContent
from registry.testkit.content import BLOCK_BYTES, digest_of, read_all
from registry.testkit.messages import Response
from targets.limits.broker import Broker
from targets.shelves import SessionShelf

LARGE = GeneratedContent(SHELVED_BYTES + 3_000_000, "a large layer")
MEDIUM = GeneratedContent(SHELVED_BYTES - BLOCK_BYTES, "a layer that is sent anew")
SMALL = b"the layer that fails"
SENT_BYTES = 5 * BLOCK_BYTES


@pytest.fixture
def shelf(valkey_server):
    """Give the shelf of all workers, empty."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return SessionShelf("registry", Broker(valkey_server.url))


@pytest.fixture
def copy(source, target, make_client, shelf):
    """Copy an image of the layers: `copy(*layers, stop=…)`; give its digest and what came of it."""

    def run(*layers, stop=None):
        digest = source.add_image("team/app", "1", layers=[*layers, SMALL])
        (outcome,) = copy_artifact(
            CopySource(make_client(source), "team/app", digest),
            [CopyTarget(make_client(target), "mirror/app", ("1",), shelf=shelf)],
            stop=stop,
        )
        return digest, outcome

    return run


@pytest.fixture
def fail_midway(source, target):
    """Let the small layer fail with a status once all of the others that the source gives at first has arrived."""

    def prepare(status, *layers, also=lambda: None):
        for layer in layers:
            source.faults.add(
                Fault(method="GET", path_pattern=digest_of(layer), action="stall", after_bytes=SENT_BYTES, seconds=20)
            )

        def fail(response, request):
            await_uploads(target, len(layers))
            also()
            return Response(status)

        target.faults.add(Fault(method="HEAD", path_pattern=digest_of(SMALL), action="alter", rewrite=fail))

    return prepare


def await_uploads(registry, count):
    """Wait until so many uploads have come as far as they can."""
    until = time.monotonic() + 10
    while [each.size_bytes for each in list(registry.store.uploads.values())].count(SENT_BYTES) < count:
        assert time.monotonic() < until, registry.store.uploads
        time.sleep(0.01)


def ranges(registry, layer):
    return [request.headers.get("range", "") for request in registry.requests_for("GET", digest_of(layer))]


def test_the_next_attempt_goes_on_with_what_its_failing_sibling_stopped(source, target, copy, shelf, fail_midway):
    fail_midway(503, LARGE)
    _, outcome = copy(LARGE)
    assert isinstance(outcome, ServerError)
    assert target.open_uploads == 1
    source.requests.clear()

    digest, outcome = copy(LARGE)

    assert outcome.digest == digest
    assert ranges(source, LARGE) == [f"bytes={SENT_BYTES}-"]
    assert target.blob_bytes("mirror/app", digest_of(LARGE)) == read_all(LARGE)
    assert target.open_uploads == 0
    assert shelf.find("mirror/app", digest_of(LARGE)) == ""


def test_nothing_stays_open_where_no_attempt_follows(source, target, copy, shelf, fail_midway):
    fail_midway(400, LARGE)

    _, outcome = copy(LARGE)

    assert isinstance(outcome, RegistryError)
    assert not outcome.is_temporary
    assert target.open_uploads == 0
    assert shelf.find("mirror/app", digest_of(LARGE)) == ""


def test_nothing_stays_open_where_somebody_wanted_an_end(source, target, copy, shelf, fail_midway):
    stop = threading.Event()
    fail_midway(503, LARGE, also=stop.set)

    with suppress(Stopped):  # the failure and the stop come at once
        copy(LARGE, stop=stop)

    assert target.open_uploads == 0
    assert shelf.find("mirror/app", digest_of(LARGE)) == ""


def test_an_upload_that_is_not_shelved_is_cancelled_all_the_same(source, target, copy, fail_midway):
    fail_midway(503, LARGE, MEDIUM)

    copy(LARGE, MEDIUM)

    assert target.open_uploads == 1


def test_without_a_shelf_nothing_is_left_open(source, target, make_client, fail_midway):
    digest = source.add_image("team/app", "1", layers=[LARGE, SMALL])
    fail_midway(503, LARGE)

    copy_artifact(
        CopySource(make_client(source), "team/app", digest), [CopyTarget(make_client(target), "mirror/app", ("1",))]
    )

    assert target.open_uploads == 0


@pytest.mark.parametrize(
    ("cause", "is_pause"),
    [(ServerError("busy"), True), (DeniedError("no"), False), (ZeroDivisionError(), False), (None, False)],
    ids=["passes", "stays", "a bug", "none"],
)
def test_a_halt_is_a_pause_if_its_cause_passes(cause, is_pause):
    halt = Halt(None)
    assert not halt.is_pause

    halt.set(cause)
    halt.set(ServerError("a later one"))

    assert halt.is_set()
    assert halt.is_pause is is_pause
