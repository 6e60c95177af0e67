"""Recording many results at once: only what this worker still holds is written, and exactly what is written counts."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry import PausedError
from replication import bulk
from replication.models import Execution, LogLine, Status, Task, Transfer
from replication.queue.settlements import Settlement, settle_transfers
from replication.recorder import Recorder
from tests.factories import make_execution, make_task, make_transfer

pytestmark = pytest.mark.django_db

WORKER = "here:1:a"


@pytest.fixture
def task() -> Task:
    """Give a planned task of a running execution."""
    execution = make_execution(status=Status.RUNNING, listed_at=timezone.now(), tasks_total=1)
    return make_task(execution=execution, status=Status.RUNNING, planned_at=timezone.now())


def hold(task: Task, **overrides) -> Transfer:
    """Make a transfer that this worker holds."""
    lease = {"lease_owner": WORKER, "lease_until": timezone.now() + timedelta(minutes=1), "attempts": 1}
    return make_transfer(task=task, **{"status": Status.RUNNING, "bytes_total": 0, **lease, **overrides})


def succeeded(transfer: Transfer, **grown: int) -> Settlement:
    figures = {"bytes_total": 10, "bytes_done": 10, "requests": 0, "target_puts": 0, **grown}
    return Settlement(transfer, Status.SUCCEEDED, media_type="test/manifest", figures=figures, increments=grown)


def test_a_row_that_another_worker_has_by_now_is_neither_written_nor_counted(task):
    held, lost, ended = hold(task), hold(task), hold(task)
    Transfer.objects.filter(pk=lost.pk).update(lease_owner="there:2:b")
    Transfer.objects.filter(pk=ended.pk).update(
        status=Status.STOPPED, ended_at=timezone.now(), lease_owner="", lease_until=None
    )

    tasks = settle_transfers([succeeded(each, requests=3) for each in (lost, held, ended)], worker=WORKER)

    assert tasks == {task.pk}
    rows = Transfer.objects.in_bulk()
    assert (rows[held.pk].status, rows[held.pk].requests, rows[held.pk].lease_owner) == (Status.SUCCEEDED, 3, "")
    assert (rows[lost.pk].status, rows[lost.pk].requests, rows[lost.pk].lease_owner) == (
        Status.RUNNING,
        0,
        "there:2:b",
    )
    assert (rows[ended.pk].status, rows[ended.pk].requests) == (Status.STOPPED, 0)
    for row in (Task.objects.get(), Execution.objects.get()):
        assert (row.transfers_succeeded, row.requests) == (1, 3)


def test_when_all_are_lost_nothing_is_to_be_closed(task):
    lost = hold(task, lease_owner="there:2:b")
    assert settle_transfers([succeeded(lost)], worker=WORKER) == set()
    assert settle_transfers([], worker=WORKER) == set()


def test_each_of_a_mixed_lot_ends_in_its_own_way(task):
    good, bad, again, parked, unbegun = (hold(task, waits=2, retries=4) for _ in range(5))
    soon, later = timezone.now() + timedelta(seconds=5), timezone.now() + timedelta(hours=1)
    figures = {"requests": 2, "bytes_total": 0}

    settle_transfers(
        [
            succeeded(good, requests=3, target_puts=1),
            Settlement(bad, Status.FAILED, "denied", "May not.", figures={**figures, "target_puts": 0}),
            Settlement(again, Status.PENDING, "refused", "Away.", soon, figures=figures, increments={"requests": 2}),
            Settlement(parked, Status.PENDING, PausedError.code, "Paused.", later),
            Settlement(unbegun, Status.STOPPED, "stopped"),
        ],
        worker=WORKER,
    )

    for row in (good, bad, again, parked, unbegun):
        row.refresh_from_db()
        assert (row.lease_owner, row.lease_until, row.retries) == ("", None, 4)
    assert (good.status, good.media_type, good.requests, good.target_puts) == ("succeeded", "test/manifest", 3, 1)
    assert (bad.status, bad.reason_code, bad.reason, bad.requests) == ("failed", "denied", "May not.", 2)
    assert (unbegun.status, unbegun.requests, unbegun.media_type) == ("stopped", 0, "")
    assert all(row.ended_at is not None and row.started_at is not None for row in (good, bad, unbegun))
    assert (again.status, again.next_attempt_at, again.requests, again.waits) == ("pending", soon, 2, 2)
    assert (again.started_at is not None, again.parked_at, again.ended_at) == (True, None, None)
    assert (parked.status, parked.next_attempt_at, parked.waits) == ("pending", later, 3)
    assert (parked.started_at, parked.parked_at is not None, parked.reason) == (None, True, "Paused.")
    for row in (Task.objects.get(), execution := Execution.objects.get()):
        assert (row.transfers_succeeded, row.transfers_failed, row.transfers_stopped) == (1, 1, 1)
        assert (row.requests, row.target_puts, row.waits) == (5, 1, 1)
    assert (execution.waiting_until, execution.waiting_reason) == (later, "Paused.")


def test_a_result_that_came_twice_counts_once(task):
    transfer = hold(task)
    settle_transfers([succeeded(transfer, requests=3), succeeded(transfer, requests=3)], worker=WORKER)
    assert Execution.objects.values_list("transfers_succeeded", "requests").get() == (1, 3)


def test_many_results_cost_as_many_statements_as_few(task):
    def statements(count: int) -> int:
        settlements = [succeeded(hold(task), requests=3) for _ in range(count)]
        with CaptureQueriesContext(connection) as queries:
            settle_transfers(settlements, worker=WORKER)
        return len(queries)

    assert statements(2) == statements(40)
    assert Task.objects.get().transfers_succeeded == 42


def test_more_rows_than_fit_into_one_statement_are_all_written(task):
    recorder = Recorder(task.execution_id)
    lines = bulk.VALUES_AT_ONCE // 5 + 1
    for number in range(lines):
        recorder.log(f"100 % of 'line' {number}", task_id=task.pk)
    before = timezone.now()
    recorder.flush()
    assert LogLine.objects.count() == lines
    first = LogLine.objects.first()
    assert (first.message, first.level, first.task_id) == ("100 % of 'line' 0", "info", task.pk)
    assert before - timedelta(minutes=1) < first.at <= before


def test_progress_of_several_is_written_to_each_and_summed(task):
    recorder, transfers = Recorder(task.execution_id), [hold(task) for _ in range(3)]
    for number, transfer in enumerate(transfers, start=1):
        recorder.follow(transfer).copied = number * 100
    recorder.flush()
    assert list(Transfer.objects.values_list("bytes_copied", flat=True)) == [100, 200, 300]
    assert Task.objects.get().bytes_copied == Execution.objects.get().bytes_copied == 600
