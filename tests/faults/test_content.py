"""What is lost or changed behind our back: blobs the target loses, tags that move, pages and links over TLS."""

import pytest

from registry.client.proving import UNHASHED_BYTES
from registry.digests import digest_of
from registry.testkit import Fault, MemoryRegistry, known_faults
from registry.testkit.images import BuiltManifest
from registry.testkit.known_faults import MANIFEST, UPLOAD
from replication.models import Status, Transfer, Trigger
from replication.runner import Drain
from replication.services import start_execution
from tests.faults.soundness import assert_sound, replicate

pytestmark = pytest.mark.django_db


def lose_blobs_after(registry: MemoryRegistry, repository: str, *, times: int) -> Fault:
    """Let the storage lose each of the next blobs as soon as it was committed."""

    def rewrite(response, request):
        registry.remove_blob(repository, response.headers.get("Docker-Content-Digest", ""))
        return response

    return Fault(method="PUT", path_pattern=UPLOAD, times=times, action="alter", rewrite=rewrite)


def test_a_blob_that_the_target_loses_is_put_there_again_before_the_tag_is(pair):
    pair.source.add_image("test/app", "v1", layer_sizes=[1_000, 2_000])
    pair.target.faults.add(lose_blobs_after(pair.target, "test/app", times=2))
    execution = replicate(pair.make_rule())
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == pair.source.tags("test/app")
    assert_sound(pair, execution)


def test_a_target_that_loses_every_blob_gets_no_tag(pair, settings):
    settings.RETRY_GIVE_UP_SECONDS = 0.2
    pair.source.add_image("test/app", "v1", layer_sizes=[1_000])
    pair.target.faults.add(lose_blobs_after(pair.target, "test/app", times=None))
    execution = replicate(pair.make_rule())
    assert (execution.status, execution.reason_code) == (Status.FAILED, "blob_unknown")
    assert pair.target.tags("test/app") == {}
    assert_sound(pair, execution)


@pytest.mark.parametrize("accepts_any_digest", [False, True], ids=["verifies", "lies"])
def test_a_large_layer_that_is_damaged_on_its_way_arrives_in_the_end(make_pair, accepts_any_digest):
    pair = make_pair(target={"accepts_any_digest": accepts_any_digest})
    pair.source.add_image("test/app", "v1", layer_sizes=[UNHASHED_BYTES])
    pair.source.faults.add(known_faults.corrupted_body(400, 2, pattern=known_faults.BLOB))
    execution = replicate(pair.make_rule())
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == pair.source.tags("test/app")
    assert_sound(pair, execution)


@pytest.mark.parametrize("accepts_any_digest", [False, True], ids=["verifies", "lies"])
def test_a_large_layer_that_is_always_damaged_gets_no_tag(make_pair, settings, accepts_any_digest):
    settings.RETRY_GIVE_UP_SECONDS = 0.3
    pair = make_pair(target={"accepts_any_digest": accepts_any_digest})
    pair.source.add_image("test/app", "v1", layer_sizes=[UNHASHED_BYTES])
    pair.source.faults.add(known_faults.corrupted_body(400, None, pattern=known_faults.BLOB))
    execution = replicate(pair.make_rule())
    assert (execution.status, execution.reason_code) == (Status.FAILED, "digest_mismatch")
    assert "the registry sent other content" in execution.transfers.get().reason
    assert pair.target.tags("test/app") == {}
    assert_sound(pair, execution)


def test_a_tag_that_moves_while_it_is_copied_ends_as_one_of_the_two(pair):
    first = pair.source.add_image("test/app", "v1", layer_sizes=[1_000])
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    moved: list[str] = []

    def move(response, request):
        moved.append(pair.source.add_image("test/app", "v1", layer_sizes=[2_000]))
        return response

    pair.source.faults.add(Fault(method="GET", path_pattern=MANIFEST, action="alter", rewrite=move))
    Drain(execution.pk).run()
    execution.refresh_from_db()
    assert moved
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": first}
    assert_sound(pair, execution)


def test_what_goes_from_the_source_after_planning_is_left_out_with_a_reason(pair):
    layer = b"a layer of v1 alone"
    digest = pair.source.add_image("test/app", "v1", layers=[layer])
    kept = pair.source.add_image("test/app", "v2")

    def take_away(response, request):
        pair.source.store.delete_manifest("test/app", digest)
        with pair.source.store.changing("test/app") as repository:
            repository.blobs.pop(digest_of(layer), None)
        return response

    read = Fault(method="GET", path_pattern=rf"{MANIFEST}v1", action="alter", rewrite=take_away)
    pair.source.faults.add(read)
    execution = replicate(pair.make_rule())
    assert pair.source.faults.times_taken(read) == 1
    assert pair.target.tags("test/app") == {"v2": kept}
    assert Transfer.objects.get(status=Status.SKIPPED).reason_code == "source_gone"
    assert_sound(pair, execution)


@pytest.mark.parametrize(
    "form",
    ['<http://127.0.0.1:5000{path}>; rel="next"', "<http://127.0.0.1{path}>; rel=next"],
    ids=["with a port of its own", "without a port"],
)
@pytest.mark.parametrize("side", ["source", "target"])
def test_pages_that_are_linked_over_http_behind_tls_are_read_to_the_end(make_pair, certificate, side, form):
    pair = make_pair(**{side: {**certificate, "page_size": 2}})
    registry = pair.source if side == "source" else pair.target
    digest = pair.source.add_image("test/app", "t0")
    stored = pair.source.manifests("test/app")[digest]
    for number in range(1, 7):
        pair.source.add_manifest("test/app", f"t{number}", BuiltManifest(stored.media_type, stored.content))
    odd = registry.faults.add(known_faults.odd_link(form))
    replicate(pair.make_rule())
    pair.target.remove_tag("test/app", "t6")
    execution = replicate(pair.make_rule())
    assert registry.faults.times_taken(odd) >= 4
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == pair.source.tags("test/app")
    assert_sound(pair, execution)


def test_a_listing_cut_at_a_hundred_without_a_link_is_read_to_the_end(make_pair):
    pair = make_pair(source={"page_size": 100})
    digest = pair.source.add_image("test/app", "t0")
    stored = pair.source.manifests("test/app")[digest]
    for number in range(1, 130):
        pair.source.add_manifest("test/app", f"t{number}", BuiltManifest(stored.media_type, stored.content))
    pair.source.faults.add(known_faults.listing_without_link())
    execution = replicate(pair.make_rule())
    assert execution.status == Status.SUCCEEDED
    assert len(pair.target.tags("test/app")) == 130
    assert_sound(pair, execution)


def test_a_source_whose_digest_headers_were_found_wrong_is_read_by_content_the_next_time(pair):
    pair.source.add_image("test/app", "v1")
    pair.target.add_image("test/app", "v1", layer_sizes=[7])  # so that the source is asked, and not read
    pair.source.faults.add(known_faults.wrong_digest_header())
    rule = pair.make_rule()
    assert replicate(rule).reason_code == "protocol"
    execution = replicate(rule)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == pair.source.tags("test/app")
    assert_sound(pair, execution)


def test_a_tag_more_for_what_the_target_has_moves_no_bytes_and_is_complete(pair):
    digest = pair.source.add_image("test/app", "v1")
    rule = pair.make_rule()
    replicate(rule)
    stored = pair.source.manifests("test/app")[digest]
    pair.source.add_manifest("test/app", "latest", BuiltManifest(stored.media_type, stored.content))
    execution = replicate(rule)
    assert (execution.bytes_done, execution.bytes_total) == (0, 0)
    assert pair.target.tags("test/app") == {"v1": digest, "latest": digest}
    assert_sound(pair, execution)


def test_what_an_earlier_attempt_brought_counts_as_done_in_the_next(pair):
    digest = pair.source.add_index("test/multi", "v1", ["linux/amd64", "linux/arm64"])
    pair.target.faults.add(known_faults.server_errors(1, method="PUT", pattern=f"{MANIFEST}v1"))
    execution = replicate(pair.make_rule())
    assert Transfer.objects.get().attempts == 2
    assert execution.bytes_done == execution.bytes_total > 0
    assert pair.target.tags("test/multi") == {"v1": digest}
    assert_sound(pair, execution)
