"""Rules: the grid with the executions below it, and what is done to a rule."""

import pytest
from django.utils import timezone

from replication.models import Rule, Status, Trigger
from replication.plan import FilterSpec
from tests.factories import make_endpoint, make_execution, make_project, make_rule
from tests.web.reading import asks_for, text_of

pytestmark = pytest.mark.django_db


def test_grid_shows_last_and_next_run(administrator):
    rule = make_rule(trigger=Trigger.SCHEDULED, cron="0 0 2 * * *", next_run_at=timezone.now())
    make_execution(rule=rule, status=Status.SUCCEEDED)
    make_execution(rule=rule, status=Status.FAILED)

    text = text_of(administrator.get("/replications/", **asks_for("rules")))

    assert "Failed" in text
    assert "Succeeded" not in text
    assert "0 0 2 * * *" in text


@pytest.mark.parametrize("count", [1, 25])
def test_grid_takes_the_same_number_of_queries_however_long(count, administrator, django_assert_max_num_queries):
    for _ in range(count):
        chosen = make_rule(filters=[FilterSpec("name", "**")], targets=[make_endpoint(), make_endpoint()])
        make_execution(rule=chosen)

    with django_assert_max_num_queries(14):
        administrator.get(f"/replications/?page_size=100&rule={chosen.pk}")


def test_choosing_a_rule_shows_its_executions_only(administrator):
    rule, other = make_rule(), make_rule()
    mine, theirs = make_execution(rule=rule), make_execution(rule=other)

    body = administrator.get(f"/replications/?rule={rule.pk}").content.decode()

    assert f"/executions/{mine.pk}/" in body.partition('id="executions"')[2]
    assert f"/executions/{theirs.pk}/" not in body.partition('id="executions"')[2]


def test_member_sees_the_rules_of_own_projects_without_tools(member, project):
    make_rule(name="ours", project=project)
    make_rule(name="system-wide")
    make_rule(name="theirs", project=make_project())

    text = text_of(member.get("/replications/"))

    assert "ours" in text
    assert "system-wide" not in text
    assert "theirs" not in text
    assert "Actions" not in text


def test_grid_can_be_narrowed_to_what_uses_a_registry(administrator, target):
    make_rule(name="uses-it", targets=[target])
    make_rule(name="does-not")

    text = text_of(administrator.get(f"/replications/?endpoint={target.pk}"))

    assert "uses-it" in text
    assert "does-not" not in text


def test_project_tab_shows_rules_and_executions_of_the_project(member, project):
    rule = make_rule(name="ours", project=project)
    execution = make_execution(rule=rule, project=project)
    other = make_execution()

    body = member.get(f"/projects/{project.pk}/replication/").content.decode()

    assert "ours" in body
    assert f"/executions/{execution.pk}/" in body
    assert f"/executions/{other.pk}/" not in body


def test_replicate_asks_then_starts_and_leads_to_the_execution(administrator, alice):
    rule = make_rule(name="runs")
    url = f"/replications/{rule.pk}/replicate/"

    assert "Do you want to execute replication rule runs?" in text_of(administrator.get(url))
    assert not rule.executions.exists()

    response = administrator.post(url, **asks_for("dialog"))
    execution = rule.executions.get()
    assert response["HX-Redirect"] == f"/executions/{execution.pk}/"
    assert execution.requested_by == alice


@pytest.mark.parametrize(("ticked", "verify"), [({"verify": "on"}, True), ({}, False)])
def test_replicate_offers_to_verify_the_destination(ticked, verify, administrator):
    rule = make_rule()
    url = f"/replications/{rule.pk}/replicate/"

    body = administrator.get(url).content.decode()
    assert 'aria-describedby="id_verify_helptext"' in body
    assert "within 24 hours is believed" in body

    response = administrator.post(url, ticked, follow=True)
    assert rule.executions.get().verify is verify
    assert ("Every tag at the destination" in text_of(response)) is verify


def test_a_deactivated_rule_does_not_run(administrator):
    rule = make_rule(enabled=False)

    response = administrator.post(f"/replications/{rule.pk}/replicate/")

    assert response.status_code == 409
    assert "is deactivated" in text_of(response)


def test_single_active_rule_that_is_running_says_why_the_run_was_skipped(administrator):
    rule = make_rule(single_active=True)
    make_execution(rule=rule, status=Status.RUNNING)

    response = administrator.post(f"/replications/{rule.pk}/replicate/", follow=True)

    assert "active replication still in progress" in text_of(response)


def test_enabling_offers_to_copy_what_is_there(administrator):
    rule = make_rule(enabled=False, trigger=Trigger.EVENT_BASED)

    assert "Replicate existing images now" in text_of(administrator.get(f"/replications/{rule.pk}/enable/"))
    administrator.post(f"/replications/{rule.pk}/enable/", {"replicate_existing": "on"})

    rule.refresh_from_db()
    assert rule.enabled
    assert rule.executions.count() == 1


def test_deactivating(administrator):
    rule = make_rule()

    administrator.post(f"/replications/{rule.pk}/deactivate/")

    rule.refresh_from_db()
    assert not rule.enabled


def test_delete_keeps_the_executions_and_waits_for_those_under_way(administrator):
    rule = make_rule(name="goes")
    running = make_execution(rule=rule, status=Status.RUNNING)

    response = administrator.post(f"/replications/{rule.pk}/delete/")
    assert response.status_code == 409
    assert str(running.pk) in text_of(response)

    running.status, running.ended_at = Status.SUCCEEDED, timezone.now()
    running.save()
    administrator.post(f"/replications/{rule.pk}/delete/")
    assert not Rule.objects.exists()
    assert "goes" in text_of(administrator.get("/jobs/"))


def test_hostile_texts_are_shown_as_text(administrator):
    rule = make_rule(name="<b>bold</b>", description="<script>alert(1)</script>")
    make_execution(rule=rule, status=Status.FAILED, status_text="<img src=x onerror=alert(1)>")

    body = administrator.get(f"/replications/?rule={rule.pk}").content.decode()

    assert "<b>bold" not in body
    assert "<script>alert" not in body
    assert "<img src=x" not in body
