"""What a retry goes on with, and what its figures say then."""

import time
from dataclasses import replace

import pytest
import redis

from registry.client.uploads import SHELVED_BYTES
from registry.testkit import Fault, GeneratedContent
from registry.testkit.content import BLOCK_BYTES, StoredContent, digest_of
from replication.models import Status
from tests.replication.test_drain import drain_until_finished

pytestmark = pytest.mark.django_db

LARGE = GeneratedContent(SHELVED_BYTES + 3_000_000, "a large layer")
SMALL = b"the layer that fails"
SENT_BYTES = 5 * BLOCK_BYTES


@pytest.fixture(autouse=True)
def _empty_valkey(settings, valkey_server):
    settings.REDIS_URL = valkey_server.url
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()


@pytest.fixture
def fail_midway(pair):
    """Let the small layer come spoiled once, when a part of the large one has arrived."""
    pair.source.add_image("test/app", "v1", layers=[LARGE, SMALL])
    pair.source.faults.add(
        Fault(method="GET", path_pattern=digest_of(LARGE), action="stall", after_bytes=SENT_BYTES, seconds=20)
    )

    def fail(response, request):
        until = time.monotonic() + 10
        while not any(upload.size_bytes == SENT_BYTES for upload in list(pair.target.store.uploads.values())):
            assert time.monotonic() < until
            time.sleep(0.01)
        return replace(response, content=StoredContent((SMALL.upper(),)))

    pair.source.faults.add(Fault(method="GET", path_pattern=digest_of(SMALL), action="alter", rewrite=fail))


def test_a_retry_sends_the_rest_and_the_figures_meet(pair, run, fail_midway):
    execution = drain_until_finished(run(pair.make_rule()))

    assert execution.status == Status.SUCCEEDED
    ranges = [request.headers.get("range", "") for request in pair.source.requests_for("GET", digest_of(LARGE))]
    assert ranges == ["", f"bytes={SENT_BYTES}-"]
    assert pair.target.open_uploads == 0
    transfer = execution.transfers.get()
    assert transfer.attempts == 2
    for row in (transfer, execution.tasks.get(), execution):
        assert row.bytes_done == row.bytes_total > LARGE.size_bytes
        assert row.bytes_copied < LARGE.size_bytes + BLOCK_BYTES, "what was sent once was counted twice"
        assert SENT_BYTES <= row.bytes_present < SENT_BYTES + BLOCK_BYTES
