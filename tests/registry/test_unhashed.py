"""Large blobs are hashed by registries that verify, and by us on their way to any other: no wrong byte arrives."""

import pytest

from registry import (
    BlobCopied,
    BlobProgress,
    BlobResumed,
    BlobTakenBack,
    CopyOptions,
    CopyResult,
    CopySource,
    CopyTarget,
    DigestMismatchError,
    Tally,
    Timeouts,
    copy_artifact,
)
from registry.client.proving import UNHASHED_BYTES
from registry.testkit import Fault, GeneratedContent, MemoryRegistry, digest_of, known_faults
from registry.testkit.content import read_all
from registry.testkit.known_faults import UPLOAD

CONTENT = GeneratedContent(UNHASHED_BYTES + 1_000_000, "a large layer")
LAYER = digest_of(CONTENT)
LONG = Timeouts(connect_seconds=5, first_byte_seconds=30, stall_seconds=30)
OTHER_DIGEST = digest_of(b"something else")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("registry.client.uploads._PAUSE_SECONDS", 0.001)


@pytest.fixture
def digest(source):
    return source.add_image("team/app", "1", layers=[CONTENT])


@pytest.fixture
def lying_target():
    with MemoryRegistry(accepts_any_digest=True) as registry:
        yield registry


@pytest.fixture
def tally():
    return Tally()


@pytest.fixture
def copy(source, digest, make_client, tally):
    """Copy to mirror/app at each target; `verifies` is what is known of the targets: `copy(target, verifies=True)`."""

    def run(*targets, verifies=None, events=None, **options):
        collected = events if events is not None else []
        clients = [make_client(target, tally=tally, timeouts=LONG) for target in targets]
        for client in clients:
            client.connection.learned.verifies_uploads = verifies
        run.learned = [client.connection.learned for client in clients]
        return copy_artifact(
            CopySource(make_client(source, timeouts=LONG), "team/app", digest),
            [CopyTarget(client, "mirror/app", ("1",)) for client in clients],
            options=CopyOptions(**options),
            on_event=lambda _, event: collected.append(event),
        )

    return run


def corrupt(source, times=1):
    """Have the layer changed on its way from the source, where no size shows it."""
    return source.faults.add(known_faults.corrupted_body(5_000_000, times, pattern=LAYER))


def layer_puts(target):
    """Give the statuses of the requests that sent the whole layer."""
    return [request.status for request in target.requests_for("PUT") if request.body_bytes >= CONTENT.size_bytes]


def layer_commits(target):
    """Give the statuses of the requests that completed an upload of the layer, however it was sent."""
    return [r.status for r in target.requests_for("PUT") if LAYER.partition(":")[2] in r.target]


def layer_gets(source):
    return [request.headers.get("range", "") for request in source.requests_for("GET", LAYER)]


def assert_adds_up(events):
    def told(kind):
        return sum(event.bytes_delta for event in events if isinstance(event, kind) and event.digest == LAYER)

    assert [event.size_bytes for event in events if isinstance(event, BlobCopied) and event.digest == LAYER]
    assert told(BlobResumed) + told(BlobProgress) - told(BlobTakenBack) == CONTENT.size_bytes


def assert_arrived(target, digest):
    assert target.tags("mirror/app") == {"1": digest}
    assert target.blob_bytes("mirror/app", LAYER) == read_all(CONTENT)
    assert len(target.blobs("mirror/app")) == 2
    assert target.open_uploads == 0


def assert_nothing_wrong(target):
    assert target.tags("mirror/app") == {}
    assert LAYER not in target.blobs("mirror/app")
    assert target.open_uploads == 0


def test_the_first_large_blob_puts_its_target_to_the_test(target, copy, digest, tally):
    (outcome,) = copy(target)

    assert isinstance(outcome, CopyResult)
    assert copy.learned[0].verifies_uploads is True
    assert tally.total_requests == len(target.requests)
    assert tally.retries == 0
    assert_arrived(target, digest)


def test_what_a_target_refused_that_verifies_is_sent_once_more_and_hashed_by_us(source, target, copy, digest, tally):
    corrupt(source)
    events = []

    (outcome,) = copy(target, verifies=True, events=events)

    assert isinstance(outcome, CopyResult)
    assert layer_puts(target) == [400, 201]
    assert layer_gets(source) == ["", ""]
    assert tally.retries == 1
    assert copy.learned[0].verifies_uploads is True
    assert_adds_up(events)
    assert_arrived(target, digest)


def test_a_source_with_wrong_content_is_named_as_ever(source, target, copy):
    fault = corrupt(source, None)

    (unhashed,) = copy(target, verifies=True)
    assert source.faults.times_taken(fault) == 2
    assert layer_commits(target)[0] == 400
    (hashed,) = copy(target, verifies=False)

    assert isinstance(unhashed, DigestMismatchError)
    assert "the registry sent other content" in str(unhashed)
    assert (str(unhashed), unhashed.code) == (str(hashed), hashed.code)
    assert_nothing_wrong(target)


@pytest.mark.parametrize("verifies", [None, False], ids=["found out", "known"])
def test_a_target_that_does_not_verify_gets_nothing_that_was_not_hashed(source, lying_target, copy, digest, verifies):
    corrupt(source)

    (outcome,) = copy(lying_target, verifies=verifies)

    assert isinstance(outcome, DigestMismatchError)
    assert copy.learned[0].verifies_uploads is False
    assert 201 not in layer_commits(lying_target)
    assert_nothing_wrong(lying_target)

    (outcome,) = copy(lying_target, verifies=verifies)
    assert isinstance(outcome, CopyResult)
    assert_arrived(lying_target, digest)


def test_as_long_as_it_is_not_found_out_everything_is_hashed(source, lying_target, copy):
    lying_target.faults.add(Fault(method="POST", path_pattern="/blobs/uploads/", status=500, times=1))
    corrupt(source)

    (outcome,) = copy(lying_target)

    assert isinstance(outcome, Exception)
    assert copy.learned[0].verifies_uploads is not True
    assert_nothing_wrong(lying_target)


def test_one_target_that_does_not_verify_has_it_hashed_for_all(source, target, lying_target, copy, digest):
    corrupt(source)

    outcomes = copy(target, lying_target)

    assert all(isinstance(outcome, DigestMismatchError) for outcome in outcomes)
    assert [learned.verifies_uploads for learned in copy.learned] == [True, False]
    assert layer_gets(source) == [""]
    for each in (target, lying_target):
        assert_nothing_wrong(each)

    outcomes = copy(target, lying_target)
    assert all(isinstance(outcome, CopyResult) for outcome in outcomes)
    for each in (target, lying_target):
        assert_arrived(each, digest)


def test_several_targets_that_verify_refuse_what_they_shared_and_get_it_again(source, target, copy, digest):
    corrupt(source)
    with MemoryRegistry() as second, MemoryRegistry() as third:
        outcomes = copy(target, second, third)

        assert all(isinstance(outcome, CopyResult) for outcome in outcomes)
        for each in (target, second, third):
            assert layer_puts(each) == [400, 201]
            assert_arrived(each, digest)


def test_an_upload_that_breaks_goes_on_unhashed_and_the_target_verifies_the_whole(source, target, copy, digest):
    target.faults.add(break_upload())
    events = []

    (outcome,) = copy(target, verifies=True, events=events)

    assert isinstance(outcome, CopyResult)
    assert layer_gets(source) == ["", "bytes=4000000-"]
    assert_adds_up(events)
    assert_arrived(target, digest)


def test_what_breaks_and_is_wrong_as_well_arrives_in_the_end(source, target, copy, digest):
    corrupt(source)
    target.faults.add(break_upload(after_bytes=7_000_000))
    events = []

    (outcome,) = copy(target, verifies=True, events=events)

    assert isinstance(outcome, CopyResult)
    assert layer_commits(target)[-2:] == [400, 201]
    assert layer_gets(source) == ["", "bytes=7000000-", ""]
    assert_adds_up(events)
    assert_arrived(target, digest)


def break_upload(after_bytes=4_000_000):
    return Fault(
        method="PUT",
        path_pattern=UPLOAD,
        action="reset_after_bytes",
        after_bytes=after_bytes,
        larger_than_bytes=CONTENT.size_bytes - 1,
    )


def test_chunks_are_hashed_as_the_proof_is_for_a_blob_in_one_request(source, target, copy):
    corrupt(source)

    (outcome,) = copy(target, verifies=True, chunk_bytes=4_000_000)

    assert isinstance(outcome, DigestMismatchError)
    assert layer_commits(target) == []
    assert_nothing_wrong(target)


def test_chunks_ask_for_no_proof(target, copy, digest):
    copy(target, chunk_bytes=4_000_000)

    assert copy.learned[0].verifies_uploads is None
    assert 400 not in {request.status for request in target.requests}
    assert_arrived(target, digest)


def test_what_is_too_large_for_one_request_is_hashed_too(source, target, copy):
    corrupt(source)
    target.faults.add(known_faults.chunk_refused_above(CONTENT.size_bytes - 1, status=413))
    corrupt(source)

    (outcome,) = copy(target, verifies=True)

    assert isinstance(outcome, DigestMismatchError)
    assert 201 not in layer_commits(target)
    assert_nothing_wrong(target)


def test_a_refusal_as_quay_puts_it_is_healed_as_well(target, copy, digest):
    body = b'{"errors": [{"code": "BLOB_UPLOAD_INVALID"}]}'
    target.faults.add(Fault(method="PUT", path_pattern=UPLOAD, status=400, body=body, larger_than_bytes=1_000_000))

    (outcome,) = copy(target, verifies=True)

    assert isinstance(outcome, CopyResult)
    assert_arrived(target, digest)


def test_a_target_that_stores_other_content_after_all_is_trusted_no_more(source, lying_target, copy, digest):
    corrupt(source)
    lying_target.faults.add(
        Fault(
            method="PUT",
            path_pattern=UPLOAD,
            action="alter",
            larger_than_bytes=1_000_000,
            rewrite=lambda response, request: response.with_headers(docker_content_digest=OTHER_DIGEST),
        )
    )

    (outcome,) = copy(lying_target, verifies=True)

    assert isinstance(outcome, CopyResult)
    assert copy.learned[0].verifies_uploads is False
    assert layer_puts(lying_target) == [201, 201]
    assert_arrived(lying_target, digest)


def test_small_blobs_ask_for_no_proof(source, target, make_client):
    small = GeneratedContent(UNHASHED_BYTES - 1, "a small layer")
    digest = source.add_image("team/small", "1", layers=[small])
    source.faults.add(known_faults.corrupted_body(5_000_000, pattern=digest_of(small)))
    client = make_client(target, timeouts=LONG)

    (outcome,) = copy_artifact(
        CopySource(make_client(source), "team/small", digest), [CopyTarget(client, "mirror/app", ("1",))]
    )

    assert isinstance(outcome, DigestMismatchError)
    assert client.connection.learned.verifies_uploads is None
    assert 400 not in {request.status for request in target.requests}


def test_real_registries_verify_for_us(docker_registry_pair, make_client):
    first, second = docker_registry_pair
    with MemoryRegistry() as source:
        digest = source.add_image("team/app", "1", layers=[CONTENT])
        corrupt(source)
        clients = [make_client(registry, timeouts=LONG) for registry in (first, second)]

        outcomes = copy_artifact(
            CopySource(make_client(source, timeouts=LONG), "team/app", digest),
            [CopyTarget(client, "unhashed/app", ("1",)) for client in clients],
        )

        assert all(isinstance(outcome, CopyResult) for outcome in outcomes)
        assert len(layer_gets(source)) > 1  # the registries noticed, and had it sent once more
        for client in clients:
            assert client.connection.learned.verifies_uploads is True
            blob = client.get_manifest("unhashed/app", "1").blobs[-1]
            assert b"".join(client.blob_source("unhashed/app", blob).open()) == read_all(CONTENT)
