"""What a worker does with an execution, against in-memory registries."""

import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from registry.testkit import Fault, MemoryRegistry, known_faults
from registry.testkit.images import BuiltManifest, build_artifact
from replication.filters import FilterSpec
from replication.models import Execution, Status, SyncState, Task, Transfer, Trigger
from replication.plan import Scope, TargetSpec
from replication.queue.claims import revive_expired
from replication.runner import Drain, handover
from replication.services import retry_failed, start_execution, stop_execution
from replication.sync_states import doubt
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db


def retag(registry: MemoryRegistry, repository: str, digest: str, tag: str) -> None:
    """Give a stored manifest another tag."""
    stored = registry.manifests(repository)[digest]
    registry.add_manifest(repository, tag, BuiltManifest(stored.media_type, stored.content))


def drain_until_finished(execution: Execution, *, seconds: float = 20.0) -> Execution:
    """Work again and again, as the sweep would have it, until the final status is written."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        Drain(execution.pk).run()
        execution.refresh_from_db()
        if execution.is_finished:
            return execution
        time.sleep(0.05)
    pytest.fail(f"not finished: {execution.status} {execution.status_text}")


def test_what_matches_arrives_with_the_same_digests(pair, run):
    digests = {tag: pair.source.add_image("test/app", tag, layer_sizes=[1000, 50_000]) for tag in ("v1", "v2")}
    pair.source.add_image("test/app", "nightly")
    pair.source.add_image("other/app", "v1")
    rule = pair.make_rule(filters=[FilterSpec("name", "test/**"), FilterSpec("tag", "v*")])

    execution = run(rule)

    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == digests
    assert pair.target.repositories == ("test/app",)
    assert (execution.tasks_total, execution.tasks_succeeded) == (1, 1)
    assert (execution.transfers_total, execution.transfers_succeeded) == (2, 2)
    assert execution.bytes_done == execution.bytes_total > 100_000
    assert execution.requests > 0
    assert dict(SyncState.objects.values_list("tag", "digest")) == digests
    messages = list(execution.log_lines.values_list("message", flat=True))
    assert any("copied test/app:v1" in message for message in messages)


def test_a_second_run_finds_everything_in_step_and_copies_nothing(pair, run):
    pair.source.add_image("test/app", "v1")
    rule = pair.make_rule()
    run(rule)
    writes = len(pair.target.requests_for("PUT"))

    execution = run(rule)

    assert execution.status == Status.SUCCEEDED
    assert (execution.transfers_total, execution.tags_unchanged) == (0, 1)
    assert len(pair.target.requests_for("PUT")) == writes


def test_retrying_copies_what_failed_of_a_whole_repository(pair, run, settings):
    settings.RETRY_GIVE_UP_SECONDS = 0
    good = pair.source.add_image("good/app", "v1")
    bad = pair.source.add_image("bad/app", "v1")
    pair.source.faults.add(Fault(path_pattern="/bad/app/", status=403, times=None))
    failed = run(pair.make_rule())
    assert (failed.status, failed.tasks_failed) == (Status.FAILED, 1)
    pair.source.faults.clear()

    again = retry_failed(failed, by=None)
    Drain(again.pk).run()

    again.refresh_from_db()
    assert (again.status, again.tasks_total) == (Status.SUCCEEDED, 1)
    assert pair.target.tags("bad/app") == {"v1": bad}
    assert pair.target.tags("good/app") == {"v1": good}


def requests_of(registry: MemoryRegistry) -> list[tuple[str, str]]:
    """Take and forget what was asked of a registry."""
    asked = [(request.method, request.path) for request in registry.requests]
    registry.requests.clear()
    return asked


def test_an_unchanged_tag_costs_one_request_at_the_source_and_none_at_the_target(pair, run):
    for number in range(20):
        pair.source.add_image("test/app", f"v{number}")
    rule = pair.make_rule(filters=[FilterSpec("name", "test/app")])
    run(rule)
    requests_of(pair.source), requests_of(pair.target)

    execution = run(rule)

    heads = [path for method, path in requests_of(pair.source) if method == "HEAD"]
    assert len(heads) == 20
    assert requests_of(pair.target) == [("GET", "/v2/test/app/tags/list")]
    assert (execution.tags_unchanged, execution.requests) == (20, 22)


def test_a_tag_that_went_from_the_target_is_put_back_by_the_next_run(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    rule = pair.make_rule()
    run(rule)
    pair.target.remove_tag("test/app", "v1")
    run(rule)
    assert pair.target.tags("test/app") == {"v1": digest}


def test_a_target_is_asked_again_when_it_was_not_for_long_and_when_it_tells_of_a_change(pair, run, settings):
    digest = pair.source.add_image("test/app", "v1")
    rule = pair.make_rule()
    run(rule)
    theirs = pair.target.add_image("test/app", "v1", layer_sizes=[9])
    run(rule)
    assert pair.target.tags("test/app") == {"v1": theirs}

    doubt(pair.target_endpoint.pk, "test/app", tag="v1", digest=theirs)
    run(rule)
    assert pair.target.tags("test/app") == {"v1": digest}

    pair.target.add_image("test/app", "v1", layer_sizes=[9])
    settings.VERIFY_HOURS = 0
    run(rule)
    assert pair.target.tags("test/app") == {"v1": digest}


def test_two_tags_of_one_digest_are_one_transfer(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    retag(pair.source, "test/app", digest, "latest")
    execution = run(pair.make_rule())
    transfer = execution.transfers.get()
    assert (transfer.digest, transfer.tags) == (digest, ["latest", "v1"])
    assert pair.target.tags("test/app") == {"latest": digest, "v1": digest}


def test_an_index_travels_with_all_its_children(pair, run):
    digest = pair.source.add_index("test/multi", "v1", ["linux/amd64", "linux/arm64"])
    execution = run(pair.make_rule())
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/multi") == {"v1": digest}
    assert len(pair.target.manifests("test/multi")) == 3


def test_namespace_and_flattening_decide_where_it_goes(pair, run):
    pair.source.add_image("a/b/app", "v1")
    rule = pair.make_rule(targets=[TargetSpec(pair.target_endpoint.pk, "mirror", -1)])
    assert run(rule).status == Status.SUCCEEDED
    assert pair.target.repositories == ("mirror/app",)


def test_one_repository_that_fits_nowhere_fails_alone(pair, run):
    pair.source.add_image("a/b/app", "v1")
    pair.source.add_image("flat", "v1")
    rule = pair.make_rule(targets=[TargetSpec(pair.target_endpoint.pk, "mirror", 2)])
    execution = run(rule)
    assert execution.status == Status.FAILED
    assert (execution.tasks_succeeded, execution.tasks_failed) == (1, 1)
    assert "mapping 1" in execution.status_text
    assert pair.target.repositories == ("mirror/app",)


def test_a_rule_that_matches_nothing_says_so(pair, run):
    pair.source.add_image("test/app", "v1")
    execution = run(pair.make_rule(filters=[FilterSpec("name", "nothing/**")]))
    assert (execution.status, execution.reason_code) == (Status.SUCCEEDED, "nothing_matched")
    messages = list(execution.log_lines.values_list("message", flat=True))
    assert "nothing/**" in messages[1]
    assert messages[-1] == "The execution succeeded."


def test_an_existing_tag_is_left_alone_without_override(pair, run):
    pair.source.add_image("test/app", "v1")
    theirs = pair.target.add_image("test/app", "v1", layer_sizes=[7])
    execution = run(pair.make_rule(override=False))
    assert pair.target.tags("test/app") == {"v1": theirs}
    transfer = execution.transfers.get()
    assert (transfer.status, transfer.reason_code) == (Status.SKIPPED, "not_overridden")
    assert (execution.status, execution.transfers_skipped) == (Status.SUCCEEDED, 1)


def test_several_targets_each_get_it_and_one_that_is_down_does_not_hold_the_others(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    with MemoryRegistry() as third:
        down = make_endpoint(name="down", url="http://127.0.0.1:9")
        second = make_endpoint(name="third", url=third.url)
        execution = run(pair.make_rule(targets=[down, pair.target_endpoint, second]))
        assert third.tags("test/app") == pair.target.tags("test/app") == {"v1": digest}
    assert execution.status == Status.RUNNING
    waiting = execution.tasks.get(target=down)
    assert waiting.is_retrying
    assert waiting.reason_code == "refused"


def test_a_target_that_comes_back_gets_what_waited(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    pair.target.stop()
    execution = run(pair.make_rule())
    assert execution.status == Status.RUNNING
    pair.target.start()
    execution = drain_until_finished(execution)
    assert execution.status == Status.SUCCEEDED
    assert execution.tasks.get().attempts > 1
    assert pair.target.tags("test/app") == {"v1": digest}


def test_a_source_that_is_down_is_listed_again_later(pair, run):
    pair.source.add_image("test/app", "v1")
    pair.source.stop()
    execution = run(pair.make_rule())
    assert execution.is_retrying
    assert execution.reason_code == "refused"
    pair.source.start()
    assert drain_until_finished(execution).status == Status.SUCCEEDED


def test_retries_end_when_the_patience_is_over(pair, run, settings):
    settings.RETRY_GIVE_UP_SECONDS = 0
    pair.source.add_image("test/app", "v1")
    pair.target.stop()
    execution = run(pair.make_rule())
    assert execution.status == Status.FAILED
    assert execution.reason_code == "refused"
    assert execution.tasks.get().reason


def test_a_broken_copy_is_tried_again_and_bytes_never_go_back(pair, run):
    digest = pair.source.add_image("test/app", "v1", layer_sizes=[3_000_000])
    pair.target.faults.add(known_faults.server_errors(6, method="PUT|PATCH|POST", pattern="/blobs/uploads/"))
    execution = run(pair.make_rule())
    execution = drain_until_finished(execution)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}
    assert execution.bytes_done == execution.bytes_total


def test_a_deleted_tag_goes_from_the_target_too(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    kept = pair.source.add_image("test/app", "v2")
    rule = pair.make_rule(deletion=True, trigger=Trigger.EVENT_BASED)
    run(rule)
    pair.source.remove_tag("test/app", "v1")

    execution = run(rule, scope=[Scope("test/app", deleted_digests=(digest,))])

    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v2": kept}
    assert execution.tasks.get().operation == "deletion"
    assert not SyncState.objects.filter(tag="v1").exists()


def test_what_somebody_else_put_at_the_target_is_not_deleted(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    rule = pair.make_rule(deletion=True)
    run(rule)
    theirs = pair.target.add_image("test/app", "v1", layer_sizes=[9])
    pair.source.remove_tag("test/app", "v1")
    execution = run(rule, scope=[Scope("test/app", deleted_digests=(digest,))])
    assert pair.target.tags("test/app") == {"v1": theirs}
    assert execution.transfers.get().reason_code == "target_changed"


def test_a_delete_event_for_a_tag_that_is_there_again_deletes_nothing(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    rule = pair.make_rule(deletion=True)
    run(rule)
    execution = run(rule, scope=[Scope("test/app", deleted_digests=(digest,))])
    assert pair.target.tags("test/app") == {"v1": digest}
    assert execution.transfers_total == 0


def test_sibling_tags_at_the_target_survive_a_deletion(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    rule = pair.make_rule(deletion=True)
    run(rule)
    retag(pair.target, "test/app", digest, "theirs")
    pair.source.remove_tag("test/app", "v1")
    execution = run(rule, scope=[Scope("test/app", deleted_digests=(digest,))])
    assert pair.target.tags("test/app") == {"v1": digest, "theirs": digest}
    transfer = execution.transfers.get()
    assert (transfer.status, transfer.reason_code) == (Status.SKIPPED, "sibling_tags")


def test_stopping_what_nobody_works_on_ends_it_at_once(pair):
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    stop_execution(execution, by=None)
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED
    Drain(execution.pk).run()
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED


def test_what_a_dead_worker_held_is_given_back_and_finished(pair):
    digest = pair.source.add_image("test/app", "v1")
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    long_ago = timezone.now() - timedelta(minutes=5)
    held = {"status": Status.RUNNING, "lease_owner": "dead", "lease_until": long_ago, "started_at": long_ago}
    Execution.objects.filter(pk=execution.pk).update(**held, attempts=1)
    assert revive_expired(timezone.now()) == {execution.pk}
    execution = drain_until_finished(execution)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}
    assert not Task.objects.filter(status=Status.RUNNING).exists()
    assert not Transfer.objects.filter(status=Status.RUNNING).exists()


def test_a_deleted_secret_key_fails_with_a_reason_and_sends_nothing(pair, run, settings):
    pair.source.add_image("test/app", "v1")
    pair.target_endpoint.set_secret("hidden")
    pair.target_endpoint.save()
    rule = pair.make_rule()
    settings.ENCRYPTION_KEYS = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    execution = run(rule)
    assert execution.status == Status.FAILED
    assert execution.tasks.get().reason_code == "endpoint_unusable"
    assert pair.target.requests == []


def test_resource_filters_tell_images_from_artifacts(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    pair.source.add_manifest("test/app", "chart", build_artifact(b"chart", artifact_type="application/vnd.test.chart"))
    execution = run(pair.make_rule(filters=[FilterSpec("resource", "image")]))
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}


def test_a_worker_that_ends_hands_over_what_it_holds(pair):
    digest = pair.source.add_image("test/app", "v1", layer_sizes=[20_000_000])
    pair.source.faults.add(known_faults.slow_drip(0.05, times=None))
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    timer = threading.Timer(1.5, handover.ask_drains_to_hand_over)
    timer.start()
    try:
        Drain(execution.pk).run()
    finally:
        timer.join()
        handover.withdraw()
    execution.refresh_from_db()
    transfer = execution.transfers.get()
    assert (execution.status, transfer.status, transfer.lease_owner) == (Status.RUNNING, Status.PENDING, "")

    pair.source.faults.clear()
    execution = drain_until_finished(execution)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}
