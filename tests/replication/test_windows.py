"""Whole executions under a rule's bandwidth and under windows of time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from registry.testkit import MemoryRegistry
from replication import scheduler
from replication.models import Execution, Status, Task, Transfer, Trigger
from replication.queue.claims import is_claimable
from replication.runner import Drain
from replication.services import save_rule, start_execution, stop_execution
from targets import limits
from targets.services import save_endpoint
from tests.factories import make_endpoint
from tests.replication.test_drain import drain_until_finished
from tests.web.reading import text_of

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
PAUSE = "11:00-18:00 pause"


class Clock:
    """The time of day that windows go by: it runs, and can be put forward."""

    def __init__(self) -> None:
        self._offset = NOON.timestamp() - time.time()

    def __call__(self) -> float:
        return time.time() + self._offset

    def put_forward(self, span: timedelta) -> None:
        """Let time pass; rows that wait by the real clock do so, too."""
        self._offset += span.total_seconds()
        for model in (Execution, Task, Transfer):
            for row in model.objects.filter(next_attempt_at__isnull=False):
                row.next_attempt_at -= span
                row.save(update_fields=["next_attempt_at"])


@pytest.fixture(autouse=True)
def clock(settings, valkey_server, monkeypatch) -> Clock:
    """Give a clock that stands at noon on a Wednesday."""
    settings.REDIS_URL = valkey_server.url
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    noon = Clock()
    monkeypatch.setattr(limits, "wall_clock", noon)
    limits.forget_gates()
    return noon


def hours_left(moment: datetime) -> float:
    return (moment - timezone.now()).total_seconds() / 3600


def watched(execution: Execution, look: Callable[[], None]) -> None:
    """Work on an execution; `look` is called some times a second, in the thread that owns the database."""
    drain = Drain(execution.pk)
    watch = drain._watch

    def look_and_watch() -> None:
        look()
        watch()

    drain._watch = look_and_watch  # type: ignore[method-assign]
    drain.run()
    execution.refresh_from_db()


def test_the_artifacts_and_targets_of_a_rule_share_its_bandwidth(pair, run):
    for number in range(3):
        pair.source.add_image("test/app", f"v{number}", layer_sizes=[50_000 + number])
    with MemoryRegistry() as third:
        rule = pair.make_rule(targets=[pair.target_endpoint, make_endpoint(url=third.url)], kilobits_per_second=800)
        began = time.monotonic()
        execution = drain_until_finished(run(rule), seconds=60)
    # 6 x 50,000 bytes at 102,400 a second; the three artifacts are copied beside each other.
    assert 2.5 < time.monotonic() - began < 20
    assert execution.status == Status.SUCCEEDED


def test_two_executions_of_a_rule_share_its_bandwidth(pair):
    pace = limits.shared_bandwidth
    rule = pair.make_rule(kilobits_per_second=800)
    assert pace(f"rule:{rule.pk}", rule.timetable) is pace(f"rule:{rule.pk}", rule.timetable)
    other = pair.make_rule(kilobits_per_second=800)
    assert pace(f"rule:{rule.pk}", rule.timetable) is not pace(f"rule:{other.pk}", other.timetable)


def test_a_paused_rule_asks_no_registry_and_says_until_when(pair, run):
    pair.source.add_image("test/app", "v1")
    execution = run(pair.make_rule(bandwidth_windows=PAUSE, time_zone="Europe/Berlin"))
    assert (execution.status, execution.reason_code, execution.started_at) == (Status.PENDING, "paused", None)
    assert execution.status_text == ("the time window 11:00-18:00 pause (Europe/Berlin) of this rule lets nothing move")
    assert (execution.is_parked, execution.is_waiting, execution.waits) == (True, True, 1)
    assert hours_left(execution.next_attempt_at) == pytest.approx(5, abs=0.1)
    assert not pair.source.requests
    assert not pair.target.requests
    assert not is_claimable(execution.pk, timezone.now())
    assert execution.log_lines.filter(message__contains="1 piece of work put off until 20").count() == 1


def test_what_was_parked_goes_on_when_the_window_ends(pair, run, clock):
    digest = pair.source.add_image("test/app", "v1")
    execution = run(pair.make_rule(bandwidth_windows=PAUSE))
    clock.put_forward(timedelta(hours=6, seconds=2))
    Drain(execution.pk).run()
    execution.refresh_from_db()
    assert (execution.status, execution.status_text) == (Status.SUCCEEDED, "")
    assert pair.target.tags("test/app") == {"v1": digest}


@pytest.mark.parametrize("paused", ["rule", "source", "target"])
def test_a_pause_that_begins_in_the_middle_of_a_layer_sends_it_back_to_its_row(pair, clock, paused):
    digest = pair.source.add_image("test/app", "v1", layer_sizes=[4_000_000])
    rule = pair.make_rule()
    slow = {"rule": rule, "source": pair.source_endpoint, "target": pair.target_endpoint}[paused]
    slow.kilobits_per_second, slow.bandwidth_windows = 8000, "13:00-14:00 pause"
    slow.save()
    execution = start_execution(rule, trigger=Trigger.MANUAL)
    is_put_forward = []

    def put_the_clock_forward() -> None:
        if not is_put_forward and Transfer.objects.filter(bytes_done__gt=0).exists():
            is_put_forward.append(True)
            clock.put_forward(timedelta(hours=1))

    began = time.monotonic()
    watched(execution, put_the_clock_forward)

    assert is_put_forward
    assert time.monotonic() - began < 10, "it slept in its place"
    transfer = execution.transfers.get()
    assert (transfer.status, transfer.reason_code, transfer.started_at) == (Status.PENDING, "paused", None)
    assert "the time window 13:00-14:00 pause (UTC)" in transfer.reason
    assert hours_left(transfer.next_attempt_at) == pytest.approx(1, abs=0.1)
    assert pair.target.tags("test/app") == {}

    clock.put_forward(timedelta(hours=1, seconds=2))
    execution = drain_until_finished(execution, seconds=30)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}


def test_a_paused_target_does_not_hold_up_the_other(pair, run, clock):
    digests = {f"v{number}": pair.source.add_image("test/app", f"v{number}") for number in range(3)}
    with MemoryRegistry() as third:
        other = make_endpoint(url=third.url, bandwidth_windows=PAUSE)
        execution = run(pair.make_rule(targets=[pair.target_endpoint, other]))
        assert pair.target.tags("test/app") == digests
        assert not third.requests
        task = execution.tasks.get(target=other)
        assert (task.status, task.reason_code) == (Status.PENDING, "paused")
        assert task.reason.endswith("the time window 11:00-18:00 pause (UTC) of this registry lets nothing move")
        clock.put_forward(timedelta(hours=6, seconds=2))
        assert drain_until_finished(execution).status == Status.SUCCEEDED
        assert third.tags("test/app") == digests


def test_a_paused_source_parks_everything(pair, run):
    pair.source.add_image("test/app", "v1")
    pair.source_endpoint.bandwidth_windows = PAUSE
    pair.source_endpoint.save()
    execution = run(pair.make_rule())
    assert execution.reason_code == "paused"
    assert not pair.source.requests


def test_a_stop_ends_what_a_window_parked(pair, run):
    pair.source.add_image("test/app", "v1")
    execution = run(pair.make_rule(bandwidth_windows=PAUSE))
    stop_execution(execution, by=None)
    execution.refresh_from_db()
    assert execution.status == Status.STOPPED


@pytest.mark.parametrize("edited", ["rule", "registry"])
def test_an_edit_wakes_what_was_parked(pair, run, edited):
    digest = pair.source.add_image("test/app", "v1")
    rule = pair.make_rule(bandwidth_windows=PAUSE if edited == "rule" else "")
    if edited == "registry":
        pair.target_endpoint.bandwidth_windows = PAUSE
        pair.target_endpoint.save()
    execution = run(rule)
    Execution.objects.update(rung_at=timezone.now() - timedelta(seconds=1))
    assert pair.target.tags("test/app") == {}

    if edited == "rule":
        rule.bandwidth_windows = ""
        save_rule(rule, filters=[], targets=[target.to_spec() for target in rule.targets.all()], by=None)
    else:
        pair.target_endpoint.bandwidth_windows = ""
        save_endpoint(pair.target_endpoint, secret=None)
    scheduler.tick(timezone.now())

    assert is_claimable(execution.pk, timezone.now())
    assert drain_until_finished(execution).status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}


def test_without_an_edit_the_clock_lets_parked_work_lie(pair, run):
    pair.source.add_image("test/app", "v1")
    rule = pair.make_rule(bandwidth_windows=PAUSE)
    execution = run(rule)
    long_ago = timezone.now() - timedelta(minutes=1)
    type(rule).objects.update(updated_at=long_ago)
    type(pair.source_endpoint).objects.update(updated_at=long_ago)
    scheduler.tick(timezone.now())
    assert not is_claimable(execution.pk, timezone.now())


def test_an_edited_bandwidth_is_felt_by_a_copy_under_way(pair):
    pair.source.add_image("test/app", "v1", layer_sizes=[2_000_000])
    rule = pair.make_rule(kilobits_per_second=80)  # 200 seconds
    execution = start_execution(rule, trigger=Trigger.MANUAL)
    edited_at: list[float] = []

    def edit() -> None:
        if not edited_at and Transfer.objects.filter(bytes_done__gt=0).exists():
            rule.kilobits_per_second = 0
            save_rule(rule, filters=[], targets=[target.to_spec() for target in rule.targets.all()], by=None)
            edited_at.append(time.monotonic())

    watched(execution, edit)
    assert execution.status == Status.SUCCEEDED
    assert time.monotonic() - edited_at[0] < 8


def test_an_edited_window_of_a_registry_is_felt_by_a_copy_under_way(pair):
    pair.source.add_image("test/app", "v1", layer_sizes=[2_000_000])
    target = pair.target_endpoint
    target.kilobits_per_second = 80
    target.save()
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    edited_at: list[float] = []

    def edit() -> None:
        if not edited_at and Transfer.objects.filter(bytes_done__gt=0).exists():
            target.bandwidth_windows = "11:00-13:00 0"
            save_endpoint(target, secret=None)
            edited_at.append(time.monotonic())

    watched(execution, edit)
    assert execution.status == Status.SUCCEEDED
    assert time.monotonic() - edited_at[0] < 8


def test_the_pages_say_why_work_waits_and_until_when(pair, run, admin_client):
    pair.source.add_image("test/app", "v1")
    pair.target_endpoint.bandwidth_windows = PAUSE
    pair.target_endpoint.save()
    execution = run(pair.make_rule())
    for address in (f"/executions/{execution.pk}/", f"/tasks/{execution.tasks.get().pk}/"):
        text = text_of(admin_client.get(address))
        assert "the time window 11:00-18:00 pause (UTC) of this registry lets nothing move" in text
        assert "Waiting until 20" in text


def test_the_page_of_a_paused_rules_run_says_so(pair, run, admin_client):
    execution = run(pair.make_rule(bandwidth_windows=PAUSE))
    text = text_of(admin_client.get(f"/executions/{execution.pk}/"))
    assert "the time window 11:00-18:00 pause (UTC) of this rule lets nothing move" in text
    assert "Waiting until 20" in text
