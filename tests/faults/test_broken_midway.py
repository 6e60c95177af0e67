"""Connections that are reset after any number of bytes, and tokens that do not last as long as a transfer."""

import os
import random

import pytest

from registry.testkit import Fault, MemoryRegistry, known_faults
from registry.testkit.known_faults import BLOB, UPLOADS
from replication.models import Status
from tests.faults.cases import BEARER
from tests.faults.soundness import assert_sound, replicate

pytestmark = pytest.mark.django_db

LAYER_BYTES = 1_500_000
CHUNKED_BYTES = 11_000_000  # more than one chunk of engine.CHUNK_BYTES
EDGES = (0, 1, LAYER_BYTES - 1, LAYER_BYTES)


@pytest.fixture
def offsets():
    """Give random offsets by a seed that is printed; FAULTS_SEED repeats one."""
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"FAULTS_SEED={seed}")
    return random.Random(seed)


def assert_arrives(pair, rule):
    execution = replicate(rule)
    assert execution.status == Status.SUCCEEDED, execution.status_text
    assert pair.target.tags("test/app") == pair.source.tags("test/app")
    assert_sound(pair, execution)


@pytest.mark.parametrize("after_bytes", EDGES)
def test_a_download_reset_at_an_edge_arrives(pair, after_bytes):
    pair.source.add_image("test/app", "v1", layer_sizes=[LAYER_BYTES])
    pair.source.faults.add(known_faults.reset_download(after_bytes))
    assert_arrives(pair, pair.make_rule())


@pytest.mark.parametrize("after_bytes", EDGES)
def test_an_upload_reset_at_an_edge_arrives(pair, after_bytes):
    pair.source.add_image("test/app", "v1", layer_sizes=[LAYER_BYTES])
    pair.target.faults.add(known_faults.reset_upload(after_bytes))
    assert_arrives(pair, pair.make_rule())


def test_downloads_reset_again_and_again_at_random_arrive(pair, offsets):
    pair.source.add_image("test/app", "v1", layer_sizes=[LAYER_BYTES] * 3)
    for _ in range(8):
        pair.source.faults.add(known_faults.reset_download(offsets.randrange(LAYER_BYTES)))
    assert_arrives(pair, pair.make_rule())


def test_uploads_reset_again_and_again_at_random_arrive(pair, offsets):
    pair.source.add_image("test/app", "v1", layer_sizes=[LAYER_BYTES] * 3)
    for _ in range(8):
        pair.target.faults.add(known_faults.reset_upload(offsets.randrange(LAYER_BYTES)))
    assert_arrives(pair, pair.make_rule())


def test_uploads_in_chunks_reset_again_and_again_at_random_arrive(pair, offsets):
    pair.source.add_image("test/app", "v1", layer_sizes=[CHUNKED_BYTES])
    for _ in range(4):
        pair.target.faults.add(known_faults.reset_upload(offsets.randrange(CHUNKED_BYTES)))
    assert_arrives(pair, pair.make_rule(copy_by_chunk=True))


def test_both_sides_reset_at_random_arrive(pair, offsets):
    pair.source.add_image("test/app", "v1", layer_sizes=[LAYER_BYTES] * 2)
    for _ in range(4):
        pair.source.faults.add(known_faults.reset_download(offsets.randrange(LAYER_BYTES)))
        pair.target.faults.add(known_faults.reset_upload(offsets.randrange(LAYER_BYTES)))
    assert_arrives(pair, pair.make_rule())


def test_a_reset_where_the_offset_cannot_be_asked_starts_the_blob_again(make_pair, offsets):
    pair = make_pair(target={"strict_upload_state": True})
    pair.source.add_image("test/app", "v1", layer_sizes=[LAYER_BYTES])
    pair.target.faults.add(known_faults.reset_upload(offsets.randrange(1, LAYER_BYTES)))
    execution = replicate(pair.make_rule())
    assert execution.status == Status.SUCCEEDED
    # distribution refuses every address of a session but the newest, which was in the answer that got lost.
    assert_sound(pair, execution, open_uploads=1)


def expire_after_each_answer(registry: MemoryRegistry) -> Fault:
    """Let every answer to do with the large layer make all tokens worthless: the next request meets a 401."""

    def rewrite(response, request):
        registry.expire_tokens()
        return response

    return Fault(method="GET|PUT|PATCH", path_pattern=f"{BLOB}|{UPLOADS}", times=None, action="alter", rewrite=rewrite)


@pytest.mark.parametrize("copy_by_chunk", [False, True], ids=["whole", "in_chunks"])
@pytest.mark.parametrize("side", ["source", "target"])
def test_tokens_that_expire_after_every_answer_are_renewed(make_pair, side, copy_by_chunk):
    pair = make_pair(**{side: BEARER})
    registry = pair.source if side == "source" else pair.target
    digest = pair.source.add_image("test/app", "v1", layer_sizes=[500_000])
    # One blob only is on its way: with two, one would spoil the other's fresh token, and two 401 in a row are a denial.
    config = pair.source.manifests("test/app")[digest].document["config"]["digest"]
    pair.target.add_blob("test/app", pair.source.blob_bytes("test/app", config))
    registry.faults.add(known_faults.reset_download(100_000))
    registry.faults.add(known_faults.reset_upload(100_000))
    expiring = registry.faults.add(expire_after_each_answer(registry))
    assert_arrives(pair, pair.make_rule(copy_by_chunk=copy_by_chunk))
    assert registry.faults.times_taken(expiring)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["source", "target"])
def test_tokens_of_two_seconds_last_through_a_longer_copy(make_pair, side):
    pair = make_pair(**{side: {**BEARER, "token_seconds": 2}})
    pair.source.add_image("test/app", "v1", layer_sizes=[60_000] * 12)
    pair.source.faults.add(known_faults.slow_drip(0.02, times=None))
    registry = pair.source if side == "source" else pair.target
    assert_arrives(pair, pair.make_rule())
    assert len(registry.requests_for("GET", "/token")) > 3
