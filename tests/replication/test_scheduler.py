"""The clock and the sweep."""

from datetime import timedelta

import pytest
from django.utils import timezone

from replication import scheduler
from replication.models import Event, Execution, LogLine, RuleEvent, Status, Task, Transfer, Trigger
from replication.plan import Scope
from replication.pruning import prune
from replication.queue.claims import LOSSES_AT_MOST
from replication.services import start_execution
from tests.factories import make_endpoint, make_execution, make_rule, make_task, make_transfer

pytestmark = pytest.mark.django_db


def ago(**units):
    return timezone.now() - timedelta(**units)


def test_a_scheduled_rule_starts_once_when_its_time_has_come():
    rule = make_rule(trigger=Trigger.SCHEDULED, cron="0 */5 * * * *", next_run_at=ago(hours=3))
    now = timezone.now()
    scheduler.tick(now)
    scheduler.tick(now)
    execution = Execution.objects.get()
    assert (execution.rule, execution.trigger, execution.status) == (rule, Trigger.SCHEDULED, Status.PENDING)
    rule.refresh_from_db()
    assert now < rule.next_run_at <= now + timedelta(minutes=5)


def test_a_rule_that_is_not_due_or_switched_off_does_not_start():
    later = timezone.now() + timedelta(minutes=1)
    make_rule(trigger=Trigger.SCHEDULED, cron="0 0 2 * * *", next_run_at=later)
    make_rule(trigger=Trigger.SCHEDULED, cron="0 0 2 * * *", next_run_at=ago(minutes=1), enabled=False)
    scheduler.tick(timezone.now())
    assert not Execution.objects.exists()


def test_an_overlapping_run_of_a_single_active_rule_is_skipped():
    rule = make_rule(single_active=True)
    start_execution(rule, trigger=Trigger.MANUAL)
    second = start_execution(rule, trigger=Trigger.SCHEDULED)
    assert second.status == Status.SKIPPED
    assert second.status_text.startswith("Execution skipped")


def test_rows_of_a_silent_worker_are_given_back_and_rung_for():
    held = {"status": Status.RUNNING, "lease_owner": "gone", "lease_until": ago(seconds=1)}
    execution = make_execution(status=Status.RUNNING, listed_at=ago(minutes=1), tasks_total=2)
    planning = make_task(execution=execution, **held)
    copying = make_task(execution=execution, status=Status.RUNNING, planned_at=ago(minutes=1))
    transfer = make_transfer(task=copying, **held)
    Execution.objects.update(rung_at=None)
    scheduler.tick(timezone.now())
    for row in (planning, transfer, execution):
        row.refresh_from_db()
    assert planning.status == transfer.status == Status.PENDING
    assert transfer.lease_owner == ""
    assert execution.rung_at is not None


def test_what_workers_die_of_again_and_again_is_ended_with_a_reason():
    held = {"status": Status.RUNNING, "lease_owner": "gone", "lease_until": ago(seconds=1), "losses": LOSSES_AT_MOST}
    execution = make_execution(status=Status.RUNNING, listed_at=ago(minutes=1), tasks_total=2)
    task = make_task(execution=execution, status=Status.RUNNING, planned_at=ago(minutes=1), transfers_total=1)
    make_transfer(task=task, **held)
    make_task(execution=execution, **held)
    listing = make_execution(**held)
    scheduler.tick(timezone.now())
    for row in (execution, listing):
        row.refresh_from_db()
        assert (row.status, row.reason_code) == (Status.FAILED, "worker_lost")
    assert not Task.objects.exclude(status=Status.FAILED).exists()


def test_a_lease_that_is_renewed_is_respected():
    transfer = make_transfer(
        status=Status.RUNNING, lease_owner="alive", lease_until=timezone.now() + timedelta(seconds=9)
    )
    scheduler.tick(timezone.now())
    transfer.refresh_from_db()
    assert transfer.lease_owner == "alive"


def test_what_was_left_between_two_steps_is_finished():
    execution = make_execution(status=Status.RUNNING, listed_at=ago(minutes=1), tasks_total=1)
    task = make_task(execution=execution, status=Status.RUNNING, planned_at=ago(minutes=1), transfers_succeeded=1)
    make_transfer(task=task, status=Status.SUCCEEDED)
    scheduler.tick(timezone.now())
    for row in (task, execution):
        row.refresh_from_db()
        assert row.status == Status.SUCCEEDED
        assert row.ended_at is not None


def test_a_stop_whose_worker_died_still_ends():
    execution = make_execution(
        status=Status.RUNNING, listed_at=ago(minutes=1), tasks_total=1, stop_requested_at=ago(seconds=5)
    )
    task = make_task(execution=execution, status=Status.RUNNING, planned_at=ago(minutes=1), transfers_total=1)
    make_transfer(task=task, status=Status.RUNNING, lease_owner="gone", lease_until=ago(seconds=1))
    scheduler.tick(timezone.now())
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED
    assert not Transfer.objects.filter(status__in=["pending", "running"]).exists()


@pytest.mark.parametrize(
    ("next_attempt", "rung", "rings"),
    [(-1, 5, True), (60, 5, False), (-10, 5, False), (-60, 30, True)],
    ids=["became due since", "not due", "rung already", "rung too long ago"],
)
def test_a_retry_is_rung_for_when_it_is_due(next_attempt, rung, rings):
    now = timezone.now()
    execution = make_execution(status=Status.RUNNING, listed_at=ago(minutes=1), rung_at=now - timedelta(seconds=rung))
    make_task(
        execution=execution, status=Status.PENDING, attempts=1, next_attempt_at=now + timedelta(seconds=next_attempt)
    )
    scheduler.tick(now)
    execution.refresh_from_db()
    assert (execution.rung_at > now - timedelta(seconds=1)) is rings


def test_events_that_wait_for_a_rule_at_rest_start_a_run():
    rule = make_rule(trigger=Trigger.EVENT_BASED)
    event = Event.objects.create(endpoint=rule.source, source_id="e", action="push", repository="a/b", tag="v1")
    Event.objects.update(processed_at=timezone.now())
    RuleEvent.objects.create(rule=rule, event=event)
    scheduler.tick(timezone.now())
    assert [Scope.from_json(item) for item in Execution.objects.get().scope] == [Scope("a/b", ("v1",))]


def test_each_endpoint_is_asked_about_once_per_period(settings):
    settings.HEALTH_CHECK_SECONDS = 60
    endpoint = make_endpoint()
    now = timezone.now()
    scheduler.tick(now)
    scheduler.tick(now + timedelta(seconds=30))
    endpoint.refresh_from_db()
    assert endpoint.check_requested_at == now
    scheduler.tick(now + timedelta(seconds=61))
    endpoint.refresh_from_db()
    assert endpoint.check_requested_at == now + timedelta(seconds=61)


def test_an_idle_tick_costs_few_queries(django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        scheduler.tick(timezone.now())


def test_old_history_goes_with_all_that_hangs_on_it_and_the_rest_stays(settings):
    settings.HISTORY_KEEP_DAYS = 30
    settings.HISTORY_KEEP_PER_RULE = 2
    rule = make_rule()
    old = make_execution(rule=rule, status=Status.SUCCEEDED, ended_at=ago(days=31))
    transfer = make_transfer(task=make_task(execution=old))
    LogLine.objects.create(execution=old, task=transfer.task, at=ago(days=31), message="x")
    recent = [make_execution(rule=rule, status=Status.SUCCEEDED, ended_at=ago(days=1)) for _ in range(3)]
    running = make_execution(rule=rule, status=Status.RUNNING)
    assert prune(timezone.now()) == 2
    assert set(Execution.objects.all()) == {*recent[1:], running}
    assert not Task.objects.exists()
    assert not LogLine.objects.exists()
