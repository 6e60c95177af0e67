"""What executions, tasks and transfers cost, as the API tells it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from replication.models import Execution, Task
from tests.api.client import ApiClient, error_of
from tests.factories import make_execution, make_task, make_transfer

COSTS = {
    "requests": 30,
    "source_heads": 1,
    "source_gets": 2,
    "source_others": 3,
    "target_heads": 4,
    "target_gets": 5,
    "target_posts": 6,
    "target_patches": 7,
    "target_puts": 1,
    "target_deletes": 1,
    "bytes_read": 10,
    "bytes_written": 11,
    "bytes_copied": 12,
    "bytes_mounted": 13,
    "bytes_present": 14,
    "retries": 15,
    "waits": 16,
    "waited_seconds": 17,
}
STATISTICS = {
    "requests": {
        "source": {"HEAD": 1, "GET": 2, "OTHER": 3},
        "target": {"HEAD": 4, "GET": 5, "POST": 6, "PATCH": 7, "PUT": 1, "DELETE": 1, "OTHER": 0},
        "total": 30,
    },
    "bytes": {"read": 10, "written": 11, "copied": 12, "mounted": 13, "present": 14},
    "retries": 15,
    "waits": {"count": 16, "seconds": 17},
}


@pytest.fixture
def execution(db: None) -> Execution:
    """Give a run."""
    return make_execution(status="running", **COSTS)


@pytest.fixture
def task(execution: Execution) -> Task:
    """Give a task of it."""
    return make_task(execution=execution, status="running", **COSTS)


def _transfers_of(task: Task) -> str:
    return f"/replication/executions/{task.execution_id}/tasks/{task.pk}/transfers"


def test_a_run_has_them(admin: ApiClient, execution: Execution):
    for shown in (
        admin.get(f"/replication/executions/{execution.pk}").json(),
        admin.get("/replication/executions").json()[0],
    ):
        assert shown["statistics"] == STATISTICS
        assert shown["requests"] == 30


def test_a_task_has_them(admin: ApiClient, task: Task):
    (shown,) = admin.get(f"/replication/executions/{task.execution_id}/tasks").json()
    assert shown["statistics"] == STATISTICS


def test_a_transfer_has_them_and_its_story(admin: ApiClient, task: Task):
    due = timezone.now()
    transfer = make_transfer(
        task=task,
        tags=["1.0", "latest"],
        attempts=2,
        parked_at=due,
        next_attempt_at=due,
        reason_code="rate_limited",
        reason="mirror: slow down",
        **COSTS,
    )
    (shown,) = admin.get(_transfers_of(task)).json()
    assert shown["statistics"] == STATISTICS
    assert (shown["id"], shown["digest"], shown["tags"]) == (transfer.pk, transfer.digest, ["1.0", "latest"])
    assert (shown["state"], shown["is_waiting"], shown["attempts"]) == ("pending", True, 2)
    assert (shown["reason_code"], shown["reason"]) == ("rate_limited", "mirror: slow down")
    assert shown["next_attempt_at"].startswith(f"{due:%Y-%m-%dT%H:%M:%S}")


def test_a_run_says_why_it_waits_and_until_when(admin: ApiClient, execution: Execution):
    until = timezone.now() + timedelta(seconds=90)
    Execution.objects.update(waiting_until=until, waiting_reason="mirror: slow down")
    shown = admin.get(f"/replication/executions/{execution.pk}").json()
    assert (shown["is_waiting"], shown["waiting_reason"]) == (True, "mirror: slow down")
    assert shown["waiting_until"].startswith(f"{until:%Y-%m-%dT%H:%M:%S}")


def test_transfers_are_filtered_sorted_and_paged(admin: ApiClient, task: Task):
    ids = [make_transfer(task=task, status=status).pk for status in ("succeeded", "failed", "failed")]
    make_transfer()
    path = _transfers_of(task)
    assert [shown["id"] for shown in admin.get(path).json()] == ids
    assert [shown["id"] for shown in admin.get(path, state="failed").json()] == ids[1:]
    assert admin.get(path, state="nonsense").json() == []
    assert [shown["id"] for shown in admin.get(path, sort="-id").json()] == ids[::-1]
    page = admin.get(path, page_size=2, page=2)
    assert ([shown["id"] for shown in page.json()], page["X-Total-Count"]) == (ids[2:], "3")


@pytest.mark.parametrize("count", [1, 20])
def test_transfers_take_five_queries_however_many(
    admin: ApiClient, task: Task, django_assert_num_queries: Any, count: int
):
    for _ in range(count):
        make_transfer(task=task)
    admin.get(_transfers_of(task))
    with django_assert_num_queries(5):  # who asks, the run, the task, how many, which
        admin.get(_transfers_of(task), page_size=100)


def test_transfers_of_what_is_not_there_or_not_to_be_seen_are_a_404(
    admin: ApiClient, outsider: ApiClient, execution: Execution, task: Task
):
    message = f"execution {execution.pk} contains no task with ID 999"
    path = f"/replication/executions/{execution.pk}/tasks"
    assert error_of(admin.get(f"{path}/999/transfers")) == (404, "NOT_FOUND", message)
    assert error_of(admin.get(f"{path}/x/transfers"))[0] == 422
    assert error_of(outsider.get(_transfers_of(task)))[0] in (403, 404)


def test_transfers_are_not_for_the_anonymous(anonymous: ApiClient, task: Task):
    assert error_of(anonymous.get(_transfers_of(task)))[0] == 401


def test_the_document_describes_every_figure():
    schemas = Client().get("/api/schema").json()["components"]["schemas"]
    assert schemas["Execution"]["properties"]["statistics"]["allOf"] == [{"$ref": "#/components/schemas/Statistics"}]
    assert set(schemas["Statistics"]["properties"]) == set(STATISTICS)
    assert set(schemas["TargetRequests"]["properties"]) == set(STATISTICS["requests"]["target"])
    assert set(schemas["SourceRequests"]["properties"]) == set(STATISTICS["requests"]["source"])
