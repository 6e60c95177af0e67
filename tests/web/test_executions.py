"""An execution and its tasks: progress, failures, what can be done, and the logs."""

from datetime import timedelta

import pytest
from django.utils import timezone

import registry.errors
from replication.models import Execution, Status
from replication.templatetags.replication import REASONS
from replication.views.progress import report_progress
from tests.factories import make_execution, make_log_line, make_rule, make_task, make_transfer
from tests.web.reading import asks_for, text_of

pytestmark = pytest.mark.django_db

MIB = 2**20
ERRORS = [e for e in vars(registry.errors).values() if hasattr(e, "code") and e is not registry.errors.RegistryError]


def test_progress_tells_artifacts_bytes_rate_and_time_left():
    now = timezone.now()
    execution = Execution(
        status=Status.RUNNING,
        started_at=now - timedelta(seconds=20),
        listed_at=now,
        transfers_total=29,
        transfers_succeeded=18,
        bytes_total=640 * MIB,
        bytes_done=400 * MIB,
        bytes_copied=240 * MIB,
    )

    report = report_progress(execution, now=now)

    assert report.text == "18 / 29 artifacts · 400 MiB of 640 MiB · 12 MiB/s · about 20 s left"
    assert (report.value, report.maximum) == (400 * MIB, 640 * MIB)


def test_progress_tells_how_many_failed():
    execution = Execution(status=Status.RUNNING, transfers_total=9, transfers_succeeded=5, transfers_failed=2)

    assert report_progress(execution, now=timezone.now()).text == "7 / 9 artifacts · 2 failed"


def test_no_time_left_is_told_before_everything_is_listed():
    now = timezone.now()
    execution = Execution(
        status=Status.RUNNING, started_at=now - timedelta(seconds=20), bytes_total=640, bytes_done=4, bytes_copied=4
    )

    assert "left" not in report_progress(execution, now=now).text


def test_progress_is_unknown_while_nothing_is_listed():
    assert report_progress(Execution(status=Status.RUNNING), now=timezone.now()).value is None


def test_running_execution_offers_stop_and_is_live(administrator):
    execution = make_execution(status=Status.RUNNING, tasks_total=1)
    make_task(execution=execution, status=Status.RUNNING)

    body = administrator.get(f"/executions/{execution.pk}/").content.decode()

    assert f'href="/executions/{execution.pk}/stop/"' in body
    assert body.count("data-live") == 2
    assert "/retry/" not in body


def test_finished_execution_is_quiet_and_offers_to_run_again(administrator):
    execution = make_execution(status=Status.FAILED, tasks_total=1, tasks_failed=1)

    body = administrator.get(f"/executions/{execution.pk}/").content.decode()

    assert "every 2s" not in body
    assert "/retry/" in body
    assert "/again/" in body
    assert "/stop/" not in body


@pytest.mark.parametrize("verify", [True, False])
def test_run_again_offers_what_the_run_before_was_told(verify, administrator):
    execution = make_execution(status=Status.SUCCEEDED, verify=verify)
    url = f"/executions/{execution.pk}/again/"

    box = administrator.get(url).content.decode().partition('name="verify"')[2].partition(">")[0]
    assert ("checked" in box) is verify

    administrator.post(url, {"verify": "on"} if verify else {})
    assert Execution.objects.exclude(pk=execution.pk).get().verify is verify


def test_execution_of_a_deleted_rule_can_be_read_but_not_repeated(administrator):
    execution = make_execution(rule_name="gone", status=Status.FAILED, tasks_failed=1, tasks_total=1)
    Execution.objects.filter(pk=execution.pk).update(rule=None)

    body = administrator.get(f"/executions/{execution.pk}/").content.decode()

    assert "gone" in body
    assert "/again/" not in body
    assert administrator.post(f"/executions/{execution.pk}/again/").status_code == 409
    assert administrator.post(f"/executions/{execution.pk}/retry/").status_code == 409


def test_member_looks_but_does_not_touch(member, project):
    execution = make_execution(rule=make_rule(project=project), status=Status.RUNNING)

    assert "/stop/" not in member.get(f"/executions/{execution.pk}/").content.decode()


def test_failures_are_grouped_by_reason_with_an_example(administrator):
    execution = make_execution(status=Status.FAILED, tasks_failed=3, tasks_total=3)
    for code, why in (("network", "reset by peer"), ("network", "reset by peer"), ("denied", "no right to push")):
        make_task(execution=execution, status=Status.FAILED, reason_code=code, reason=why)

    text = text_of(administrator.get(f"/executions/{execution.pk}/"))

    assert "Network 2 reset by peer" in text
    assert "No right 1 no right to push" in text


def test_transfers_that_wait_for_another_attempt_are_announced(administrator):
    execution = make_execution(status=Status.RUNNING)
    task = make_task(execution=execution, status=Status.RUNNING)
    make_transfer(task=task, attempts=2, reason="target is down", next_attempt_at=timezone.now())

    text = text_of(administrator.get(f"/executions/{execution.pk}/"))

    assert "1 artifact waits for another attempt." in text
    assert "target is down" in text


@pytest.mark.parametrize(
    ("query", "found"), [("status=failed", "b-image"), ("q=a-im", "a-image"), ("q=b-image", "b-image")]
)
def test_tasks_are_searched(query, found, administrator):
    execution = make_execution(status=Status.FAILED)
    make_task(execution=execution, source_repository="a-image", status=Status.SUCCEEDED)
    make_task(execution=execution, source_repository="b-image", status=Status.FAILED)

    body = administrator.get(f"/executions/{execution.pk}/?{query}", **asks_for("tasks")).content.decode()

    assert body.startswith('<div id="tasks"')
    assert found in body
    assert ("a-image" in body) != ("b-image" in body)


@pytest.mark.parametrize("count", [1, 60])
def test_page_takes_the_same_number_of_queries_however_many_tasks(count, administrator, django_assert_max_num_queries):
    execution = make_execution(status=Status.FAILED, tasks_failed=count)
    for _ in range(count):
        task = make_task(execution=execution, status=Status.FAILED, reason_code="network")
        make_log_line(execution=execution)

    with django_assert_max_num_queries(8):
        administrator.get(f"/executions/{execution.pk}/?page_size=100")
    with django_assert_max_num_queries(4):
        administrator.get(f"/executions/{execution.pk}/", **asks_for("execution"))
    with django_assert_max_num_queries(6):
        administrator.get(f"/tasks/{task.pk}/")


def test_stop_asks_and_then_stops(administrator):
    execution = make_execution(status=Status.RUNNING)

    question = text_of(administrator.get(f"/executions/{execution.pk}/stop/"))
    assert f"Do you want to stop the execution {execution.pk}?" in question
    execution.refresh_from_db()
    assert execution.stop_requested_at is None

    administrator.post(f"/executions/{execution.pk}/stop/")
    execution.refresh_from_db()
    assert execution.stop_requested_at is not None


def test_retry_begins_a_run_of_what_failed(administrator):
    execution = make_execution(status=Status.FAILED, tasks_total=2, tasks_failed=1)
    make_task(execution=execution, status=Status.FAILED, source_repository="library/broken")
    make_task(execution=execution, status=Status.SUCCEEDED)

    assert "replicate the 1 repository again" in text_of(administrator.get(f"/executions/{execution.pk}/retry/"))
    response = administrator.post(f"/executions/{execution.pk}/retry/")

    again = Execution.objects.latest("pk")
    assert response["Location"] == f"/executions/{again.pk}/"
    assert [scope["repository"] for scope in again.scope] == ["library/broken"]


def test_run_again_begins_a_whole_run(administrator):
    execution = make_execution(status=Status.SUCCEEDED)

    administrator.post(f"/executions/{execution.pk}/again/")

    assert Execution.objects.latest("pk").scope is None


def test_task_shows_transfers_with_attempts_and_reasons(administrator):
    task = make_task(status=Status.RUNNING)
    make_transfer(task=task, tags=["1.0", "latest"], status=Status.FAILED, attempts=3, reason="quota exceeded")

    text = text_of(administrator.get(f"/tasks/{task.pk}/"))

    assert "1.0 latest" in text
    assert "quota exceeded" in text


def test_a_task_says_below_its_row_why_and_when_it_is_tried_again(administrator):
    execution = make_execution(status=Status.RUNNING)
    make_task(
        execution=execution, attempts=1, next_attempt_at=timezone.now(), reason_code="network", reason="was reset"
    )
    make_task(execution=execution, status=Status.FAILED, reason_code="denied", reason="<b>no</b> right to push")
    make_task(execution=execution, status=Status.SUCCEEDED)

    body = administrator.get(f"/executions/{execution.pk}/", **asks_for("tasks")).content.decode()

    rows = body.split('<tr class="reason-row">')[1:]
    assert len(rows) == 2
    assert "Next attempt at" in rows[0]
    assert "was reset" in rows[0].partition("</tr>")[0]
    assert "&lt;b&gt;no&lt;/b&gt; right to push" in rows[1].partition("</tr>")[0]


def test_log_is_searched_by_level_and_text(administrator):
    task = make_task(status=Status.SUCCEEDED)
    make_log_line(task=task, message="all is well")
    make_log_line(task=task, message="blob broke", level="error")
    make_log_line(task=task, message="manifest broke", level="error")

    text = text_of(administrator.get(f"/tasks/{task.pk}/?log-level=error&log-q=blob", **asks_for("log")))

    assert "blob broke" in text
    assert "manifest broke" not in text
    assert "all is well" not in text


def test_log_is_followed_from_the_last_line_on(administrator):
    task = make_task(status=Status.RUNNING)
    first = make_log_line(task=task, message="first")
    second = make_log_line(task=task, message="second")

    body = administrator.get(f"/tasks/{task.pk}/log/?after={first.pk}&log-q=s").content.decode()

    assert "second" in body
    assert ">first<" not in body
    assert f'hx-get="/tasks/{task.pk}/log/?after={second.pk}&amp;log-q=s"' in body


def test_following_says_nothing_while_nothing_is_new(administrator):
    task = make_task(status=Status.RUNNING)
    line = make_log_line(task=task)

    assert administrator.get(f"/tasks/{task.pk}/log/?after={line.pk}").status_code == 204


def test_following_ends_with_the_task(administrator):
    task = make_task(status=Status.SUCCEEDED)
    line = make_log_line(task=task)

    response = administrator.get(f"/tasks/{task.pk}/log/?after={line.pk}")

    assert response.status_code == 200
    assert b"hx-trigger" not in response.content


def test_page_shows_the_last_lines_of_a_long_log(administrator):
    task = make_task(status=Status.SUCCEEDED)
    for number in range(502):
        make_log_line(task=task, message=f"line-{number:03}")

    text = text_of(administrator.get(f"/tasks/{task.pk}/"))

    assert "line-501" in text
    assert "line-001" not in text
    assert "Only the last 500 lines are shown" in text


def test_log_is_downloaded_whole_as_harbor_writes_it(administrator):
    task = make_task()
    line = make_log_line(task=task, message="<copied>", level="warning")
    type(line).objects.filter(pk=line.pk).update(at="2026-01-02T03:04:05Z")

    response = administrator.get(f"/tasks/{task.pk}/log.txt")

    assert response.getvalue() == b"2026-01-02T03:04:05Z [WARNING] <copied>\n"
    assert response["Content-Type"] == "text/plain; charset=utf-8"


def test_hostile_log_lines_are_shown_as_text(administrator):
    line = make_log_line(task=make_task(), message="<script>alert(1)</script>")

    assert "<script>alert" not in administrator.get(f"/tasks/{line.task_id}/").content.decode()


@pytest.mark.parametrize(
    "error",
    [e for e in vars(registry.errors).values() if hasattr(e, "code") and e is not registry.errors.RegistryError],
)
def test_every_error_of_a_registry_has_a_word(error):
    assert error.code in REASONS


@pytest.mark.parametrize("status", Status.values)
def test_every_state_has_a_word_and_a_shape(status, administrator):
    execution = make_execution(status=status)

    body = administrator.get(f"/executions/{execution.pk}/", **asks_for("execution")).content.decode()

    assert f"</svg>{execution.get_status_display()}</span>" in body


def test_transfer_that_carries_referrers_alone_says_so(administrator):
    task = make_task(status=Status.SUCCEEDED)
    make_transfer(task=task, tags=[], status=Status.SUCCEEDED)

    page = administrator.get(f"/tasks/{task.pk}/")

    assert "Signatures and attached artifacts of this digest" in page.content.decode()
