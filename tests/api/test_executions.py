"""Runs: list, read, start, stop (API contract, section 10.2)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from replication.models import Execution
from tests.api.client import ApiClient, assert_empty, error_of, id_of
from tests.factories import make_execution, make_log_line, make_rule, make_task

PATH = "/replication/executions"


def test_a_run_is_shown_in_harbors_shape(admin: ApiClient):
    execution = make_execution(
        status="running",
        trigger="event_based",
        tasks_total=10,
        tasks_succeeded=3,
        tasks_skipped=1,
        tasks_failed=2,
        tasks_stopped=1,
        bytes_total=2048,
        bytes_done=1024,
        requested_by_name="alice",
    )
    Execution.objects.filter(pk=execution.pk).update(created_at=datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC))
    shown = admin.get(f"{PATH}/{execution.pk}").json()
    expected = {
        "id": execution.pk,
        "policy_id": execution.rule_id,
        "status": "InProgress",
        "status_text": "",
        "trigger": "event_based",
        "total": 10,
        "succeed": 4,
        "failed": 2,
        "in_progress": 3,
        "stopped": 1,
        "start_time": "2026-01-02T03:04:05.678Z",
        "end_time": "0001-01-01T00:00:00.000Z",
        "state": "running",
        "operator": "alice",
        "bytes_total": 2048,
        "bytes_done": 1024,
    }
    assert {key: shown[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("pending", "InProgress"),
        ("running", "InProgress"),
        ("succeeded", "Succeed"),
        ("failed", "Failed"),
        ("skipped", "Failed"),
        ("stopped", "Stopped"),
    ],
)
def test_states_have_harbors_words_and_are_found_by_them(admin: ApiClient, status: str, word: str):
    execution = make_execution(status=status)
    assert admin.get(f"{PATH}/{execution.pk}").json()["status"] == word
    for asked in ("InProgress", "Succeed", "Failed", "Stopped"):
        assert len(admin.get(PATH, status=asked).json()) == (1 if asked == word else 0)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Execution skipped: active replication still in progress.",) * 2,
        ("another is running", "Execution skipped: another is running"),
        ("", "Execution skipped"),
    ],
)
def test_a_skipped_run_says_so_where_clients_look(admin: ApiClient, text: str, shown: str):
    execution = make_execution(status="skipped", status_text=text)
    assert admin.get(f"{PATH}/{execution.pk}").json()["status_text"] == shown


def test_the_latest_run_comes_first(admin: ApiClient):
    ids = [make_execution().pk for _ in range(3)]
    assert [run["id"] for run in admin.get(PATH).json()] == ids[::-1]
    assert [run["id"] for run in admin.get(PATH, sort="start_time").json()] == ids


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"trigger": "manual"}, 1),
        ({"trigger": "never"}, 0),
        ({"status": "Succeeded"}, 0),
        ({"status": "InProgress", "trigger": "manual"}, 1),
        ({"policy_id": -4}, 0),
        ({"policy_id": 2**62}, 0),
        ({"policy_id": ""}, 1),
        ({"q": "nonsense"}, 1),
    ],
)
def test_the_list_is_filtered_and_unknown_values_match_nothing(admin: ApiClient, params: dict[str, Any], count: int):
    make_execution()
    assert len(admin.get(PATH, **params).json()) == count


def test_the_runs_of_one_rule_are_found(admin: ApiClient):
    execution = make_execution()
    make_execution()
    assert [run["id"] for run in admin.get(PATH, policy_id=execution.rule_id).json()] == [execution.pk]


def test_a_rule_id_that_is_no_number_is_a_422(admin: ApiClient):
    assert error_of(admin.get(PATH, policy_id="x")) == (
        422,
        "UNPROCESSABLE_ENTITY",
        'policy_id in query must be of type int64: "x"',
    )


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_takes_three_queries_however_long(admin: ApiClient, django_assert_num_queries: Any, count: int):
    for _ in range(count):
        make_task(execution=make_execution())
    admin.get(PATH)
    with django_assert_num_queries(3):  # who asks, how many, which
        admin.get(PATH, page_size=100)


def test_what_is_not_there_is_a_404(admin: ApiClient):
    expected = (404, "NOT_FOUND", "replication execution 9 not found")
    assert error_of(admin.get(f"{PATH}/9")) == expected
    assert error_of(admin.put(f"{PATH}/9")) == expected
    assert error_of(admin.get(f"{PATH}/9/tasks")) == expected
    assert error_of(admin.get(f"{PATH}/9/log")) == expected


def test_a_rule_is_started(admin: ApiClient):
    rule = make_rule()
    response = admin.post(PATH, {"policy_id": rule.pk})
    execution = Execution.objects.get(pk=id_of(response))
    assert response["Location"] == f"/api/v2.0/replication/executions/{execution.pk}"
    assert (execution.rule, execution.status, execution.trigger) == (rule, "pending", "manual")
    assert execution.requested_by_name == "alice"


@pytest.mark.parametrize(("asked", "trigger"), [("scheduled", "scheduled"), ("manual", "manual"), ("x", "manual")])
def test_a_start_can_be_recorded_as_scheduled(admin: ApiClient, asked: str, trigger: str):
    id_of(admin.post(f"{PATH}?trigger={asked}", {"policy_id": make_rule().pk}))
    assert Execution.objects.get().trigger == trigger


def test_a_second_run_of_a_single_active_rule_is_skipped(admin: ApiClient):
    rule = make_rule(single_active=True)
    id_of(admin.post(PATH, {"policy_id": rule.pk}))
    second = id_of(admin.post(PATH, {"policy_id": rule.pk}))
    shown = admin.get(f"{PATH}/{second}").json()
    assert (shown["status"], shown["state"], shown["total"]) == ("Failed", "skipped", 0)
    assert shown["status_text"].startswith("Execution skipped")


def test_an_unknown_rule_is_not_started(admin: ApiClient):
    assert error_of(admin.post(PATH, {"policy_id": 7})) == (404, "NOT_FOUND", "replication policy 7 not found")


def test_a_disabled_rule_is_not_started(admin: ApiClient):
    rule = make_rule(enabled=False)
    expected = (412, "PRECONDITION", f"the policy {rule.pk} is disabled")
    assert error_of(admin.post(PATH, {"policy_id": rule.pk})) == expected


@pytest.mark.parametrize(("asked", "verify"), [({"verify": True}, True), ({"verify": None}, False), ({}, False)])
def test_a_run_can_be_told_to_verify_the_targets(admin: ApiClient, asked: dict[str, Any], verify: bool):
    started = id_of(admin.post(PATH, {"policy_id": make_rule().pk, **asked}))
    assert Execution.objects.get().verify is verify
    assert admin.get(f"{PATH}/{started}").json()["verify"] is verify


def test_whether_to_verify_is_yes_or_no(admin: ApiClient):
    assert error_of(admin.post(PATH, {"policy_id": make_rule().pk, "verify": "perhaps"}))[:2] == (400, "BAD_REQUEST")
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    "body", [{}, {"policy_id": None}, {"policy_id": "x"}, {"policy_id": 10**30}, {"policy_id": []}]
)
def test_a_start_without_a_rule_is_a_400(admin: ApiClient, body: dict[str, Any]):
    assert error_of(admin.post(PATH, body))[:2] == (400, "BAD_REQUEST")


@pytest.mark.parametrize("options", [{}, {"content_type": "application/json"}])
def test_a_run_is_stopped_by_put(admin: ApiClient, options: dict[str, str]):
    execution = make_execution(status="running")
    assert_empty(admin.put(f"{PATH}/{execution.pk}", **options))
    execution.refresh_from_db()
    assert execution.stop_requested_at is not None
    assert admin.get(f"{PATH}/{execution.pk}").json()["is_stopping"] is True


def test_stopping_what_is_over_changes_nothing(admin: ApiClient):
    execution = make_execution(status="succeeded")
    assert_empty(admin.put(f"{PATH}/{execution.pk}"))
    execution.refresh_from_db()
    assert (execution.status, execution.stop_requested_at) == ("succeeded", None)


def test_the_log_of_a_run_is_text(admin: ApiClient):
    execution = make_execution()
    at = datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC)
    make_log_line(execution=execution, at=at, message="2 repositories found")
    make_log_line(task=make_task(execution=execution), message="of a task")
    response = admin.get(f"{PATH}/{execution.pk}/log")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.getvalue() == b"2026-01-02T03:04:05Z [INFO] 2 repositories found\n"
