"""From asking for a stop to everything being stopped: promised within a second, whatever a worker waits for.

The figures are printed (`pytest -rP`); the bound of the tests is twice the promise, for a busy machine.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from registry.testkit import known_faults
from replication.models import FINISHED, Execution, Status, Task, Transfer, Trigger
from replication.runner import Drain
from replication.services import start_execution, stop_execution

pytestmark = pytest.mark.django_db

BOUND_SECONDS = 2.0
PATIENCE_SECONDS = 20.0


@dataclass
class StoppingDrain(Drain):
    """A worker that is asked to stop from within: the database of a test belongs to its own thread."""

    is_time: Callable[[], bool] = lambda: True
    asked_at: float | None = None

    def _watch(self) -> None:
        if self.asked_at is None and self.is_time():
            self.asked_at = time.monotonic()
            stop_execution(Execution.objects.get(pk=self.execution_id), by=None)
        super()._watch()


def measure_stop(execution: Execution, what: str, is_time: Callable[[], bool]) -> None:
    """Work on the execution, stop it when it is time, and hold how long that took against the bound."""
    limit = time.monotonic() + PATIENCE_SECONDS
    drain = StoppingDrain(execution.pk, is_time=lambda: is_time() or time.monotonic() > limit)
    drain.run()
    assert drain.asked_at is not None, "it ended before it could be stopped"
    took = time.monotonic() - drain.asked_at
    print(f"stopped {what} within {took:.3f} s")
    assert_stopped(execution)
    assert took <= BOUND_SECONDS


def assert_stopped(execution: Execution) -> None:
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED
    assert set(execution.tasks.values_list("status", flat=True)) <= {*FINISHED}
    assert set(execution.transfers.values_list("status", flat=True)) <= {*FINISHED}
    assert not execution.tasks.exclude(lease_owner="").exists()
    assert not execution.transfers.exclude(lease_owner="").exists()


def start(pair, **options) -> Execution:
    return start_execution(pair.make_rule(**options), trigger=Trigger.MANUAL)


def test_in_the_middle_of_a_large_blob_that_comes_slowly(pair):
    pair.source.add_image("test/app", "v1", layer_sizes=[200_000_000])
    pair.source.faults.add(known_faults.slow_drip(0.02, times=None))
    execution = start(pair)
    measure_stop(execution, "a slow blob", lambda: Transfer.objects.filter(bytes_copied__gt=0).exists())
    assert execution.transfers.get().status == Status.STOPPED
    assert pair.target.tags("test/app") == {}


def test_while_the_source_says_nothing_in_the_middle_of_a_blob(pair):
    pair.source.add_image("test/app", "v1", layer_sizes=[20_000_000])
    pair.source.faults.add(known_faults.stalled(60, times=None, after_bytes=2_000_000))
    execution = start(pair)
    measure_stop(execution, "a silent source", lambda: Transfer.objects.filter(bytes_copied__gt=0).exists())
    assert execution.transfers.get().status == Status.STOPPED


def test_while_the_target_does_not_answer_an_upload(pair):
    pair.source.add_image("test/app", "v1", layer_sizes=[3_000_000])
    pair.target.faults.add(known_faults.stalled(60, times=None, pattern="/blobs/uploads/"))
    execution = start(pair)
    measure_stop(execution, "a silent target", lambda: bool(pair.target.requests_for("HEAD", "/blobs/")))


def test_while_the_repositories_are_listed(pair):
    pair.source.add_image("test/app", "v1")
    pair.source.faults.add(known_faults.stalled(60, times=None, pattern="/_catalog"))
    execution = start(pair)
    measure_stop(execution, "a listing", lambda: Execution.objects.filter(status=Status.RUNNING).exists())


def test_while_a_repository_is_compared(pair):
    pair.source.add_image("test/app", "v1")
    pair.source.faults.add(known_faults.stalled(60, times=None, pattern="/tags/list"))
    execution = start(pair)
    measure_stop(execution, "a comparison", lambda: Task.objects.filter(status=Status.RUNNING).exists())
    assert execution.tasks.get().status == Status.STOPPED


def test_while_one_transfer_is_parked_and_another_under_way(pair):
    pair.source.add_image("test/parked", "v1")
    pair.source.add_image("test/slow", "v1", layer_sizes=[20_000_000])
    pair.source.faults.add(known_faults.slow_drip(0.02, times=None, pattern="test/slow/blobs"))
    # The allowance of the target is used up for one repository only: nothing but its own work is sent away.
    pair.target.faults.add(known_faults.rate_limited(None, retry_after=None, pattern="test/parked/blobs/uploads"))
    execution = start(pair)

    def is_time() -> bool:
        is_parked = Transfer.objects.filter(parked_at__isnull=False).exists()
        return is_parked and Transfer.objects.filter(bytes_copied__gt=0, status=Status.RUNNING).exists()

    measure_stop(execution, "a parked transfer beside a running one", is_time)
    assert set(execution.transfers.values_list("status", flat=True)) == {Status.STOPPED}


def test_while_everything_is_parked_and_no_worker_is_there(pair):
    pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(None, retry_after="90", pattern="/blobs/uploads/"))
    execution = start(pair)
    Drain(execution.pk).run()
    assert execution.transfers.get().is_parked
    asked_at = time.monotonic()

    stop_execution(execution, by=None)

    took = time.monotonic() - asked_at
    print(f"stopped what is parked within {took:.3f} s")
    assert_stopped(execution)
    assert took <= BOUND_SECONDS
