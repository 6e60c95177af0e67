"""What a drain claims next, and what it need not look for."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from replication.models import Execution, Status, Task, Transfer
from replication.recorder import Recorder
from replication.retries import RetryPolicy
from replication.runner.context import Context
from replication.runner.copying import CopyWork
from replication.runner.planning import PlanningWork
from replication.runner.supply import CLAIMS_AT_MOST, SLOTS, Supply
from tests.factories import make_execution, make_task, make_transfer

pytestmark = pytest.mark.django_db


@pytest.fixture
def execution(pair) -> Execution:
    """Give a listed execution from the one registry to the other."""
    return make_execution(rule=pair.make_rule(), status=Status.RUNNING, listed_at=timezone.now())


def supply_of(execution: Execution) -> Supply:
    policy = RetryPolicy(base_seconds=1, cap_seconds=1, give_up_seconds=1)
    recorder, stop = Recorder(execution.pk), threading.Event()
    return Supply(Context(execution, "here:1:a", recorder, stop, policy=policy, spec=execution.rule_spec()))


def planned_task(execution: Execution) -> Task:
    return make_task(execution=execution, status=Status.RUNNING, planned_at=timezone.now())


@pytest.mark.parametrize(
    ("seconds", "claimed"),
    [
        pytest.param(None, 2, id="nothing known yet: one for each free slot"),
        pytest.param(60.0, 2, id="large: one for each free slot"),
        pytest.param(0.5, SLOTS, id="each slot does one in half a second"),
        pytest.param(0.1, 5 * SLOTS, id="each slot does five in half a second"),
        pytest.param(0.0, CLAIMS_AT_MOST, id="tiny: never more than this"),
    ],
)
def test_small_artifacts_are_claimed_for_half_a_second(execution, seconds, claimed):
    task = planned_task(execution)
    for _ in range(CLAIMS_AT_MOST + 1):
        make_transfer(task=task)
    supply = supply_of(execution)
    for _ in range(SLOTS if seconds is not None else 0):
        supply.note_copied(seconds)
    assert isinstance(supply.take(free=2), CopyWork)
    assert Transfer.objects.filter(status=Status.RUNNING, lease_owner="here:1:a").count() == claimed


@pytest.mark.parametrize(
    ("left", "claimed"), [pytest.param(40, 10, id="a part of what is left"), pytest.param(4, 2, id="the last few")]
)
def test_the_last_artifacts_are_left_for_all_drains_to_share(execution, settings, left, claimed):
    settings.DRAINS_PER_EXECUTION = 2
    task = planned_task(execution)
    for _ in range(20):
        make_transfer(task=task)
    supply = supply_of(execution)
    supply.note_copied(0.0)
    supply.open_transfers = left
    supply.take(free=2)
    assert Transfer.objects.filter(status=Status.RUNNING).count() == claimed


def test_tasks_that_were_met_before_are_not_read_again(execution):
    tasks = [planned_task(execution) for _ in range(3)]
    for task in tasks * 2:
        make_transfer(task=task)
    supply = supply_of(execution)
    supply.take(free=3)
    with CaptureQueriesContext(connection) as queries:
        works = [supply.take(free=3) for _ in range(5)]
    assert {work.transfers[0].task for work in works} == set(tasks)
    touched = [query["sql"] for query in queries if "replication_" in query["sql"]]
    assert len([sql for sql in touched if sql.startswith("UPDATE")]) == 1  # two of the first three were still held
    assert not [sql for sql in touched if 'FROM "replication_task"' in sql and "digest" not in sql]


def test_once_planned_an_execution_is_not_asked_again_what_is_to_be_planned(execution):
    planned_task(execution)
    supply = supply_of(execution)
    assert supply.take(free=1) is None
    supply.expect_more()
    with CaptureQueriesContext(connection) as queries:
        assert supply.take(free=1) is None
    assert not [query["sql"] for query in queries if 'UPDATE "replication_execution"' in query["sql"]]
    assert not [query["sql"] for query in queries if query["sql"].startswith('SELECT "replication_task"')]


def test_a_repository_that_becomes_due_later_is_found_though_artifacts_keep_coming(execution):
    waiting = make_task(execution=execution, next_attempt_at=timezone.now() + timedelta(hours=1))
    task = planned_task(execution)
    supply = supply_of(execution)
    make_transfer(task=task)
    assert isinstance(supply.take(free=1), CopyWork)
    Task.objects.filter(pk=waiting.pk).update(next_attempt_at=timezone.now())

    limit = time.monotonic() + 5
    while not isinstance(found := supply.take(free=1), PlanningWork) and time.monotonic() < limit:
        make_transfer(task=task)
    assert isinstance(found, PlanningWork)
    assert found.tasks == [waiting]


def test_what_a_listing_elsewhere_adds_is_found_and_its_end_is_seen(pair):
    held = {"status": Status.RUNNING, "lease_owner": "there:2:b", "lease_until": timezone.now()}
    execution = make_execution(rule=pair.make_rule(), **held)
    supply = supply_of(execution)
    assert supply.take(free=1) is None
    task = make_task(execution=execution)
    Execution.objects.filter(pk=execution.pk).update(listed_at=timezone.now(), lease_owner="", lease_until=None)
    supply.expect_more()
    found = supply.take(free=1)
    assert isinstance(found, PlanningWork)
    assert found.tasks == [task]
