"""Whether a registry verifies uploads is found out once, by an upload that it has to refuse."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import Stopped, Tally
from registry.client import may_go_unhashed
from registry.client.proving import UNCLEAR_SECONDS, UNHASHED_BYTES
from registry.connection import Denial
from registry.digests import digest_of
from registry.media import Descriptor
from registry.testkit import Fault, MemoryRegistry, known_faults
from registry.testkit.known_faults import UPLOAD, UPLOADS

NAME = "mirror/app"


def learned(client):
    return client.connection.learned


def refusal(status, code, *, method="PUT", pattern=UPLOAD, **more):
    body = f'{{"errors": [{{"code": "{code}", "message": "no"}}]}}'.encode()
    return Fault(method=method, path_pattern=pattern, status=status, body=body, **more)


def statuses(registry, method):
    return [request.status for request in registry.requests_for(method, "/blobs/")]


def assert_nothing_is_left(registry):
    assert registry.open_uploads == 0
    assert registry.blobs(NAME) == {}


def test_a_registry_that_refuses_the_wrong_bytes_has_proven_itself(memory_registry, make_client):
    tally = Tally()
    client = make_client(memory_registry, tally=tally)

    assert client.verifies_uploads(NAME)

    assert learned(client).verifies_uploads is True
    assert [(request.method, request.status) for request in memory_registry.requests] == [
        ("POST", 202),
        ("PUT", 400),
        ("DELETE", 404),
    ]
    assert tally.total_requests == 3
    assert_nothing_is_left(memory_registry)


def test_it_proves_itself_to_who_has_a_token(make_client):
    with MemoryRegistry(auth="bearer", username="u", password="p") as registry:
        client = make_client(registry, username="u", password="p")

        assert client.verifies_uploads(NAME)
        assert_nothing_is_left(registry)


def test_it_is_asked_once(memory_registry, make_client):
    client = make_client(memory_registry)
    client.verifies_uploads(NAME)
    memory_registry.requests.clear()

    assert client.verifies_uploads("another/name")
    assert memory_registry.requests == []


def test_a_registry_that_takes_the_wrong_bytes_has_them_taken_away_again(make_client):
    with MemoryRegistry(accepts_any_digest=True) as registry:
        client = make_client(registry)

        assert not client.verifies_uploads(NAME)

        assert learned(client).verifies_uploads is False
        assert_nothing_is_left(registry)
        registry.requests.clear()
        assert not client.verifies_uploads(NAME)
        assert registry.requests == []


def test_wrong_bytes_that_cannot_be_taken_away_do_no_harm(make_client):
    with MemoryRegistry(accepts_any_digest=True, delete_enabled=False) as registry:
        client = make_client(registry)

        assert not client.verifies_uploads(NAME)

        assert learned(client).verifies_uploads is False
        assert registry.open_uploads == 0


@pytest.mark.parametrize(
    "fault",
    [
        refusal(403, "DENIED"),
        refusal(401, "UNAUTHORIZED"),
        refusal(404, "BLOB_UPLOAD_INVALID"),
        refusal(429, "TOOMANYREQUESTS"),
        refusal(500, "UNKNOWN"),
        refusal(403, "DENIED", method="POST", pattern=UPLOADS),
        refusal(503, "UNAVAILABLE", method="POST", pattern=UPLOADS),
        known_faults.quota_exceeded(1),
        refusal(400, "SIZE_INVALID"),
        refusal(400, "UNKNOWN"),
        Fault(method="PUT", path_pattern=UPLOAD, status=400, body=b"<html>Bad Request</html>"),
        Fault(method="PUT", path_pattern=UPLOAD, action="close", times=2),
    ],
    ids=lambda fault: f"{fault.method} {fault.status or fault.action} {fault.body[:40].decode()}",
)
def test_any_other_refusal_leaves_it_open_for_a_while(memory_registry, make_client, fault):
    client = make_client(memory_registry)
    memory_registry.faults.add(fault)

    assert not client.verifies_uploads(NAME)

    assert memory_registry.faults.times_taken(fault)
    assert learned(client).verifies_uploads is None
    assert_nothing_is_left(memory_registry)
    memory_registry.faults.clear()
    memory_registry.requests.clear()
    assert not client.verifies_uploads(NAME)
    assert memory_registry.requests == []

    denial = learned(client).verification_denial
    learned(client).verification_denial = Denial(denial.message, denial.at - UNCLEAR_SECONDS)
    assert client.verifies_uploads(NAME)
    assert learned(client).verification_denial is None


def test_a_refusal_as_quay_puts_it_is_a_proof(memory_registry, make_client):
    memory_registry.faults.add(refusal(400, "BLOB_UPLOAD_INVALID"))

    assert make_client(memory_registry).verifies_uploads(NAME)
    assert_nothing_is_left(memory_registry)  # this one keeps the session: it is cancelled


def test_threads_that_want_to_know_at_once_ask_once(memory_registry, make_client):
    client = make_client(memory_registry)
    memory_registry.faults.add(Fault(method="POST", path_pattern=UPLOADS, action="stall", seconds=0.3))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(client.verifies_uploads, [NAME] * 8))

    assert found == [True] * 8
    assert statuses(memory_registry, "POST") == [202]


def test_a_stop_leaves_no_session_behind(memory_registry, make_client):
    stop = threading.Event()

    def stop_now(response, request):
        stop.set()
        return response

    memory_registry.faults.add(Fault(method="POST", path_pattern=UPLOADS, action="alter", rewrite=stop_now))
    client = make_client(memory_registry, stop=stop)

    with pytest.raises(Stopped):
        client.verifies_uploads(NAME)

    assert_nothing_is_left(memory_registry)
    assert (learned(client).verifies_uploads, learned(client).verification_denial) == (None, None)


def test_a_real_registry_proves_itself(docker_registry, make_client):
    client = make_client(docker_registry)

    assert client.verifies_uploads("proving/itself")

    # What it does not manage to remove itself is a session of a few bytes that it purges some day.
    assert list(docker_registry.directory.rglob("proving/itself/_layers/*")) == []
    left = docker_registry.directory.rglob("proving/itself/_uploads/*/data")
    assert sum(path.stat().st_size for path in left) <= 64


@pytest.mark.parametrize(
    ("size_bytes", "algorithm", "may"),
    [(UNHASHED_BYTES, "sha256", True), (UNHASHED_BYTES - 1, "sha256", False), (UNHASHED_BYTES, "sha512", False)],
)
def test_only_large_blobs_of_the_proven_algorithm_go_unhashed(size_bytes, algorithm, may):
    assert may_go_unhashed(Descriptor("x/y", digest_of(b"any", algorithm), size_bytes)) is may
