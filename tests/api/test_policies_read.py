"""GET of rules (API contract, section 10.1)."""

from typing import Any

import pytest

from replication.filters import FilterSpec
from replication.plan import TargetSpec
from tests.api.client import ApiClient, error_of
from tests.factories import make_endpoint, make_local_endpoint, make_project, make_rule


def test_a_rule_is_shown_in_harbors_shape(admin: ApiClient):
    make_local_endpoint(url="http://core:8080")
    remote = make_endpoint(name="dr", access_key="robot", secret="hidden")
    rule = make_rule(
        name="to-dr",
        trigger="scheduled",
        cron="0 0 2 * * *",
        time_zone="Europe/Berlin",
        filters=[
            FilterSpec("name", "library/**"),
            FilterSpec("name", "*/test", "excludes"),
            FilterSpec("tag", "v*"),
            FilterSpec("resource", "image"),
        ],
        targets=[TargetSpec(remote.pk, "mirror", 1)],
        deletion=True,
        kilobits_per_second=512,
    )
    response = admin.get(f"/replication/policies/{rule.pk}")
    shown = response.json()
    assert b"hidden" not in response.content
    assert (shown["id"], shown["name"]) == (rule.pk, "to-dr")
    assert (shown["src_registry"]["id"], shown["src_registry"]["name"]) == (0, "Local")
    assert (shown["dest_registry"]["id"], shown["dest_registry"]["credential"]["access_secret"]) == (remote.pk, "*****")
    assert (shown["dest_namespace"], shown["dest_namespace_replace_count"]) == ("mirror", 1)
    assert shown["trigger"] == {
        "type": "scheduled",
        "trigger_settings": {"cron": "0 0 2 * * *", "time_zone": "Europe/Berlin"},
    }
    assert shown["filters"] == [
        {"type": "name", "value": "library/**"},
        {"type": "name", "value": "*/test", "decoration": "excludes"},
        {"type": "tag", "value": "v*", "decoration": "matches"},
        {"type": "resource", "value": "image"},
    ]
    assert (shown["deletion"], shown["replicate_deletion"], shown["speed"]) == (True, True, 512)
    assert (shown["copy_by_chunk"], shown["single_active_replication"], shown["override"]) == (False, False, True)
    assert shown["enabled"] is True
    assert shown["next_run_time"] == "0001-01-01T00:00:00.000Z"


def test_a_rule_started_by_hand_has_an_empty_trigger_setting(admin: ApiClient):
    shown = admin.get(f"/replication/policies/{make_rule().pk}").json()
    assert shown["trigger"] == {"type": "manual", "trigger_settings": {}}


def test_a_rule_with_several_targets_shows_them_all(admin: ApiClient):
    one, two = make_endpoint(name="one"), make_endpoint(name="two")
    rule = make_rule(targets=[TargetSpec(one.pk), TargetSpec(two.pk, "mirror", -1)], project=make_project())
    shown = admin.get(f"/replication/policies/{rule.pk}").json()
    assert shown["dest_registry"]["name"] == "one"
    assert [
        (item["registry"]["name"], item["dest_namespace"], item["dest_namespace_replace_count"])
        for item in shown["dest_registries"]
    ] == [("one", "", 1), ("two", "mirror", -1)]
    assert shown["project_id"] == rule.project_id


def test_a_pull_rule_has_the_local_registry_as_destination(admin: ApiClient):
    rule = make_rule(source=make_endpoint(name="hub"), targets=[make_local_endpoint()])
    shown = admin.get(f"/replication/policies/{rule.pk}").json()
    assert (shown["src_registry"]["name"], shown["dest_registry"]["id"]) == ("hub", 0)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ["second", "first"]),
        ({"sort": "name"}, ["first", "second"]),
        ({"sort": "creation_time"}, ["first", "second"]),
        ({"name": "SEC"}, ["second"]),
        ({"q": "name=~irs"}, ["first"]),
        ({"q": "enabled=true"}, ["second"]),
        ({"page_size": 1, "page": 2}, ["first"]),
    ],
)
def test_the_list_is_filtered_and_sorted(admin: ApiClient, params: dict[str, Any], names: list[str]):
    make_rule(name="first", enabled=False)
    make_rule(name="second")
    assert [rule["name"] for rule in admin.get("/replication/policies", **params).json()] == names


@pytest.mark.parametrize("count", [1, 15])
def test_the_list_takes_six_queries_however_long(admin: ApiClient, django_assert_num_queries: Any, count: int):
    for _ in range(count):
        make_rule(filters=[FilterSpec("name", "a/**")], targets=[make_endpoint(), make_endpoint()])
    admin.get("/replication/policies")
    with django_assert_num_queries(6):  # who asks, how many, which, their targets, their registries, their filters
        admin.get("/replication/policies", page_size=100)


def test_what_is_not_there_is_a_404(admin: ApiClient):
    assert error_of(admin.get("/replication/policies/9")) == (404, "NOT_FOUND", "replication policy 9 not found")
