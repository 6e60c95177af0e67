"""Rules that are refused, and in which words (API contract, section 10.1; replication semantics, section 2)."""

from typing import Any

import pytest

from replication.models import Rule
from targets.models import Endpoint
from tests.api.client import ApiClient, error_of
from tests.factories import make_endpoint, make_local_endpoint, make_rule

PATH = "/replication/policies"


@pytest.fixture
def remote(db: None) -> Endpoint:
    """Give a registry beside the local one."""
    make_local_endpoint(url="http://core.example.com")
    return make_endpoint(name="dr", url="https://dr.example.com")


def _body(remote: Endpoint, **changes: Any) -> dict[str, Any]:
    return {"name": "to-dr", "dest_registry": {"id": remote.pk}, "enabled": True, **changes}


BAD = [
    ({"name": ""}, 400, "empty name"),
    ({"name": None}, 400, "empty name"),
    ({"name": "x" * 256}, 400, "name"),
    ({"name": "Upper Case"}, 400, "name"),
    ({"name": {"a": 1}}, 400, "name"),
    ({"dest_registry": None}, 400, "either src_registry or dest_registry should be empty"),
    ({"dest_registry": {"id": 99}}, 404, "registry 99 not found"),
    ({"src_registry": {"id": 99}}, 404, "registry 99 not found"),
    ({"dest_registry": {"id": "x"}}, 400, "dest_registry.id: "),
    ({"dest_registry": {"id": 10**30}}, 400, "dest_registry.id: "),
    ({"dest_registry": [1]}, 400, "dest_registry: "),
    ({"dest_registries": [{"registry": {"id": 99}}]}, 404, "registry 99 not found"),
    ({"dest_registries": {"registry": 1}}, 400, "dest_registries: "),
    ({"dest_namespace": "Not Lower"}, 400, "namespace"),
    ({"dest_namespace": "n" * 256}, 400, "namespace"),
    ({"dest_namespace_replace_count": 128}, 400, "dest_namespace_replace_count: "),
    ({"dest_namespace_replace_count": "many"}, 400, "dest_namespace_replace_count: "),
    ({"trigger": {"type": "sometimes"}}, 400, "invalid trigger type"),
    ({"trigger": {"type": ""}}, 400, "invalid trigger type"),
    ({"trigger": {}}, 400, "trigger.type: "),
    ({"trigger": "manual"}, 400, "trigger: "),
    ({"bandwidth_windows": "08:00-18:00"}, 400, "bandwidth_windows: 08:00-18:00 is no time window"),
    ({"bandwidth_windows": "08:00-12:00 1; 11:00-13:00 2"}, 400, "overlap (mon 11:00)"),
    ({"bandwidth_windows": ["08:00-12:00 1"]}, 400, "bandwidth_windows: "),
    ({"bandwidth_windows": {"from": 8}}, 400, "bandwidth_windows: "),
    ({"time_zone": "Moon/Base"}, 400, "time_zone: Moon/Base is not a time zone"),
    (
        {"time_zone": "Europe/Berlin", "trigger": {"type": "manual", "trigger_settings": {"time_zone": "Asia/Tokyo"}}},
        400,
        "time_zone and trigger_settings.time_zone differ",
    ),
    (
        {"trigger": {"type": "scheduled"}},
        400,
        "the cron string cannot be empty when the trigger type is scheduled",
    ),
    ({"trigger": {"type": "scheduled", "trigger_settings": {"cron": "* * * * *"}}}, 400, "cron"),
    ({"trigger": {"type": "scheduled", "trigger_settings": {"cron": "1 0 2 * * *"}}}, 400, "cron"),
    ({"trigger": {"type": "scheduled", "trigger_settings": {"cron": "0 * * * * *"}}}, 400, "cron"),
    ({"trigger": {"type": "scheduled", "trigger_settings": {"cron": "0 0 2 30 2 *"}}}, 400, "cron"),
    (
        {"trigger": {"type": "scheduled", "trigger_settings": {"cron": "0 0 2 * * *", "time_zone": "../etc"}}},
        400,
        "time_zone",
    ),
    ({"filters": [{"type": "colour", "value": "x"}]}, 400, "invalid filter type"),
    ({"filters": [{"value": "x"}]}, 400, "invalid filter type"),
    ({"filters": [{"type": "label", "value": ["a"]}]}, 400, "label filters are not supported"),
    ({"filters": [{"type": "name", "value": ["a"]}]}, 400, "the type of filter value isn't string"),
    ({"filters": [{"type": "name", "value": 7}]}, 400, "the type of filter value isn't string"),
    ({"filters": [{"type": "tag", "value": "a", "decoration": "like"}]}, 400, "invalid filter decoration, :like"),
    ({"filters": [{"type": "resource", "value": "chart"}]}, 400, "invalid resource filter: chart"),
    (
        {"filters": [{"type": "resource", "value": "image", "decoration": "matches"}]},
        400,
        "only tag and label filter support decoration",
    ),
    ({"filters": [{"type": "tag", "value": "[a"}]}, 400, "["),
    ({"filters": [{"type": "tag", "value": "a\0"}]}, 400, "filters"),
    ({"filters": ["x"]}, 400, "filters"),
    ({"filters": {}}, 400, "filters"),
    ({"speed": 2**31}, 400, "speed: "),
    ({"speed": "fast"}, 400, "speed: "),
    ({"enabled": "perhaps"}, 400, "enabled: "),
    ({"single_active_replication": True, "trigger": {"type": "event_based"}}, 400, "single"),
]


@pytest.mark.parametrize(("changes", "status", "message"), BAD)
def test_bad_rules_are_refused(admin: ApiClient, remote: Endpoint, changes: dict[str, Any], status: int, message: str):
    response = error_of(admin.post(PATH, _body(remote, **changes)))
    assert response[:2] == (status, {400: "BAD_REQUEST", 404: "NOT_FOUND"}[status])
    assert message in response[2]
    assert not Rule.objects.exists()


def test_a_rule_onto_itself_is_refused(admin: ApiClient, remote: Endpoint):
    body = _body(remote, src_registry={"id": remote.pk})
    assert error_of(admin.post(PATH, body))[0] == 400


def test_without_a_local_registry_local_is_not_found(admin: ApiClient):
    body = {"name": "to-dr", "dest_registry": {"id": make_endpoint().pk}}
    assert error_of(admin.post(PATH, body)) == (404, "NOT_FOUND", "registry 0 not found")


def test_a_taken_name_is_a_409(admin: ApiClient, remote: Endpoint):
    make_rule(name="to-dr")
    expected = (409, "CONFLICT", "replication policy to-dr already exists")
    assert error_of(admin.post(PATH, _body(remote))) == expected
    other = make_rule(name="other")
    assert error_of(admin.put(f"{PATH}/{other.pk}", _body(remote))) == expected
