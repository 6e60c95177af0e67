"""What a drain finds out about a registry is there for the next process."""

import pytest

from registry.client.proving import UNHASHED_BYTES
from registry.testkit import known_faults
from replication.models import Status
from targets import clients

pytestmark = pytest.mark.django_db

LIMIT_BYTES = 300_000


@pytest.fixture(autouse=True)
def restart():
    """Forget the connections, as a new process has none: `restart()`."""
    clients._kept.clear()
    yield clients._kept.clear
    clients._kept.clear()


def test_how_large_a_request_may_be_is_found_out_once(pair, run, restart):
    pair.target.faults.add(known_faults.chunk_refused_above(LIMIT_BYTES, status=413))
    pair.source.add_image("test/app", "v1", layer_sizes=[1_000_000])
    assert run(pair.make_rule()).status == Status.SUCCEEDED
    assert 413 in {request.status for request in pair.target.requests}
    pair.target_endpoint.refresh_from_db()
    learned = pair.target_endpoint.capabilities["chunk_limit_bytes"]
    assert learned <= LIMIT_BYTES

    restart()
    pair.target.requests.clear()
    digest = pair.source.add_image("test/other", "v1", layer_sizes=[1_000_001])
    assert run(pair.make_rule()).status == Status.SUCCEEDED
    assert pair.target.tags("test/other") == {"v1": digest}
    assert 413 not in {request.status for request in pair.target.requests}


def test_that_a_registry_verifies_is_found_out_once(pair, run, restart):
    pair.source.add_image("test/app", "v1", layer_sizes=[UNHASHED_BYTES])
    assert run(pair.make_rule()).status == Status.SUCCEEDED
    assert [request.status for request in pair.target.requests].count(400) == 1
    pair.target_endpoint.refresh_from_db()
    assert pair.target_endpoint.capabilities["verifies_uploads"] is True

    restart()
    pair.target.requests.clear()
    digest = pair.source.add_image("test/other", "v1", layer_sizes=[UNHASHED_BYTES + 1])
    assert run(pair.make_rule()).status == Status.SUCCEEDED
    assert pair.target.tags("test/other") == {"v1": digest}
    assert 400 not in {request.status for request in pair.target.requests}
