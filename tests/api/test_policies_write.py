"""POST, PUT and DELETE of rules (API contract, section 10.1; replication semantics, sections 1 and 2)."""

from typing import Any

import pytest

from replication.models import Execution, Rule
from replication.plan import TargetSpec
from targets.models import Endpoint
from tests.api.client import ApiClient, assert_empty, error_of, id_of
from tests.factories import make_endpoint, make_execution, make_local_endpoint, make_project, make_rule

PATH = "/replication/policies"


@pytest.fixture
def local(db: None) -> Endpoint:
    """Give the local registry."""
    return make_local_endpoint(url="http://core.example.com")


@pytest.fixture
def remote(local: Endpoint) -> Endpoint:
    """Give another registry."""
    return make_endpoint(name="dr", url="https://dr.example.com")


def _body(remote: Endpoint, **changes: Any) -> dict[str, Any]:
    return {"name": "to-dr", "dest_registry": {"id": remote.pk}, "enabled": True, **changes}


def _created(admin: ApiClient, body: dict[str, Any]) -> Rule:
    return Rule.objects.get(pk=id_of(admin.post(PATH, body)))


def _places(rule: Rule) -> list[tuple[int, str, int]]:
    return [(target.endpoint_id, target.namespace, target.flatten_level) for target in rule.targets.all()]


def test_a_push_rule_is_created(admin: ApiClient, local: Endpoint, remote: Endpoint):
    body = _body(
        remote,
        description="every night",
        src_registry=None,
        dest_namespace="mirror",
        dest_namespace_replace_count=1,
        trigger={"type": "scheduled", "trigger_settings": {"cron": "0 0 2 * * *"}},
        filters=[{"type": "name", "value": "library/**"}, {"type": "tag", "value": "v*", "decoration": "excludes"}],
        override=True,
        deletion=True,
        speed=512,
        copy_by_chunk=True,
        single_active_replication=True,
    )
    rule = _created(admin, body)
    assert (rule.name, rule.description, rule.source, rule.project) == ("to-dr", "every night", local, None)
    assert _places(rule) == [(remote.pk, "mirror", 1)]
    assert (rule.trigger, rule.cron, rule.time_zone) == ("scheduled", "0 0 2 * * *", "UTC")
    assert [(f.kind, f.value, f.decoration) for f in rule.filters.all()] == [
        ("name", "library/**", "matches"),
        ("tag", "v*", "excludes"),
    ]
    assert (rule.override, rule.deletion, rule.enabled, rule.copy_by_chunk, rule.single_active) == (True,) * 5
    assert rule.kilobits_per_second == 512
    assert rule.created_by is not None
    assert rule.created_by.username == "alice"


def test_what_is_absent_takes_harbors_defaults(admin: ApiClient, remote: Endpoint):
    rule = _created(admin, {"name": "bare", "dest_registry": {"id": remote.pk}})
    assert (rule.trigger, rule.enabled, rule.override, rule.deletion) == ("manual", False, False, False)
    assert _places(rule) == [(remote.pk, "", -1)]
    assert not rule.filters.exists()


@pytest.mark.parametrize("nothing", [None, {}, {"id": 0}, {"id": None}])
def test_local_is_said_in_many_ways(admin: ApiClient, local: Endpoint, remote: Endpoint, nothing: Any):
    assert _created(admin, _body(remote, name="push", src_registry=nothing)).source == local
    pull = _created(admin, {"name": "pull", "src_registry": {"id": remote.pk}, "dest_registry": nothing})
    assert (pull.source, _places(pull)[0][0]) == (remote, local.pk)


def test_only_the_id_of_a_whole_registry_counts(admin: ApiClient, remote: Endpoint):
    whole = {"id": remote.pk, "name": "other", "url": "http://evil.example.com", "credential": {"access_secret": "x"}}
    _created(admin, _body(remote, dest_registry=whole))
    remote.refresh_from_db()
    assert (remote.name, remote.url) == ("dr", "https://dr.example.com")


def test_a_rule_between_two_remote_registries_is_fine(admin: ApiClient, remote: Endpoint):
    source = make_endpoint()
    assert _created(admin, _body(remote, src_registry={"id": source.pk})).source == source


def test_a_rule_may_write_to_several_registries(admin: ApiClient, local: Endpoint, remote: Endpoint):
    other = make_endpoint()
    body = {
        "name": "fan-out",
        "dest_registries": [
            {"registry": {"id": remote.pk}, "dest_namespace": "mirror", "dest_namespace_replace_count": 0},
            {"registry": {"id": other.pk}},
            {"registry": None, "dest_namespace": "copies"},
        ],
    }
    places = [(remote.pk, "mirror", 0), (other.pk, "", -1), (local.pk, "copies", -1)]
    assert _places(_created(admin, body)) == places


@pytest.mark.parametrize(
    ("deletion", "replicate_deletion", "expected"),
    [(True, None, True), (None, True, True), (False, True, True), (True, False, True), (False, False, False)],
)
def test_either_word_for_deletion_counts(
    admin: ApiClient, remote: Endpoint, deletion: Any, replicate_deletion: Any, expected: bool
):
    rule = _created(admin, _body(remote, deletion=deletion, replicate_deletion=replicate_deletion))
    assert rule.deletion is expected
    shown = admin.get(f"{PATH}/{rule.pk}").json()
    assert (shown["deletion"], shown["replicate_deletion"]) == (expected, expected)


def test_numbers_below_their_range_mean_the_usual(admin: ApiClient, remote: Endpoint):
    rule = _created(admin, _body(remote, speed=-1, dest_namespace="m", dest_namespace_replace_count=-128))
    assert (rule.kilobits_per_second, _places(rule)[0][2]) == (0, -1)


def test_empty_filters_match_everything_and_are_left_out(admin: ApiClient, remote: Endpoint):
    filters = [{}, {"type": "name", "value": ""}, {"type": "tag", "value": None, "decoration": ""}]
    assert not _created(admin, _body(remote, filters=filters)).filters.exists()


def test_terraforms_body_is_taken(admin: ApiClient, remote: Endpoint):
    body = {
        "id": 0,
        "name": "to-dr",
        "description": "",
        "src_registry": {},
        "dest_registry": {"id": remote.pk},
        "dest_namespace": "",
        "dest_namespace_replace_count": 0,
        "trigger": {"type": "manual", "trigger_settings": {"cron": ""}},
        "enabled": True,
        "deletion": False,
        "override": True,
        "copy_by_chunk": False,
        "single_active_replication": False,
        "filters": [{"type": "tag", "value": "latest", "decoration": "matches"}, {}],
        "speed": -1,
    }
    assert _created(admin, body).filters.count() == 1


def test_a_rule_can_be_limited_to_a_project(admin: ApiClient, local: Endpoint, remote: Endpoint):
    project = make_project(endpoint=local)
    assert _created(admin, _body(remote, project_id=project.pk)).project == project
    assert error_of(admin.post(PATH, _body(remote, project_id=99)))[2] == "project 99 not found"


@pytest.mark.parametrize(("enabled", "runs"), [(True, 1), (False, 0)])
def test_what_exists_is_replicated_when_asked(admin: ApiClient, remote: Endpoint, enabled: bool, runs: int):
    _created(admin, _body(remote, enabled=enabled, replicate_existing_image_now=True))
    assert Execution.objects.count() == runs


def test_referrers_travel_unless_the_body_says_no(admin: ApiClient, remote: Endpoint):
    assert _created(admin, _body(remote)).referrers is True
    assert _created(admin, _body(remote, name="null", referrers=None)).referrers is True
    rule = _created(admin, _body(remote, name="without", referrers=False))
    assert rule.referrers is False
    assert admin.get(f"{PATH}/{rule.pk}").json()["referrers"] is False


def test_a_put_of_harbors_clients_leaves_the_referrers_as_they_were(admin: ApiClient, remote: Endpoint):
    rule = make_rule(name="to-dr", referrers=False)
    assert_empty(admin.put(f"{PATH}/{rule.pk}", _body(remote)))
    rule.refresh_from_db()
    assert rule.referrers is False
    assert_empty(admin.put(f"{PATH}/{rule.pk}", _body(remote, referrers=True)))
    rule.refresh_from_db()
    assert rule.referrers is True


def test_referrers_that_are_no_truth_value_are_refused(admin: ApiClient, remote: Endpoint):
    status, _, message = error_of(admin.post(PATH, _body(remote, referrers="sometimes")))
    assert status == 400
    assert "referrers" in message


def test_put_replaces_the_whole_rule(admin: ApiClient, remote: Endpoint):
    rule = make_rule(
        name="old",
        trigger="scheduled",
        cron="0 0 2 * * *",
        deletion=True,
        description="gone",
        targets=[TargetSpec(remote.pk, "mirror", 1)],
    )
    assert_empty(admin.put(f"{PATH}/{rule.pk}", _body(remote, enabled=False)))
    rule.refresh_from_db()
    assert (rule.name, rule.description, rule.trigger, rule.cron) == ("to-dr", "", "manual", "")
    assert (rule.deletion, rule.override, rule.enabled, rule.next_run_at) == (False, False, False, None)
    assert _places(rule) == [(remote.pk, "", -1)]


def test_put_leaves_what_harbors_clients_cannot_see(admin: ApiClient, local: Endpoint, remote: Endpoint):
    project, other = make_project(endpoint=local), make_endpoint()
    rule = make_rule(
        project=project,
        trigger="scheduled",
        cron="0 0 2 * * *",
        time_zone="Asia/Shanghai",
        targets=[make_endpoint(), TargetSpec(other.pk, "second", 2)],
    )
    trigger = {"type": "scheduled", "trigger_settings": {"cron": "0 0 3 * * *"}}
    assert_empty(admin.put(f"{PATH}/{rule.pk}", _body(remote, trigger=trigger)))
    rule.refresh_from_db()
    assert (rule.project, rule.cron, rule.time_zone) == (project, "0 0 3 * * *", "Asia/Shanghai")
    assert _places(rule) == [(remote.pk, "", -1), (other.pk, "second", 2)]


def test_windows_of_time_are_created_kept_changed_and_taken_away(admin: ApiClient, remote: Endpoint):
    rule = _created(admin, _body(remote, bandwidth_windows="8:00-18:00 4096", time_zone="Europe/Berlin"))
    windows = ("08:00-18:00 4096", "Europe/Berlin")
    assert (rule.bandwidth_windows, rule.time_zone) == windows
    path = f"{PATH}/{rule.pk}"
    shown = admin.get(path).json()
    assert (shown["bandwidth_windows"], shown["time_zone"]) == windows
    admin.put(path, _body(remote))
    rule.refresh_from_db()
    assert (rule.bandwidth_windows, rule.time_zone) == windows
    admin.put(path, _body(remote, bandwidth_windows="", time_zone="Asia/Tokyo"))
    rule.refresh_from_db()
    assert (rule.bandwidth_windows, rule.time_zone) == ("", "Asia/Tokyo")


@pytest.mark.parametrize("where", ["beside", "in the trigger"])
def test_a_zone_that_is_changed_in_one_of_its_two_places_counts(admin: ApiClient, remote: Endpoint, where: str):
    rule = make_rule(trigger="scheduled", cron="0 0 2 * * *", time_zone="Asia/Shanghai", targets=[remote])
    body = admin.get(f"{PATH}/{rule.pk}").json()
    place = body if where == "beside" else body["trigger"]["trigger_settings"]
    place["time_zone"] = "Europe/Berlin"
    assert_empty(admin.put(f"{PATH}/{rule.pk}", body))
    rule.refresh_from_db()
    assert rule.time_zone == "Europe/Berlin"


def test_put_takes_back_what_get_gave(admin: ApiClient, remote: Endpoint):
    rule = make_rule(targets=[TargetSpec(remote.pk, "mirror", 1), make_endpoint()], project=make_project())
    path = f"{PATH}/{rule.pk}"
    before = admin.get(path).json()
    assert_empty(admin.put(path, before))
    after = admin.get(path).json()
    assert before | {"update_time": ""} == after | {"update_time": ""}


@pytest.mark.parametrize("count", [1, 2])
def test_put_takes_harbors_fields_changed_in_what_get_gave(admin: ApiClient, remote: Endpoint, count: int):
    places = [TargetSpec(remote.pk, "mirror", 1), TargetSpec(make_endpoint().pk, "second", 2)][:count]
    rule = make_rule(targets=places)
    path, other = f"{PATH}/{rule.pk}", make_endpoint()
    changes = {"dest_registry": {"id": other.pk}, "dest_namespace": "other", "dest_namespace_replace_count": 0}
    assert_empty(admin.put(path, admin.get(path).json() | changes))
    assert _places(rule) == [
        (other.pk, "other", 0),
        *((p.endpoint_id, p.namespace, p.flatten_level) for p in places[1:]),
    ]


def test_put_takes_the_list_of_destinations_changed_in_what_get_gave(admin: ApiClient, remote: Endpoint):
    rule = make_rule(targets=[TargetSpec(remote.pk, "mirror", 1)])
    path = f"{PATH}/{rule.pk}"
    shown = admin.get(path).json()
    shown["dest_registries"][0]["dest_namespace"] = "listed"
    assert_empty(admin.put(path, shown))
    assert _places(rule) == [(remote.pk, "listed", 1)]


def test_put_lifts_the_limit_to_a_project(admin: ApiClient, remote: Endpoint, local: Endpoint):
    rule = make_rule(project=make_project(endpoint=local))
    assert_empty(admin.put(f"{PATH}/{rule.pk}", _body(remote, project_id=None)))
    rule.refresh_from_db()
    assert rule.project is None


def test_a_refused_put_changes_nothing(admin: ApiClient, remote: Endpoint):
    rule = make_rule(name="old", targets=[remote])
    assert error_of(admin.put(f"{PATH}/{rule.pk}", _body(remote, trigger={"type": "x"})))[0] == 400
    rule.refresh_from_db()
    assert rule.name == "old"


def test_what_is_not_there_is_a_404(admin: ApiClient, remote: Endpoint):
    expected = (404, "NOT_FOUND", "replication policy 9 not found")
    assert error_of(admin.put(f"{PATH}/9", _body(remote))) == expected
    assert error_of(admin.delete(f"{PATH}/9")) == expected


def test_a_rule_is_deleted_and_its_history_stays(admin: ApiClient):
    execution = make_execution(status="succeeded")
    assert_empty(admin.delete(f"{PATH}/{execution.rule_id}"))
    execution.refresh_from_db()
    assert execution.rule is None
    assert admin.get(f"/replication/executions/{execution.pk}").json()["policy_id"] == 0


def test_a_rule_that_runs_stays(admin: ApiClient):
    execution = make_execution(status="running")
    status, code, message = error_of(admin.delete(f"{PATH}/{execution.rule_id}"))
    assert (status, code) == (412, "PRECONDITION")
    assert str(execution.pk) in message
