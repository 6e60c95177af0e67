"""Rules: the grid with the executions below it, the editor with its preview, and what is done to a rule."""

import pytest
from django.utils import timezone

from replication.models import Execution, Rule, Status, Trigger
from replication.plan import FilterSpec, TargetSpec
from tests.factories import make_endpoint, make_execution, make_local_endpoint, make_project, make_rule
from tests.web.reading import asks_for, text_of

pytestmark = pytest.mark.django_db


def rule_values(**overrides):
    values = {
        "name": "to-mirror",
        "description": "",
        "mode": "push",
        "project": "",
        "source": "",
        "resource": "",
        "trigger": "manual",
        "cron": "0 0 2 * * *",
        "time_zone": "UTC",
        "bandwidth": "-1",
        "bandwidth_unit": "kbps",
        "override": "on",
        "enabled": "on",
        "filters-TOTAL_FORMS": "1",
        "filters-INITIAL_FORMS": "0",
        "filters-0-kind": "name",
        "filters-0-decoration": "matches",
        "filters-0-value": "",
        "targets-TOTAL_FORMS": "1",
        "targets-INITIAL_FORMS": "0",
        "targets-0-endpoint": "",
        "targets-0-namespace": "",
        "targets-0-flatten_level": "1",
    }
    return {**values, **overrides}


@pytest.fixture
def target(db):
    make_local_endpoint(url="http://local.test:5000")
    return make_endpoint(name="mirror")


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


def test_new_rule_is_stored_with_its_filters_and_targets(administrator, target, project):
    second = make_endpoint(name="second")
    values = rule_values(
        **{
            "project": project.pk,
            "trigger": "event_based",
            "deletion": "on",
            "resource": "image",
            "filters-0-value": " test/** ",
            "targets-TOTAL_FORMS": "2",
            "targets-0-endpoint": target.pk,
            "targets-1-endpoint": second.pk,
            "targets-1-namespace": "copies/",
            "targets-1-flatten_level": "0",
            "bandwidth": "2",
            "bandwidth_unit": "mbps",
        }
    )

    response = administrator.post("/replications/new/", values)

    rule = Rule.objects.get()
    assert response["Location"] == f"/replications/?rule={rule.pk}"
    assert [f.to_spec() for f in rule.filters.all()] == [FilterSpec("name", "test/**"), FilterSpec("resource", "image")]
    assert [t.to_spec() for t in rule.targets.all()] == [TargetSpec(target.pk), TargetSpec(second.pk, "copies", 0)]
    assert (rule.source, rule.deletion, rule.kilobits_per_second) == (project.endpoint, True, 2048)
    assert not rule.executions.exists()


def test_event_based_rule_copies_what_is_there_when_asked(administrator, target):
    values = rule_values(**{"trigger": "event_based", "replicate_existing": "on", "targets-0-endpoint": target.pk})

    administrator.post("/replications/new/", values)

    assert Execution.objects.get().rule == Rule.objects.get()


def test_box_to_copy_what_is_there_is_ticked_for_a_new_rule(administrator):
    body = administrator.get("/replications/new/").content.decode()

    box = body.partition('name="replicate_existing"')[2].partition(">")[0]
    assert box.endswith("checked")


def test_pull_based_rule_writes_to_the_local_registry(administrator, target):
    administrator.post("/replications/new/", rule_values(mode="pull", source=target.pk))

    rule = Rule.objects.get()
    assert rule.source == target
    assert [t.endpoint.is_local for t in rule.targets.all()] == [True]


def test_rule_between_two_remote_registries(administrator, target):
    other = make_endpoint()
    values = rule_values(**{"mode": "any", "source": other.pk, "targets-0-endpoint": target.pk})

    administrator.post("/replications/new/", values)

    assert Rule.objects.get().source == other


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": "Not Valid"}, 'id="id_name_error"'),
        ({"name": ""}, 'id="id_name_error"'),
        ({"trigger": "scheduled", "cron": "* * *"}, 'id="id_cron_error"'),
        ({"trigger": "scheduled", "cron": "0 * * * * *"}, 'id="id_cron_error"'),
        ({"bandwidth": "0"}, 'id="id_bandwidth_error"'),
        ({"bandwidth": "99999999999"}, 'id="id_bandwidth_error"'),
        ({"filters-0-value": "a["}, 'href="#filters"'),
        ({"targets-0-endpoint": ""}, 'href="#targets"'),
        ({"targets-0-namespace": "UPPER"}, 'href="#targets"'),
        ({"mode": "any"}, 'id="id_source_error"'),
        ({"time_zone": "Moon/Base", "trigger": "scheduled"}, 'id="id_time_zone_error"'),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_where_it_is(change, place, administrator, target):
    values = rule_values(**{"targets-0-endpoint": target.pk, "description": "what I typed", **change})

    response = administrator.post("/replications/new/", values)

    body = response.content.decode()
    assert response.status_code == 422
    assert 'class="summary"' in body
    assert place in body
    assert "what I typed" in body
    assert not Rule.objects.exists()


def test_a_rule_whose_target_is_its_source_is_refused(administrator, target):
    local = make_local_endpoint()

    response = administrator.post("/replications/new/", rule_values(**{"targets-0-endpoint": local.pk}))

    assert "is the source itself" in text_of(response)


def test_without_a_local_registry_a_push_based_rule_says_so(administrator):
    values = rule_values(**{"targets-0-endpoint": make_endpoint().pk})

    assert "There is no local registry yet." in text_of(administrator.post("/replications/new/", values))


def test_edit_shows_the_rule_and_replaces_it(administrator, target):
    rule = make_rule(
        name="old", targets=[target], filters=[FilterSpec("tag", "v*", "excludes")], kilobits_per_second=1500
    )

    body = administrator.get(f"/replications/{rule.pk}/edit/").content.decode()
    assert 'value="v*"' in body
    assert 'value="1500"' in body

    values = rule_values(**{"name": "new", "targets-0-endpoint": target.pk})
    administrator.post(f"/replications/{rule.pk}/edit/", values)
    rule.refresh_from_db()
    assert rule.name == "new"
    assert not rule.filters.exists()
    assert rule.kilobits_per_second == 0


def test_clone_is_a_new_rule_filled_in(administrator, target):
    rule = make_rule(name="model", targets=[TargetSpec(target.pk, "copies", 5)], filters=[FilterSpec("name", "a/**")])

    body = administrator.get(f"/replications/new/?clone={rule.pk}").content.decode()

    assert 'value="model-copy"' in body
    assert 'value="a/**"' in body
    assert "Flatten 5 Levels" in body
    assert Rule.objects.count() == 1


@pytest.mark.parametrize(
    ("wish", "count"), [("add-filters", 2), ("remove-filters-0", 0), ("add-targets", 1), ("remove-filters-9", 1)]
)
def test_rows_come_and_go_without_losing_what_was_typed(wish, count, administrator, target):
    values = rule_values(**{"draft": wish, "name": "half typed Name", "targets-0-endpoint": target.pk})

    response = administrator.post("/replications/new/", values, **asks_for("rule-form"))

    body = response.content.decode()
    assert body.startswith('<form id="rule-form"')
    assert body.count('class="row-fields row-filter"') == count
    assert body.count('class="row-fields row-target"') == (2 if wish == "add-targets" else 1)
    assert "half typed Name" in body
    assert "summary" not in body


def test_rows_can_be_added_without_htmx(administrator, target):
    body = administrator.post("/replications/new/", rule_values(draft="add-filters")).content.decode()

    assert body.startswith("<!doctype html>")
    assert body.count('class="row-fields row-filter"') == 2


def test_preview_shows_where_an_example_goes_and_when_the_rule_runs(administrator, target, project):
    values = rule_values(
        **{
            "draft": "preview",
            "project": project.pk,
            "trigger": "scheduled",
            "cron": "0 30 3 * * *",
            "targets-0-endpoint": target.pk,
            "targets-0-namespace": "ns",
            "targets-0-flatten_level": "-1",
        }
    )

    text = text_of(administrator.post("/replications/new/", values, **asks_for("rule-preview")))

    assert "The filters take it." in text
    assert "mirror ns/img" in text
    assert text.count("03:30:00") == 3


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"filters-0-value": "other/**"}, "The filters leave it out."),
        ({"filters-0-value": "a["}, "a [ is not closed"),
        (
            {"targets-0-namespace": "ns", "targets-0-flatten_level": "3", "example": "a/img"},
            "choose a lower flattening level",
        ),
        ({"trigger": "scheduled", "cron": "nonsense"}, "A cron string has 6 fields"),
    ],
)
def test_preview_says_what_would_not_work(change, sentence, administrator, target):
    values = rule_values(**{"draft": "preview", "targets-0-endpoint": target.pk, **change})

    assert sentence in text_of(administrator.post("/replications/new/", values, **asks_for("rule-preview")))


def test_replicate_asks_then_starts_and_leads_to_the_execution(administrator, alice):
    rule = make_rule(name="runs")
    url = f"/replications/{rule.pk}/replicate/"

    assert "Do you want to execute replication rule runs?" in text_of(administrator.get(url))
    assert not rule.executions.exists()

    response = administrator.post(url, **asks_for("dialog"))
    execution = rule.executions.get()
    assert response["HX-Redirect"] == f"/executions/{execution.pk}/"
    assert execution.requested_by == alice


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
