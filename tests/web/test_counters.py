"""What work cost, and why it waits and until when, on the pages of jobs, executions and tasks."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.translation import override

from replication.models import Status
from tests.factories import make_execution, make_task, make_transfer
from tests.web.reading import asks_for, text_of

pytestmark = pytest.mark.django_db

COSTS = {
    "requests": 36,
    "source_heads": 11,
    "source_gets": 7,
    "source_others": 2,
    "target_posts": 3,
    "target_puts": 13,
    "bytes_read": 2048,
    "bytes_written": 4096,
    "retries": 5,
    "waits": 2,
    "waited_seconds": 75,
}
PANEL = (
    "Requests Source Destination HEAD 11 – GET 7 – POST – 3 PATCH – – PUT – 13 DELETE – – Others 2 – Total 20 16 "
    "Read from the source 2 KiB Sent to the destination 4 KiB"
)
WHY = "mirror: Reading the tags of a/b: the registry asked for 90 s of patience (HTTP 429)"


def soon():
    return timezone.now() + timedelta(seconds=90)


def parked(**overrides):
    """Give the fields of a row that waits for a limit."""
    return {
        "attempts": 1,
        "parked_at": timezone.now(),
        "next_attempt_at": soon(),
        "reason_code": "rate_limited",
        "reason": WHY,
        **overrides,
    }


def test_the_execution_shows_what_it_cost(administrator):
    execution = make_execution(status=Status.RUNNING, **COSTS)
    text = text_of(administrator.get(f"/executions/{execution.pk}/"))
    assert PANEL in text
    assert "Requests 36 Retries 5 Waits for limits 2 · 1 min 15 s" in text


def test_the_task_shows_what_it_cost(administrator):
    task = make_task(status=Status.RUNNING, **COSTS)
    assert PANEL in text_of(administrator.get(f"/tasks/{task.pk}/"))


def test_the_panel_is_part_of_what_a_tick_brings(administrator):
    execution = make_execution(status=Status.RUNNING, **COSTS)
    assert PANEL in text_of(administrator.get(f"/executions/{execution.pk}/", **asks_for("execution")))


def test_a_transfer_shows_its_requests_and_what_was_sent(administrator):
    task = make_task(status=Status.RUNNING)
    make_transfer(task=task, status=Status.SUCCEEDED, bytes_total=3 * 1024, attempts=4, **COSTS)
    assert "3 KiB 4 KiB sent 36 4" in text_of(administrator.get(f"/tasks/{task.pk}/"))


def test_a_run_from_before_methods_were_counted_shows_its_sum_alone(administrator):
    execution = make_execution(status=Status.SUCCEEDED, requests=36)
    text = text_of(administrator.get(f"/executions/{execution.pk}/"))
    assert "HEAD" not in text
    assert "Requests 36" in text


def test_a_run_that_asked_nothing_has_no_panel(administrator):
    execution = make_execution(status=Status.SKIPPED)
    assert "Traffic" not in text_of(administrator.get(f"/executions/{execution.pk}/"))


def test_the_execution_says_why_artifacts_and_repositories_wait_and_until_when(administrator):
    execution = make_execution(status=Status.RUNNING)
    task = make_task(execution=execution, status=Status.RUNNING)
    make_task(execution=execution, **parked())
    make_transfer(task=task, **parked(next_attempt_at=soon() + timedelta(seconds=5), reason="later"))
    first = make_transfer(task=task, **parked(reason="mirror: first"))

    text = text_of(administrator.get(f"/executions/{execution.pk}/", **asks_for("execution")))

    until = timezone.localtime(first.next_attempt_at)
    assert f"2 artifacts wait for another attempt. Waiting until {until:%Y-%m-%d %H:%M:%S} : mirror: first" in text
    assert f": {WHY}" in text.partition("1 repository waits for another attempt. Waiting until 20")[2]


def test_the_task_and_its_transfers_say_why_they_wait_and_until_when(administrator):
    task = make_task(**parked())
    make_transfer(task=task, **parked(reason="mirror: <b>first</b>"))

    response = administrator.get(f"/tasks/{task.pk}/")

    text = text_of(response)
    assert "Waiting Waiting until 20" in text
    assert f": {WHY}" in text
    assert "mirror: &lt;b&gt;first&lt;/b&gt;" in response.content.decode()


def test_what_failed_and_is_tried_again_does_not_wait_but_retries(administrator):
    task = make_task(attempts=1, next_attempt_at=soon(), reason_code="network", reason="reset by peer")
    text = text_of(administrator.get(f"/tasks/{task.pk}/"))
    assert "Retrying Next attempt at 20" in text
    assert ": reset by peer" in text


def test_a_listing_that_waits_says_so(administrator):
    execution = make_execution(status_text=WHY, **{k: v for k, v in parked().items() if k != "reason"})
    text = text_of(administrator.get(f"/executions/{execution.pk}/"))
    assert "Waiting Stop Waiting until 20" in text
    assert f": {WHY}" in text


def test_the_jobs_page_says_why_an_execution_waits_and_until_when(administrator):
    make_execution(status=Status.RUNNING, waiting_until=soon(), waiting_reason=WHY)
    text = text_of(administrator.get("/jobs/"))
    assert "Running Waiting until 20" in text
    assert f": {WHY}" in text


@pytest.mark.parametrize("status", [Status.RUNNING, Status.STOPPED])
def test_a_wait_that_is_over_is_not_shown(administrator, status):
    until = timezone.now() - timedelta(seconds=1) if status == Status.RUNNING else soon()
    make_execution(status=status, waiting_until=until, waiting_reason=WHY)
    assert WHY not in text_of(administrator.get("/jobs/"))


@pytest.mark.parametrize("count", [1, 40])
def test_waiting_work_takes_the_same_number_of_queries_however_much(
    administrator, django_assert_max_num_queries, count
):
    execution = make_execution(status=Status.RUNNING, waiting_until=soon(), waiting_reason=WHY, **COSTS)
    for _ in range(count):
        task = make_task(execution=execution, **parked())
        make_transfer(task=task, **parked())

    with django_assert_max_num_queries(7):
        administrator.get(f"/executions/{execution.pk}/", **asks_for("execution"))
    with django_assert_max_num_queries(6):
        administrator.get(f"/tasks/{task.pk}/")
    with django_assert_max_num_queries(7):
        administrator.get("/jobs/?page_size=100")


def test_the_csv_has_the_costs(administrator):
    make_execution(status=Status.SUCCEEDED, **COSTS)
    head, line = administrator.get("/jobs/export.csv").getvalue().decode().splitlines()
    assert head.endswith("bytes_read,bytes_written,requests,retries,waits,waited_seconds")
    assert line.endswith("2048,4096,36,5,2,75")


def test_the_panel_is_chinese_too(administrator):
    execution = make_execution(status=Status.RUNNING, waiting_until=soon(), waiting_reason=WHY, **COSTS)
    administrator.cookies["django_language"] = "zh-hans"
    with override("zh-hans"):  # a request leaves its language behind
        text = text_of(administrator.get(f"/executions/{execution.pk}/"))
        jobs = text_of(administrator.get("/jobs/"))
    assert "流量" in text
    assert "从源读取 2 KiB 发送到目标 4 KiB" in text
    assert "等待至 20" in jobs
