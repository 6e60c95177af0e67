"""One rule with several targets: one read at the source, and each transfer with an end of its own."""

from contextlib import ExitStack

import pytest

from registry.testkit import Fault, MemoryRegistry, known_faults
from replication.models import Status, Transfer
from replication.runner.copying import CopyWork
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def mirrors():
    with ExitStack() as stack:
        yield [stack.enter_context(MemoryRegistry()) for _ in range(3)]


@pytest.fixture
def rule(pair, mirrors):
    """Give a rule from the source to the three mirrors."""
    return pair.make_rule(targets=[make_endpoint(name=f"m{n}", url=mirror.url) for n, mirror in enumerate(mirrors)])


def transfers_of(execution):
    return list(execution.transfers.order_by("task__target__name"))


def test_one_image_to_three_targets_is_read_once(pair, mirrors, rule, run):
    digest = pair.source.add_image("test/app", "v1", layer_sizes=[3_000_000, 1000])

    execution = run(rule)

    assert execution.status == Status.SUCCEEDED
    assert all(mirror.tags("test/app") == {"v1": digest} for mirror in mirrors)
    gets = [request.path for request in pair.source.requests_for("GET", "/blobs/")]
    assert len(gets) == len(set(gets)) == 3
    assert len({transfer.bytes_copied for transfer in transfers_of(execution)}) == 1
    assert all(transfer.bytes_done == transfer.bytes_total > 3_000_000 for transfer in transfers_of(execution))
    lines = execution.log_lines.filter(message__startswith="copied test/app:v1")
    assert sorted(line.message.partition("; ")[2] for line in lines) == [
        "read 0 B from the source",
        "read 0 B from the source",
        "read 2.9 MiB from the source",
    ]


def test_what_is_counted_is_what_went_over_the_wire(pair, mirrors, rule, run):
    pair.source.add_index("test/app", "v1")

    execution = run(rule)

    on_the_wire = len(pair.source.requests) + sum(len(mirror.requests) for mirror in mirrors)
    assert execution.requests == on_the_wire


def test_a_target_that_refuses_fails_alone(pair, mirrors, rule, run):
    digest = pair.source.add_image("test/app", "v1")
    mirrors[1].faults.add(known_faults.quota_exceeded())

    execution = run(rule)

    assert [transfer.status for transfer in transfers_of(execution)] == ["succeeded", "failed", "succeeded"]
    assert transfers_of(execution)[1].reason_code == "quota_exceeded"
    assert [mirror.tags("test/app") for mirror in mirrors] == [{"v1": digest}, {}, {"v1": digest}]


def test_a_transfer_that_arrived_is_recorded_while_another_is_still_on_its_way(pair, mirrors, rule, run, monkeypatch):
    pair.source.add_image("test/app", "v1")
    mirrors[0].faults.add(Fault(method="PUT", path_pattern="/manifests/", action="stall", seconds=2))
    seen = []
    results = CopyWork.results

    def look_first(self, future):
        seen.append(sorted(Transfer.objects.values_list("status", flat=True)))
        return results(self, future)

    monkeypatch.setattr(CopyWork, "results", look_first)

    execution = run(rule)

    assert seen == [["running", "succeeded", "succeeded"]]
    assert execution.status == Status.SUCCEEDED
    assert execution.transfers_succeeded == 3
