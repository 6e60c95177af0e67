"""What is counted is what went over the wire: by side and by method, bytes, retries and waits."""

from collections import Counter
from contextlib import ExitStack

import pytest
from django.db.models import Sum

from bench.registries import WireMeter
from registry.testkit import MemoryRegistry, known_faults
from registry.testkit.content import digest_of
from replication.counting import COST_COLUMNS
from replication.filters import FilterSpec
from replication.models import Execution, Status, Task, Transfer, Trigger
from replication.plan import Scope, TargetSpec
from replication.runner import Drain
from replication.services import start_execution, stop_execution
from tests.factories import make_endpoint, make_local_endpoint, make_rule
from tests.replication.test_drain import drain_until_finished, requests_of

pytestmark = pytest.mark.django_db

# A rule that names its repository asks for no catalogue: then all requests belong to tasks.
ONLY_APP = [FilterSpec("name", "test/app")]
COLUMNS = [*COST_COLUMNS, "waits", "waited_seconds"]


def on_the_wire(*registries: MemoryRegistry) -> dict[str, int]:
    """Count the requests by method."""
    return dict(Counter(request.method for registry in registries for request in registry.requests))


def told(row: Execution | Task | Transfer, side: str) -> dict[str, int]:
    """Give the row's own count, without zeros."""
    return {method: count for method, count in row.requests_by_side[side].items() if count}


def body_bytes(*registries: MemoryRegistry) -> int:
    """Add up the bodies that came in."""
    return sum(request.body_bytes for registry in registries for request in registry.requests)


def assert_counted(execution: Execution, source: MemoryRegistry, *targets: MemoryRegistry) -> None:
    """Compare the execution with the wire, and its parts with it."""
    execution.refresh_from_db()
    assert told(execution, "source") == on_the_wire(source)
    assert told(execution, "target") == on_the_wire(*targets)
    assert execution.requests == sum(on_the_wire(source, *targets).values())
    assert execution.bytes_written == body_bytes(*targets)
    assert_sums(execution)


def assert_sums(execution: Execution) -> None:
    """Transfers add up to no more than their task (the rest is planning), tasks to their execution."""
    sums = {column: Sum(column) for column in COLUMNS}
    of_tasks = execution.tasks.aggregate(**sums)
    assert {column: of_tasks[column] for column in COLUMNS} == {c: getattr(execution, c) for c in COLUMNS}
    for task in execution.tasks.all():
        of_transfers = task.transfers.aggregate(**sums)
        assert all((of_transfers[column] or 0) <= getattr(task, column) for column in COLUMNS)


def forget_requests(*registries: MemoryRegistry) -> None:
    for registry in registries:
        requests_of(registry)


def test_a_new_image(pair, run):
    digest = pair.source.add_image("test/app", "v1", layer_sizes=[3_000_000, 1000])
    manifest_bytes = len(pair.source.manifests("test/app")[digest].content)

    execution = run(pair.make_rule(filters=ONLY_APP))

    assert execution.status == Status.SUCCEEDED
    assert_counted(execution, pair.source, pair.target)
    transfer = execution.transfers.get()
    assert told(transfer, "target") == {"HEAD": 4, "POST": 3, "PUT": 4}
    assert transfer.bytes_written == transfer.bytes_total
    assert transfer.bytes_read == transfer.bytes_total - manifest_bytes  # which was read while planning
    assert (execution.retries, execution.waits, execution.waited_seconds) == (0, 0, 0)


def test_an_unchanged_run(pair, run):
    for number in range(5):
        pair.source.add_image("test/app", f"v{number}")
    rule = pair.make_rule(filters=ONLY_APP)
    run(rule)
    forget_requests(pair.source, pair.target)

    execution = run(rule)

    assert execution.tags_unchanged == 5
    assert_counted(execution, pair.source, pair.target)
    assert (told(execution, "source"), told(execution, "target")) == ({"HEAD": 5, "GET": 1}, {"GET": 1})
    assert execution.bytes_written == 0


def test_an_index_with_its_children(pair, run):
    pair.source.add_index("test/app", "v1")
    execution = run(pair.make_rule(filters=ONLY_APP))
    assert execution.status == Status.SUCCEEDED
    assert_counted(execution, pair.source, pair.target)


def test_a_copy_in_chunks(pair, run):
    pair.source.add_image("test/app", "v1", layer_sizes=[11 * 1024 * 1024])
    execution = run(pair.make_rule(filters=ONLY_APP, copy_by_chunk=True))
    assert execution.status == Status.SUCCEEDED
    assert told(execution, "target")["PATCH"] == 3  # two for the layer, one for the config
    assert_counted(execution, pair.source, pair.target)


def test_what_listing_the_source_asks_belongs_to_the_execution(pair, run):
    pair.source.add_image("test/app", "v1")

    execution = run(pair.make_rule())

    assert told(execution, "source") == on_the_wire(pair.source)
    catalogues = len(pair.source.requests_for("GET", "/_catalog"))
    assert execution.source_gets - execution.tasks.get().source_gets == catalogues == 1


def test_three_targets_are_counted_each_and_the_source_once(pair, run):
    pair.source.add_image("test/app", "v1", layer_sizes=[2_000_000, 10])
    with ExitStack() as stack:
        mirrors = [stack.enter_context(MemoryRegistry()) for _ in range(3)]
        targets = [make_endpoint(name=f"m{n}", url=mirror.url) for n, mirror in enumerate(mirrors)]

        execution = run(pair.make_rule(targets=targets, filters=ONLY_APP))

        assert execution.status == Status.SUCCEEDED
        assert_counted(execution, pair.source, *mirrors)
        tasks = list(execution.tasks.order_by("target__name"))
        assert [told(task, "target") for task in tasks] == [on_the_wire(mirror) for mirror in mirrors]
        assert [bool(task.source_gets) for task in tasks] == [True, False, False]


def test_what_is_read_for_others_after_the_first_has_arrived_is_counted_too(pair, run):
    pair.source.add_image("test/app", "v1", layer_sizes=[30_000_000])
    with MemoryRegistry() as quick, MemoryRegistry() as slow:
        # The second target breaks late and goes on alone: the source is read again, on the account of the first.
        slow.faults.add(known_faults.stalled(3, pattern="/blobs/uploads/[^?]+\\?.*digest"))
        slow.faults.add(known_faults.reset_upload(20_000_000))
        targets = [make_endpoint(name="m0", url=quick.url), make_endpoint(name="m1", url=slow.url)]

        execution = drain_until_finished(run(pair.make_rule(targets=targets, filters=ONLY_APP)))

        assert execution.status == Status.SUCCEEDED
        assert told(execution, "source") == on_the_wire(pair.source)
        assert told(execution, "target") == on_the_wire(quick, slow)
        assert_sums(execution)


def test_a_mount_inside_one_registry(db, source, run):
    source.add_image("test/app", "v1", layer_sizes=[1000])
    local = make_local_endpoint(url=source.url)
    rule = make_rule(source=local, targets=[TargetSpec(local.pk, "copied", 0)], filters=ONLY_APP)

    execution = run(rule)

    assert execution.status == Status.SUCCEEDED
    assert execution.bytes_mounted > 1000
    both = Counter(told(execution, "source")) + Counter(told(execution, "target"))
    assert dict(both) == on_the_wire(source)
    assert execution.requests == len(source.requests)
    assert told(execution, "target")["POST"] == 2
    assert_sums(execution)


def test_tokens_are_requests_to_the_side_that_demanded_them(db, run):
    login = {"username": "robot", "password": "Registry-Pass-1"}
    with MemoryRegistry(auth="bearer", **login) as source, MemoryRegistry(auth="bearer", **login) as target:
        source.add_image("test/app", "v1")
        endpoints = [
            make_endpoint(url=registry.url, access_key=login["username"], secret=login["password"])
            for registry in (source, target)
        ]

        execution = run(make_rule(source=endpoints[0], targets=endpoints[1:], filters=ONLY_APP))

        assert execution.status == Status.SUCCEEDED
        assert source.requests_for("GET", "/token")
        assert target.requests_for("GET", "/token")
        assert_counted(execution, source, target)


def test_redirects_are_requests(pair, run):
    pair.source.add_image("test/app", "v1", layer_sizes=[2_000_000])
    pair.source.faults.add(known_faults.redirect_to_expiring_link(times=2))
    execution = run(pair.make_rule(filters=ONLY_APP))
    assert execution.status == Status.SUCCEEDED
    assert_counted(execution, pair.source, pair.target)


def test_a_transfer_that_is_tried_again_after_a_503(pair, run):
    pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.server_errors(1, method="PUT", pattern="/manifests/"))

    execution = drain_until_finished(run(pair.make_rule(filters=ONLY_APP)))

    assert execution.status == Status.SUCCEEDED
    transfer = execution.transfers.get()
    assert (transfer.attempts, transfer.retries, transfer.waits) == (2, 1, 0)
    assert (execution.retries, execution.waits) == (1, 0)
    assert_counted(execution, pair.source, pair.target)


def test_a_repository_that_is_looked_at_again_after_a_503(pair, run):
    pair.source.add_image("test/app", "v1")
    pair.source.faults.add(known_faults.server_errors(1, pattern="/tags/list"))

    execution = drain_until_finished(run(pair.make_rule(filters=ONLY_APP)))

    assert execution.status == Status.SUCCEEDED
    assert (execution.tasks.get().retries, execution.retries) == (1, 1)
    assert_counted(execution, pair.source, pair.target)


def test_a_listing_that_fails_is_counted_too(pair, run):
    pair.source.add_image("test/app", "v1")
    pair.source.faults.add(known_faults.server_errors(1, pattern="/_catalog"))
    execution = drain_until_finished(run(pair.make_rule()))
    assert execution.status == Status.SUCCEEDED
    assert execution.retries == 1
    assert told(execution, "source") == on_the_wire(pair.source)


def test_a_download_that_goes_on_after_a_break_is_a_retry_of_the_same_attempt(pair, run):
    layer = b"layer" * 600_000
    pair.source.add_image("test/app", "v1", layers=[layer])
    pair.source.faults.add(known_faults.truncated_body(2_000_000, pattern=digest_of(layer)))

    execution = run(pair.make_rule(filters=ONLY_APP))

    assert execution.status == Status.SUCCEEDED
    transfer = execution.transfers.get()
    assert (transfer.attempts, transfer.retries) == (1, 1)
    assert_counted(execution, pair.source, pair.target)


def test_bytes_of_a_broken_upload_are_written_and_done_only_once(pair, run):
    pair.source.add_image("test/app", "v1", layer_sizes=[3_000_000])
    pair.target.faults.add(known_faults.server_errors(1, method="PUT", pattern="/blobs/uploads/"))

    execution = drain_until_finished(run(pair.make_rule(filters=ONLY_APP)))

    assert execution.status == Status.SUCCEEDED
    assert execution.bytes_done == execution.bytes_total
    assert execution.retries >= 1
    assert_counted(execution, pair.source, pair.target)


@pytest.mark.parametrize("pattern", ["/tags/list", "/blobs/uploads/"], ids=["planning", "copying"])
def test_work_that_a_registry_sends_away_waits_and_is_no_retry(pair, run, pattern):
    pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(1, retry_after="2", pattern=pattern))

    execution = run(pair.make_rule(filters=ONLY_APP))

    assert (execution.waits, execution.waited_seconds, execution.is_waiting) == (1, 0, True)
    assert execution.waiting_reason.startswith("target: ")
    execution = drain_until_finished(execution)
    assert execution.status == Status.SUCCEEDED
    assert (execution.waits, execution.retries, execution.is_waiting) == (1, 0, False)
    assert 2 <= execution.waited_seconds <= 4
    parked = execution.tasks.get() if pattern == "/tags/list" else execution.transfers.get()
    assert (parked.attempts, parked.waits, parked.parked_at) == (2, 1, None)
    assert_counted(execution, pair.source, pair.target)


def test_a_listing_that_the_source_sends_away_waits(pair, run):
    pair.source.add_image("test/app", "v1")
    pair.source.faults.add(known_faults.rate_limited(1, retry_after="2", pattern="/_catalog"))
    execution = drain_until_finished(run(pair.make_rule()))
    assert (execution.status, execution.waits, execution.retries) == (Status.SUCCEEDED, 1, 0)
    assert 2 <= execution.waited_seconds <= 4
    assert told(execution, "source") == on_the_wire(pair.source)


def test_a_wait_that_is_stopped_has_lasted_until_then(pair, run):
    pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(None, retry_after="90", pattern="/blobs/uploads/"))
    execution = run(pair.make_rule(filters=ONLY_APP))
    transfer = execution.transfers.get()
    Transfer.objects.filter(pk=transfer.pk).update(parked_at=transfer.parked_at.replace(year=2025))

    stop_execution(execution, by=None)

    execution.refresh_from_db()
    transfer.refresh_from_db()
    assert (execution.status, execution.waits, transfer.is_parked) == (Status.STOPPED, 1, False)
    assert execution.waited_seconds == transfer.waited_seconds > 300 * 86400
    assert_sums(execution)


def test_a_deletion(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    pair.source.add_image("test/app", "v2")
    rule = pair.make_rule(deletion=True, filters=ONLY_APP)
    run(rule)
    pair.source.remove_tag("test/app", "v1")
    forget_requests(pair.source, pair.target)

    execution = run(rule, scope=[Scope("test/app", deleted_digests=(digest,))])

    assert execution.status == Status.SUCCEEDED
    assert told(execution, "target")["DELETE"] >= 1
    assert_counted(execution, pair.source, pair.target)


def test_between_two_real_registries_the_access_logs_say_the_same(db, docker_registry_pair, skopeo):
    source, target = docker_registry_pair
    for number in range(3):
        skopeo.push_image(source.host, f"counted/app:v{number}", layer_sizes=[2_000_000 + number, 500])
    rule = make_rule(
        source=make_endpoint(url=source.url),
        targets=[make_endpoint(url=target.url)],
        filters=[FilterSpec("name", "counted/app")],
    )
    for is_first in (True, False):
        at_source, at_target = WireMeter(source), WireMeter(target)

        execution = start_execution(rule, trigger=Trigger.MANUAL)
        Drain(execution.pk).run()

        execution.refresh_from_db()
        read, written = at_source.read(), at_target.read()
        assert (execution.status, bool(execution.transfers_total)) == (Status.SUCCEEDED, is_first)
        assert told(execution, "source") == read.requests
        assert told(execution, "target") == written.requests
        assert execution.requests == read.total_requests + written.total_requests
        assert execution.bytes_read == read.sent_bytes
        assert_sums(execution)
