"""Rules and runs: what is stored, what is refused and in which words."""

from contextlib import nullcontext

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from replication.filters import FilterSpec
from replication.models import Execution, Rule, Status, Trigger
from replication.plan import TargetSpec
from replication.services import (
    RuleDisabled,
    RuleIsActive,
    delete_rule,
    executions_visible_to,
    retry_failed,
    rules_visible_to,
    save_rule,
    set_rule_enabled,
    start_execution,
    stop_execution,
)
from tests.factories import (
    make_admin,
    make_endpoint,
    make_execution,
    make_local_endpoint,
    make_project,
    make_rule,
    make_task,
    make_user,
)

pytestmark = pytest.mark.django_db


def save(*, filters=(), targets=None, by=None, replicate_existing=False, **fields) -> Rule:
    """Save a new rule from the local registry."""
    rule = Rule(**{"name": "rule", "source": make_local_endpoint(), **fields})
    places = [TargetSpec(make_endpoint().pk)] if targets is None else targets
    return save_rule(rule, filters=filters, targets=places, by=by, replicate_existing=replicate_existing)


def test_a_rule_is_stored_with_its_filters_and_targets_in_order():
    admin = make_admin()
    places = [TargetSpec(make_endpoint().pk, "mirror", 0), TargetSpec(make_endpoint().pk)]
    rule = save(filters=[FilterSpec("name", "a/**"), FilterSpec("tag", "v*", "excludes")], targets=places, by=admin)
    spec = Rule.objects.get(pk=rule.pk).to_spec()
    assert [f.value for f in spec.filters] == ["a/**", "v*"]
    assert list(spec.targets) == places
    assert rule.created_by == admin


def test_saving_again_replaces_filters_and_targets_and_keeps_the_creator():
    admin, place = make_admin(), TargetSpec(make_endpoint().pk)
    rule = save(filters=[FilterSpec("name", "a/**")], by=admin)
    save_rule(rule, filters=[], targets=[place], by=make_admin())
    rule.refresh_from_db()
    assert rule.to_spec().filters == ()
    assert rule.to_spec().targets == (place,)
    assert rule.created_by == admin


@pytest.mark.parametrize(
    ("fields", "field", "hint"),
    [
        ({"name": ""}, "name", "Give the rule a name"),
        ({"name": "Not Valid"}, "name", "lower case"),
        ({"trigger": "hourly"}, "trigger", "Choose manual"),
        ({"trigger": "scheduled"}, "cron", "needs a cron string"),
        ({"trigger": "scheduled", "cron": "0 0 25 * * *"}, "cron", "is not a cron string"),
        ({"trigger": "scheduled", "cron": "0 0 2 * * *", "time_zone": "Mars"}, "time_zone", "is not a time zone"),
        ({"trigger": "event_based", "single_active": True}, "single_active", "leave single active off"),
        ({"filters": [FilterSpec("name", "a[")]}, "filters", "is not closed"),
        ({"filters": [FilterSpec("colour", "red")]}, "filters", "is not a filter type"),
        ({"filters": [FilterSpec("tag", "v*", "perhaps")]}, "filters", "matches or excludes"),
        ({"filters": [FilterSpec("tag", "")]}, "filters", "1 to 1024 characters"),
        ({"filters": [FilterSpec("resource", "chart")]}, "filters", "image or artifact"),
        ({"targets": []}, "targets", "at least one destination"),
        ({"targets": [TargetSpec(987654)]}, "targets", "does not exist"),
    ],
)
def test_what_cannot_work_is_refused_at_its_field(fields, field, hint):
    with pytest.raises(ValidationError) as raised:
        save(**fields)
    assert field in raised.value.message_dict
    assert hint in " ".join(raised.value.message_dict[field])
    assert not Rule.objects.exists()


def test_a_taken_name_is_refused():
    save()
    with pytest.raises(ValidationError) as raised:
        save()
    assert "name" in raised.value.message_dict


@pytest.mark.parametrize(
    ("namespace", "level", "field"),
    [("Not Valid", 0, "namespace"), ("a//b", 0, "namespace"), ("ns", -2, "flatten_level")],
)
def test_a_place_that_is_none_is_refused(namespace, level, field):
    with pytest.raises(ValidationError) as raised:
        save(targets=[TargetSpec(make_endpoint().pk, namespace, level)])
    assert field in raised.value.message_dict


def test_a_rule_onto_itself_is_refused_by_row_and_by_address():
    source = make_local_endpoint()
    twin = make_endpoint(url=source.url)
    for endpoint in (source, twin):
        with pytest.raises(ValidationError, match="is the source itself"):
            save(targets=[TargetSpec(endpoint.pk)])
    assert save(targets=[TargetSpec(source.pk, "copies", 1)]).pk


@pytest.mark.parametrize(
    ("place", "level", "filters", "grows"),
    [
        ("copies", 0, (), True),
        ("copies/of", 1, (), True),
        ("copies", 0, (FilterSpec("name", "**"),), True),
        ("copies", 1, (), False),
        ("copies", -1, (), False),
        ("copies", 0, (FilterSpec("name", "library/**"),), False),
        ("copies", 0, (FilterSpec("name", "copies/**", "excludes"),), False),
    ],
)
def test_a_rule_that_would_copy_its_own_copies_is_refused(place, level, filters, grows):
    source = make_local_endpoint()
    with pytest.raises(ValidationError, match="its own copies") if grows else nullcontext():
        save(source=source, filters=filters, targets=[TargetSpec(source.pk, place, level)])


def test_a_project_keeps_a_rule_from_its_own_copies():
    project = make_project(name="test")
    assert save(project=project, targets=[TargetSpec(project.endpoint_id, "copies", 0)]).pk
    with pytest.raises(ValidationError, match="its own copies"):
        save(project=project, targets=[TargetSpec(project.endpoint_id, "test/copies", 0)])


def test_a_level_that_no_named_repository_has_is_refused_early():
    with pytest.raises(ValidationError, match="choose a lower flattening level"):
        save(filters=[FilterSpec("name", "library/app")], targets=[TargetSpec(make_endpoint().pk, "ns", 2)])


def test_a_project_rule_cannot_name_repositories_outside():
    project = make_project(name="test")
    with pytest.raises(ValidationError, match="begin with test/"):
        save(project=project, filters=[FilterSpec("name", "other/app")])
    with pytest.raises(ValidationError, match="another registry"):
        save(project=project, source=make_endpoint())


def test_the_database_holds_the_rules_that_matter_most():
    rule = make_rule()
    for change in (
        {"name": ""},
        {"trigger": "scheduled", "cron": ""},
        {"trigger": "event_based", "single_active": True},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Rule.objects.filter(pk=rule.pk).update(**change)


def test_a_scheduled_rule_knows_its_next_run_and_forgets_it_when_switched_off():
    rule = save(trigger=Trigger.SCHEDULED, cron="0 0 2 * * *")
    assert rule.next_run_at is not None
    assert rule.next_run_at > timezone.now()
    set_rule_enabled(rule, enabled=False, by=None, replicate_existing=False)
    assert Rule.objects.get().next_run_at is None


@pytest.mark.parametrize(
    ("enabled", "replicate_existing", "runs"), [(True, True, 1), (True, False, 0), (False, True, 0)]
)
def test_saving_copies_what_is_there_only_when_asked_and_enabled(enabled, replicate_existing, runs):
    save(enabled=enabled, replicate_existing=replicate_existing, trigger=Trigger.EVENT_BASED)
    assert Execution.objects.count() == runs


def test_activating_a_rule_copies_what_is_there():
    rule = make_rule(enabled=False, trigger=Trigger.EVENT_BASED)
    execution = set_rule_enabled(rule, enabled=True, by=None, replicate_existing=True)
    assert execution is not None
    assert execution.scope is None


def test_a_deactivated_rule_does_not_start():
    with pytest.raises(RuleDisabled, match="Enable it first"):
        start_execution(make_rule(enabled=False), trigger=Trigger.MANUAL)


def test_a_run_keeps_the_rule_as_it_was(pair):
    rule = pair.make_rule(filters=[FilterSpec("name", "a/**")])
    execution = start_execution(rule, trigger=Trigger.MANUAL)
    rule.filters.all().delete()
    execution.refresh_from_db()
    assert execution.rule_spec().filters == (FilterSpec("name", "a/**"),)


def test_a_rule_with_a_run_under_way_cannot_be_deleted_and_its_history_outlives_it():
    rule = make_rule()
    execution = start_execution(rule, trigger=Trigger.MANUAL)
    with pytest.raises(RuleIsActive, match=str(execution.pk)):
        delete_rule(rule)
    stop_execution(execution, by=None)
    delete_rule(rule)
    execution.refresh_from_db()
    assert (execution.rule, execution.rule_name) == (None, rule.name)


def test_stopping_a_finished_run_changes_nothing():
    execution = make_execution(status=Status.SUCCEEDED)
    stop_execution(execution, by=None)
    execution.refresh_from_db()
    assert (execution.status, execution.stop_requested_at) == (Status.SUCCEEDED, None)


def test_retrying_takes_only_the_repositories_that_failed():
    execution = make_execution(status=Status.FAILED)
    make_task(execution=execution, source_repository="a/good", status=Status.SUCCEEDED)
    make_task(execution=execution, source_repository="a/bad", status=Status.FAILED)
    again = retry_failed(execution, by=None)
    assert [item["repository"] for item in again.scope] == ["a/bad"]
    assert again.scope[0]["is_whole"]


def test_members_see_their_projects_rules_and_runs_and_nobody_elses():
    member, outsider, admin = make_user(), make_user(), make_admin()
    own = make_rule(project=make_project(members=[member]))
    foreign = make_rule(project=make_project())
    system_wide = make_rule()
    for rule in (own, foreign, system_wide):
        make_execution(rule=rule)
    assert set(rules_visible_to(member)) == {own}
    assert {execution.rule for execution in executions_visible_to(member)} == {own}
    assert not rules_visible_to(outsider).exists()
    assert rules_visible_to(admin).count() == executions_visible_to(admin).count() == 3
