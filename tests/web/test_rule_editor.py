"""The page on which rules are made, changed and cloned, and its preview."""

import pytest

from replication.models import Execution, Rule
from replication.plan import FilterSpec, TargetSpec
from tests.factories import make_endpoint, make_local_endpoint, make_rule
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
        ({"bandwidth_windows": "08:00-25:00 4096"}, 'id="id_bandwidth_windows_error"'),
        ({"bandwidth_windows": "08:00-12:00 1; 11:00-13:00 2"}, 'id="id_bandwidth_windows_error"'),
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


def test_all_that_is_wrong_is_said_at_once(administrator, target):
    wrong = {"name": "Not Valid", "bandwidth": "0", "filters-0-value": "a[", "targets-0-namespace": "UPPER"}
    wrong |= {"trigger": "scheduled", "cron": "* * *", "bandwidth_windows": "08:00-25:00 1", "platforms": "linux"}

    response = administrator.post("/replications/new/", rule_values(**{"targets-0-endpoint": target.pk, **wrong}))

    body = response.content.decode()
    for field in ("name", "bandwidth", "cron", "bandwidth_windows", "platforms"):
        assert f'id="id_{field}_error"' in body
    assert 'href="#filters"' in body
    assert 'href="#targets"' in body
    assert not Rule.objects.exists()


def test_nothing_is_called_wrong_while_rows_are_added(administrator):
    values = rule_values(draft="add-filters", name="", bandwidth="0")

    body = administrator.post("/replications/new/", values, **asks_for("rule-form")).content.decode()

    assert "aria-invalid" not in body
    assert "_error" not in body


def test_help_of_choices_is_tied_to_them(administrator):
    body = administrator.get("/replications/new/").content.decode()

    assert '<fieldset aria-describedby="id_platform_mode_helptext"><legend>Multi-platform images become' in body


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


def test_windows_of_time_are_stored_shown_one_a_line_and_listed_with_the_rule(administrator, target):
    make_local_endpoint()
    given = {"bandwidth_windows": "8:00-18:00 mon-fri 4096\n22:00-06:00 pause", "time_zone": "Europe/Berlin"}
    administrator.post("/replications/new/", rule_values(**{"targets-0-endpoint": target.pk, **given}))

    rule = Rule.objects.get()
    assert (rule.bandwidth_windows, rule.time_zone) == ("08:00-18:00 mon-fri 4096; 22:00-06:00 pause", "Europe/Berlin")
    body = administrator.get(f"/replications/{rule.pk}/edit/").content.decode()
    assert ">\n08:00-18:00 mon-fri 4096\n22:00-06:00 pause</textarea>" in body
    listed = text_of(administrator.get("/replications/"))
    assert "Bandwidth by time (Europe/Berlin): 08:00-18:00 mon-fri 4096 22:00-06:00 pause" in listed


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


@pytest.mark.parametrize(("typed", "stored"), [({"referrers": "on"}, True), ({}, False)])
def test_signatures_travel_as_the_box_says(administrator, target, typed, stored):
    administrator.post("/replications/new/", rule_values(**{"targets-0-endpoint": target.pk, **typed}))

    rule = Rule.objects.get()
    assert rule.referrers is stored
    body = administrator.get(f"/replications/{rule.pk}/edit/").content.decode()
    box = body.partition('name="referrers"')[2].partition(">")[0]
    assert box.endswith("checked") is stored


def test_box_for_signatures_is_ticked_and_explained_for_a_new_rule(administrator):
    body = administrator.get("/replications/new/").content.decode()

    box = body.partition('name="referrers"')[2].partition(">")[0]
    assert box.endswith("checked")
    assert "Signatures and attached artifacts" in body
    assert 'id="id_referrers_helptext"' in body
