"""The list of all executions: search, paging by id, live ticks and CSV."""

import csv
import io
from datetime import timedelta

import pytest
from django.utils import timezone

from replication.models import Execution, Status, Trigger
from tests.factories import make_endpoint, make_execution, make_rule
from tests.web.reading import asks_for, text_of

pytestmark = pytest.mark.django_db


def listed(response) -> list[int]:
    """Return the ids of the executions on the page, in order."""
    return [execution.pk for execution in response.context["executions"].rows]


def test_member_sees_the_executions_of_own_projects(member, project):
    ours = make_execution(rule=make_rule(project=project))
    make_execution()

    assert listed(member.get("/jobs/")) == [ours.pk]


@pytest.mark.parametrize(
    "query", ["rule={rule}", "project={project}", "target={target}", "status=failed", "trigger=scheduled", "q=wanted",
              "q={execution}", "q=%23{execution}", "q=disk+full", "since=2026-01-01T00:00&until=2026-01-03T00:00"]
)  # fmt: skip
def test_search_finds_the_one_that_is_meant(query, administrator, project):
    target = make_endpoint()
    rule = make_rule(name="wanted-rule", project=project, targets=[target])
    meant = make_execution(
        rule=rule, status=Status.FAILED, trigger=Trigger.SCHEDULED, status_text="disk full", project=project
    )
    Execution.objects.filter(pk=meant.pk).update(created_at="2026-01-02T00:00:00Z")
    make_execution(rule=make_rule(name="other-rule"), status=Status.SUCCEEDED)  # no digit that a search could meet
    query = query.format(rule=rule.pk, project=project.pk, target=target.pk, execution=meant.pk)

    assert listed(administrator.get(f"/jobs/?{query}")) == [meant.pk]


def test_what_cannot_be_searched_for_is_said_and_left_out(administrator):
    execution = make_execution()

    response = administrator.get("/jobs/?since=yesterday")

    assert listed(response) == [execution.pk]
    assert "Enter a valid date/time." in text_of(response)


def test_history_is_walked_by_id_in_both_directions(administrator):
    ids = [make_execution().pk for _ in range(40)][::-1]

    first = administrator.get("/jobs/")
    assert listed(first) == ids[:15]

    second = administrator.get(f"/jobs/?before={first.context['executions'].older}")
    assert listed(second) == ids[15:30]

    back = administrator.get(f"/jobs/?after={second.context['executions'].newer}")
    assert listed(back) == ids[:15]
    assert back.context["executions"].newer is None


@pytest.mark.parametrize("count", [1, 60])
def test_list_takes_the_same_number_of_queries_however_long(count, administrator, django_assert_max_num_queries):
    rule = make_rule()
    for _ in range(count):
        make_execution(rule=rule)

    with django_assert_max_num_queries(7):
        administrator.get("/jobs/?page_size=100")


def test_list_asks_for_news_fast_while_something_moves_and_slowly_else(administrator):
    execution = make_execution(status=Status.SUCCEEDED)
    assert b'hx-trigger="every 5s"' in administrator.get("/jobs/").content

    make_execution(status=Status.RUNNING)
    assert b'hx-trigger="every 2s"' in administrator.get("/jobs/").content

    older = administrator.get(f"/jobs/?before={execution.pk + 1}").content
    assert b'hx-trigger="every' not in older.partition(b'id="executions"')[2].partition(b">")[0]


def test_quiet_tick_is_not_modified_and_a_new_execution_is_news(administrator):
    make_execution(status=Status.SUCCEEDED)
    first = administrator.get("/jobs/", **asks_for("executions"))
    quiet = asks_for("executions", **{"If-None-Match": first["ETag"]})

    assert administrator.get("/jobs/", **quiet).status_code == 304
    make_execution(status=Status.SUCCEEDED)
    assert administrator.get("/jobs/", **quiet).status_code == 200


def test_tick_gets_the_list_alone_and_keeps_the_search(administrator):
    make_execution(status=Status.RUNNING)

    body = administrator.get("/jobs/?status=running", **asks_for("executions")).content.decode()

    assert body.startswith('<section id="executions"')
    assert 'hx-get="/jobs/?status=running"' in body


def test_csv_has_every_row_that_the_search_finds(administrator):
    rule = make_rule(name="=HYPERLINK(1)")
    failed = [make_execution(rule=rule, status=Status.FAILED, status_text="why, exactly").pk for _ in range(20)]
    make_execution(status=Status.SUCCEEDED)

    response = administrator.get("/jobs/export.csv?status=failed")

    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    assert response["Content-Disposition"].startswith("attachment")
    assert [int(row["id"]) for row in rows] == failed[::-1]
    assert rows[0]["status_text"] == "why, exactly"
    assert rows[0]["rule_name"] == "'=HYPERLINK(1)"


def test_csv_holds_what_the_viewer_may_see(member, project):
    make_execution()

    assert len(member.get("/jobs/export.csv").getvalue().decode().splitlines()) == 1


def test_times_are_shown_in_the_zone_of_the_browser(administrator):
    execution = make_execution()
    Execution.objects.filter(pk=execution.pk).update(created_at="2026-01-02T22:30:00Z")
    administrator.cookies["time_zone"] = "Asia/Shanghai"

    text = text_of(administrator.get("/jobs/"))

    assert "2026-01-03 06:30:00" in text


def test_times_of_an_unknown_zone_are_utc(administrator):
    Execution.objects.filter(pk=make_execution().pk).update(created_at="2026-01-02T22:30:00Z")
    administrator.cookies["time_zone"] = "../../etc/passwd"

    assert "2026-01-02 22:30:00" in text_of(administrator.get("/jobs/"))


def test_running_duration_is_shown_with_hours(administrator):
    execution = make_execution(status=Status.RUNNING)
    Execution.objects.filter(pk=execution.pk).update(started_at=timezone.now() - timedelta(hours=3, minutes=5))

    assert "3 h 5 min" in text_of(administrator.get("/jobs/"))
