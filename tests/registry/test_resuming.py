"""Uploads that somebody did not come to end, gone on with by the next one: the shelf lies in a real Valkey."""

import time
from functools import partial

import pytest
import redis

from registry import CopyOptions, CopySource, CopyTarget, NetworkError, copy_artifact
from registry.client.uploads import SHELVED_BYTES
from registry.connection import Denial
from registry.copying import BlobCopied, BlobProgress, BlobRead, BlobResumed, BlobTakenBack, TargetFinished
from registry.media import Descriptor
from registry.testkit import Fault, GeneratedContent, MemoryRegistry
from registry.testkit.content import digest_of, read_all
from registry.testkit.known_faults import UPLOAD
from targets.limits.broker import Broker
from targets.shelves import SessionShelf

CONTENT = GeneratedContent(SHELVED_BYTES + 3_000_000, "a large layer")
BLOB = Descriptor("x/y", digest_of(CONTENT), CONTENT.size_bytes)
BROKE_AT = 5_000_000


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("registry.client.uploads._PAUSE_SECONDS", 0.001)


@pytest.fixture
def shelf(valkey_server):
    """Give the shelf of all workers, empty."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return SessionShelf("registry", Broker(valkey_server.url))


@pytest.fixture
def strict_target():
    """Give a registry that cannot say how far a broken request came, as distribution 2.8."""
    with MemoryRegistry(strict_upload_state=True) as registry:
        yield registry


@pytest.fixture
def digest(source):
    """Store an image at the source."""
    return source.add_image("team/app", "1", layers=[CONTENT])


@pytest.fixture(params=[True, None], ids=["unhashed", "hashed"])
def copy(source, make_client, shelf, digest, request):
    """Copy it as one worker would: `copy(target)`; give the events. Targets have proven that they verify, or cannot."""

    def run(target, **options):
        events = []
        client = make_client(target)
        client.connection.learned.verifies_uploads = request.param
        client.connection.learned.verification_denial = Denial("it was away", time.monotonic())
        (outcome,) = copy_artifact(
            CopySource(make_client(source), "team/app", digest),
            [CopyTarget(client, "mirror/app", ("1",), shelf=shelf)],
            options=CopyOptions(**options),
            on_event=lambda _, event: events.append(event),
        )
        if isinstance(outcome, Exception):
            raise outcome
        return events

    return run


def break_at(target, size_bytes, *, skip=0, answers=0):
    """Have a request break after so many bytes, and the session's registry be away then (after some `answers`)."""
    fault = partial(Fault, path_pattern=UPLOAD)
    target.faults.add(
        fault(
            method="PUT|PATCH", action="reset_after_bytes", after_bytes=size_bytes, larger_than_bytes=10_000, skip=skip
        )
    )
    target.faults.add(fault(method="GET|DELETE", action="close", times=None, skip=answers))


def break_copy(copy, target, size_bytes=BROKE_AT, *, skip=0, answers=0, **options):
    """Let one worker fail in the middle; then the registry is well again, and nothing was asked of it."""
    break_at(target, size_bytes, skip=skip, answers=answers)
    with pytest.raises(NetworkError):
        copy(target, **options)
    target.faults.clear()
    target.requests.clear()


def ranges(source):
    """Give the ranges that the layer was read with, "" for the whole."""
    return [request.headers.get("range", "") for request in source.requests_for("GET", BLOB.digest)]


def sum_of(events, kind, digest=BLOB.digest):
    return sum(event.bytes_delta for event in events if isinstance(event, kind) and event.digest == digest)


def assert_adds_up(events):
    """What was told of each blob is its size when it is complete."""
    copied = [event for event in events if isinstance(event, BlobCopied)]
    assert BLOB.digest in {event.digest for event in copied}
    for event in copied:
        told = {kind: sum_of(events, kind, event.digest) for kind in (BlobResumed, BlobProgress, BlobTakenBack)}
        assert told[BlobResumed] + told[BlobProgress] - told[BlobTakenBack] == event.size_bytes, told


def assert_arrived(target, digest, shelf):
    assert target.tags("mirror/app") == {"1": digest}
    assert target.blob_bytes("mirror/app", BLOB.digest) == read_all(CONTENT)
    assert target.open_uploads == 0
    assert shelf.find("mirror/app", BLOB.digest) == ""


def test_the_next_one_goes_on_where_the_upload_broke(source, target, copy, shelf, digest):
    break_copy(copy, target)
    assert shelf.find("mirror/app", BLOB.digest).startswith(target.url)
    assert target.open_uploads == 1
    source.requests.clear()

    events = copy(target)

    assert ranges(source) == [f"bytes={BROKE_AT}-"]
    assert sum(r.body_bytes for r in target.requests_for("PUT", "/blobs/")) < BLOB.size_bytes - BROKE_AT + 1000
    assert len(target.requests_for("POST")) <= 1  # the config's, if that was not through before
    assert sum_of(events, BlobResumed) == BROKE_AT
    assert sum_of(events, BlobProgress) == sum_of(events, BlobRead) == BLOB.size_bytes - BROKE_AT
    assert_adds_up(events)
    assert_arrived(target, digest, shelf)


def test_the_result_tells_apart_what_was_sent_and_what_was_there(target, copy):
    break_copy(copy, target)

    (result,) = [event.outcome for event in copy(target) if isinstance(event, TargetFinished)]

    sent = sum(request.body_bytes for request in target.requests_for("PUT", "/blobs/"))
    assert result.bytes_copied == sent
    assert BROKE_AT <= result.bytes_present <= BROKE_AT + 1000  # the config may have been through before
    assert result.bytes_copied + result.bytes_present > BLOB.size_bytes


def test_what_was_sent_twice_in_one_attempt_counts_once_and_not_as_there(target, copy):
    target.faults.add(
        Fault(
            method="PUT",
            path_pattern=UPLOAD,
            action="reset_after_bytes",
            after_bytes=BROKE_AT,
            larger_than_bytes=10_000,
        )
    )

    (result,) = [event.outcome for event in copy(target) if isinstance(event, TargetFinished)]

    assert result.bytes_present == 0
    assert BLOB.size_bytes < result.bytes_copied < BLOB.size_bytes + 1000


@pytest.fixture
def upload(make_client, shelf):
    """Upload the layer, hinting at a repository to mount it from; give the offsets that it was read from."""

    def run(target, *, mount_from):
        opened = []

        def read(offset):
            opened.append(offset)
            return CONTENT.read(offset)

        was_mounted = make_client(target).upload_blob("mirror/app", BLOB, read, mount_from=mount_from, shelf=shelf)
        assert was_mounted == (not opened)
        return opened

    return run


def test_a_mount_that_fails_goes_on_with_the_shelved_session(target, copy, upload, shelf):
    break_copy(copy, target)

    opened = upload(target, mount_from="team/none")

    assert opened == [BROKE_AT]
    assert target.blob_bytes("mirror/app", BLOB.digest) == read_all(CONTENT)
    assert target.open_uploads == 0
    assert shelf.find("mirror/app", BLOB.digest) == ""


def test_a_mount_that_succeeds_gives_the_shelved_session_up(target, copy, upload, shelf):
    break_copy(copy, target)
    target.add_blob("team/base", CONTENT)

    assert upload(target, mount_from="team/base") == []

    assert target.open_uploads == 0
    assert shelf.find("mirror/app", BLOB.digest) == ""


def test_a_mount_that_fails_brings_a_session_where_the_shelved_one_is_lost(target, copy, upload, shelf):
    break_copy(copy, target)
    target.lose_uploads()

    opened = upload(target, mount_from="team/none")

    assert opened == [0]
    assert len(target.requests_for("POST")) == 1
    assert target.open_uploads == 0
    assert shelf.find("mirror/app", BLOB.digest) == ""


def test_a_mount_that_fails_leaves_nothing_open_where_nobody_says_how_far_the_shelved_one_is(
    target, copy, upload, shelf
):
    break_copy(copy, target)
    kept = shelf.find("mirror/app", BLOB.digest)
    target.faults.add(Fault(method="GET", path_pattern=UPLOAD, action="close", times=2))

    with pytest.raises(NetworkError):
        upload(target, mount_from="team/none")

    assert target.open_uploads == 1
    assert shelf.find("mirror/app", BLOB.digest) == kept


def test_an_upload_may_break_more_than_once(source, target, copy, shelf, digest):
    break_copy(copy, target)
    break_copy(copy, target, 2_000_000, answers=1)
    source.requests.clear()

    events = copy(target)

    assert ranges(source) == [f"bytes={BROKE_AT + 2_000_000}-"]
    assert_adds_up(events)
    assert_arrived(target, digest, shelf)


def test_chunks_go_on_after_the_last_one_that_arrived(source, strict_target, copy, shelf, digest):
    break_copy(copy, strict_target, 0, skip=2, chunk_bytes=2_000_000)
    source.requests.clear()

    events = copy(strict_target, chunk_bytes=2_000_000)

    assert ranges(source) == ["bytes=4000000-"]
    assert strict_target.requests_for("PATCH")[0].headers["content-range"] == "4000000-5999999"
    assert_adds_up(events)
    assert_arrived(strict_target, digest, shelf)


def append(target, content):
    """Write to the open session behind everybody's back."""
    (upload,) = target.store.uploads.values()
    upload.append(content)


@pytest.mark.parametrize(
    "spoil",
    [lambda target: target.lose_uploads(), lambda target: append(target, bytes(BLOB.size_bytes))],
    ids=["lost", "has more than the blob"],
)
def test_a_session_that_is_of_no_use_is_left_for_a_new_one(source, target, copy, digest, spoil):
    break_copy(copy, target)
    spoil(target)
    source.requests.clear()

    events = copy(target)

    assert ranges(source) == [""]
    assert sum_of(events, BlobResumed) == 0
    assert_adds_up(events)
    assert target.blob_bytes("mirror/app", BLOB.digest) == read_all(CONTENT)


def test_a_registry_that_cannot_say_what_has_arrived_gets_it_all_again(source, strict_target, copy, shelf, digest):
    break_copy(copy, strict_target)
    source.requests.clear()

    events = copy(strict_target)

    assert ranges(source) == [""]
    assert_adds_up(events)
    assert strict_target.tags("mirror/app") == {"1": digest}
    assert shelf.find("mirror/app", BLOB.digest) == ""


def test_what_was_completed_before_its_worker_died_is_found(source, target, copy, shelf, digest, make_client):
    break_copy(copy, target)
    kept = shelf.find("mirror/app", BLOB.digest)
    make_client(target).upload_blob("mirror/app", BLOB, CONTENT.read, shelf=shelf)
    shelf.keep("mirror/app", BLOB.digest, kept)  # the worker died before it could drop it
    source.requests.clear()
    target.requests.clear()
    target.faults.add(Fault(method="HEAD", path_pattern=BLOB.digest, status=404))

    events = copy(target)

    assert ranges(source) == []
    assert sum(request.body_bytes for request in target.requests_for("PUT", "/blobs/")) < 10_000
    assert_adds_up(events)
    assert_arrived(target, digest, shelf)


def test_all_that_is_left_may_be_the_commit(source, target, copy, shelf, digest):
    break_copy(copy, target, BLOB.size_bytes)
    source.requests.clear()

    events = copy(target)

    assert ranges(source) == []
    assert sum_of(events, BlobResumed) == BLOB.size_bytes
    assert_adds_up(events)
    assert_arrived(target, digest, shelf)


def test_wrong_bytes_in_a_session_cost_one_more_start(source, target, copy, shelf, digest):
    break_copy(copy, target)
    append(target, b"what somebody else appended")
    source.requests.clear()

    events = copy(target)

    assert ranges(source) == [f"bytes={BROKE_AT + 27}-", ""]
    assert sum_of(events, BlobTakenBack) > BROKE_AT
    assert_adds_up(events)
    assert_arrived(target, digest, shelf)


def test_nothing_is_gone_on_with_where_nobody_would_verify_the_whole(source, copy, shelf, digest, make_client):
    with MemoryRegistry(accepts_any_digest=True) as target:
        break_copy(copy, target)
        append(target, b"what somebody else appended")
        client = make_client(target)

        copy_artifact(
            CopySource(make_client(source), "team/app", digest),
            [CopyTarget(client, "mirror/app", ("1",), shelf=shelf)],
        )

        assert client.connection.learned.verifies_uploads is False
        assert target.blob_bytes("mirror/app", BLOB.digest) == read_all(CONTENT)


def test_small_blobs_are_never_shelved(target, shelf, make_client):
    small = GeneratedContent(SHELVED_BYTES - 1, "small")
    blob = Descriptor("x/y", digest_of(small), small.size_bytes)
    break_at(target, BROKE_AT)

    with pytest.raises(NetworkError):
        make_client(target).upload_blob("team/app", blob, small.read, shelf=shelf)

    assert shelf.find("team/app", blob.digest) == ""


def test_another_target_does_not_wait_for_one_that_goes_on(source, target, copy, shelf, digest, make_client):
    break_copy(copy, target)
    target.faults.add(Fault(method="PUT", path_pattern=UPLOAD, action="stall", seconds=1.5, larger_than_bytes=10_000))
    arrived = []

    def note(index, event):
        if isinstance(event, BlobCopied) and event.digest == BLOB.digest:
            arrived.append(index)

    with MemoryRegistry() as other:
        copy_artifact(
            CopySource(make_client(source), "team/app", digest),
            [
                CopyTarget(make_client(target), "mirror/app", ("1",), shelf=shelf),
                CopyTarget(make_client(other), "mirror/app", ("1",)),
            ],
            options=CopyOptions(stall_seconds=60),
            on_event=note,
        )

        assert arrived == [1, 0]
        assert other.blob_bytes("mirror/app", BLOB.digest) == read_all(CONTENT)
    assert_arrived(target, digest, shelf)


@pytest.mark.parametrize("chunk_bytes", [None, 2_000_000], ids=["in one", "in chunks"])
def test_a_real_registry_gets_the_right_content_in_the_end(docker_registry, make_client, shelf, chunk_bytes):
    repository = f"resuming/{chunk_bytes or 'whole'}"
    opened = []

    def read_badly(offset):
        yield from CONTENT.read(0, 4_500_000)
        raise NetworkError("the source went away")

    client = make_client(docker_registry)
    with pytest.raises(NetworkError, match="the source went away"):
        client.upload_blob(repository, BLOB, read_badly, chunk_bytes=chunk_bytes, shelf=shelf)
    assert shelf.find(repository, BLOB.digest)

    client.upload_blob(
        repository, BLOB, lambda o: opened.append(o) or CONTENT.read(o), chunk_bytes=chunk_bytes, shelf=shelf
    )

    assert opened == [0 if chunk_bytes is None else 4_000_000]
    assert b"".join(client.blob_source(repository, BLOB).open()) == read_all(CONTENT)
    assert shelf.find(repository, BLOB.digest) == ""
