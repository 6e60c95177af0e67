"""Tasks and their logs (API contract, section 10.2)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from replication.models import Execution
from tests.api.client import ApiClient, error_of
from tests.factories import make_execution, make_log_line, make_task


@pytest.fixture
def execution(db: None) -> Execution:
    """Give a run."""
    return make_execution(status="running")


def _path(execution: Execution) -> str:
    return f"/replication/executions/{execution.pk}/tasks"


def test_a_task_is_shown_in_harbors_shape(admin: ApiClient, execution: Execution):
    task = make_task(
        execution=execution,
        status="failed",
        operation="copy",
        source_repository="library/app",
        target_repository="mirror/app",
        planned_at=timezone.now(),
        transfers_total=2,
        tags_unchanged=3,
        attempts=4,
        reason_code="refused",
        reason="Nobody listens.",
    )
    (shown,) = admin.get(_path(execution)).json()
    expected = {
        "id": task.pk,
        "execution_id": execution.pk,
        "status": "Failed",
        "operation": "copy",
        "resource_type": "image",
        "src_resource": "library/app [5 item(s) in total]",
        "dst_resource": "mirror/app [5 item(s) in total]",
        "state": "failed",
        "attempts": 4,
        "reason_code": "refused",
        "reason": "Nobody listens.",
        "dest_registry_name": task.target_name,
    }
    assert {key: shown[key] for key in expected} == expected
    assert len(shown["job_id"]) == 24
    assert shown["end_time"] != "0001-01-01T00:00:00.000Z"


def test_a_task_that_is_not_planned_has_no_count_and_no_times(admin: ApiClient, execution: Execution):
    make_task(execution=execution, source_repository="library/app")
    (shown,) = admin.get(_path(execution)).json()
    assert shown["src_resource"] == "library/app"
    assert (shown["start_time"], shown["end_time"]) == ("0001-01-01T00:00:00.000Z",) * 2


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("pending", "Pending"),
        ("running", "InProgress"),
        ("succeeded", "Succeed"),
        ("skipped", "Succeed"),
        ("failed", "Failed"),
        ("stopped", "Stopped"),
    ],
)
def test_states_have_harbors_words_and_are_found_by_them(
    admin: ApiClient, execution: Execution, status: str, word: str
):
    make_task(execution=execution, status=status)
    assert admin.get(_path(execution)).json()[0]["status"] == word
    for asked in ("Pending", "InProgress", "Succeed", "Failed", "Stopped"):
        assert len(admin.get(_path(execution), status=asked).json()) == (1 if asked == word else 0)


@pytest.mark.parametrize(
    ("params", "count"),
    [({"status": "x"}, 0), ({"resource_type": "image"}, 1), ({"resource_type": "chart"}, 0), ({"sort": "nothing"}, 1)],
)
def test_unknown_values_match_nothing(admin: ApiClient, execution: Execution, params: dict[str, str], count: int):
    make_task(execution=execution)
    assert len(admin.get(_path(execution), **params).json()) == count


def test_tasks_are_sorted(admin: ApiClient, execution: Execution):
    now = timezone.now()
    tasks = [make_task(execution=execution, started_at=now - timedelta(minutes=n)).pk for n in (1, 3, 2)]
    assert [task["id"] for task in admin.get(_path(execution)).json()] == tasks[::-1]
    by_start = [tasks[1], tasks[2], tasks[0]]
    assert [task["id"] for task in admin.get(_path(execution), sort="start_time").json()] == by_start


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_takes_four_queries_however_long(
    admin: ApiClient, execution: Execution, django_assert_num_queries: Any, count: int
):
    for _ in range(count):
        make_task(execution=execution)
    admin.get(_path(execution))
    with django_assert_num_queries(4):  # who asks, the run, how many, which
        admin.get(_path(execution), page_size=100)


def test_the_log_is_text_in_harbors_form(admin: ApiClient, execution: Execution):
    task = make_task(execution=execution)
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    make_log_line(task=task, at=at, message="copying library/app")
    make_log_line(task=task, at=at, level="warning", message="it broke\n2026-01-01T00:00:00Z [INFO] forged\n")
    make_log_line(execution=execution, message="not of this task")
    response = admin.get(f"{_path(execution)}/{task.pk}/log")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.getvalue().decode() == (
        "2026-01-02T03:04:05Z [INFO] copying library/app\n"
        "2026-01-02T03:04:05Z [WARNING] it broke\n"
        "    2026-01-01T00:00:00Z [INFO] forged\n"
    )


def test_an_empty_log_is_empty_text(admin: ApiClient, execution: Execution):
    response = admin.get(f"{_path(execution)}/{make_task(execution=execution).pk}/log")
    assert (response.status_code, response.getvalue()) == (200, b"")


def test_a_task_of_another_run_is_not_found(admin: ApiClient, execution: Execution):
    other = make_task()
    response = admin.get(f"{_path(execution)}/{other.pk}/log")
    message = f"execution {execution.pk} contains no task with ID {other.pk}"
    assert error_of(response) == (404, "NOT_FOUND", message)


def test_a_task_id_that_is_no_number_is_a_422(admin: ApiClient, execution: Execution):
    assert error_of(admin.get(f"{_path(execution)}/x/log"))[0] == 422
