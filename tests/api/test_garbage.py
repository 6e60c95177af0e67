"""Garbage at every call: it is refused in Harbor's shape, and nothing of ours breaks."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.client import ApiClient
from tests.factories import (
    make_endpoint,
    make_execution,
    make_local_endpoint,
    make_log_line,
    make_project,
    make_rule,
    make_task,
)

# What real clients send under these names, so that the garbage gets past the first check.
KEYS = [
    "id", "name", "type", "url", "credential", "access_key", "access_secret", "insecure", "ca_certificate", "proxy_url",
    "credential_type", "project_name", "metadata", "public", "registry_id", "namespace", "role_id", "member_user",
    "user_id", "username", "member_group", "src_registry", "dest_registry", "dest_registries", "registry",
    "dest_namespace", "dest_namespace_replace_count", "trigger", "trigger_settings", "cron", "time_zone", "filters",
    "bandwidth_windows",
    "value", "decoration", "deletion", "enabled", "speed", "policy_id", "project_id", "description",
]  # fmt: skip
WORDS = [
    "", "a", "x" * 3000, "0 0 2 * * *", "manual", "scheduled", "event_based", "name", "tag", "resource", "matches",
    "docker-registry", "harbor", "http://127.0.0.1:1", "http://[", "*****", "library/**", "[", "{a,", "\\", "\0",
    "\ud800", "true", "-1", "9" * 30, "２", "名前", "UTC", "../../etc/passwd", "\n", "'; DROP TABLE", "%00", "1e400",
    "08:00-18:00 mon-fri 1; 7", "22:00-06:00 pause",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2**31, 2**63, -(2**63), 10**30, 1.5, -0.0]

words = st.sampled_from(WORDS) | st.text(max_size=20)
scalars = words | st.sampled_from(NUMBERS) | st.booleans() | st.none()
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | words, inner, max_size=6),
    max_leaves=15,
)
GARBAGE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)

READS = [
    "/projects", "/projects/{}", "/projects/{}/summary", "/projects/{}/members", "/projects/test/members/{}",
    "/registries", "/registries/{}", "/registries/{}/info", "/replication/policies", "/replication/policies/{}",
    "/replication/executions", "/replication/executions/{}", "/replication/executions/{}/tasks",
    "/replication/executions/1/tasks", "/replication/executions/1/tasks/{}/log", "/users/current", "/systeminfo",
]  # fmt: skip
WRITES = [
    ("POST", "/projects"),
    ("PUT", "/projects/test"),
    ("POST", "/projects/test/members"),
    ("PUT", "/projects/test/members/1"),
    ("POST", "/registries"),
    ("PUT", "/registries/{registry}"),
    ("POST", "/registries/ping"),
    ("POST", "/replication/policies"),
    ("PUT", "/replication/policies/{rule}"),
    ("POST", "/replication/executions"),
    ("PUT", "/replication/executions/{execution}"),
]


@pytest.fixture
def places(administrator: User) -> dict[str, int]:
    """Give one row of everything, so that requests get past "not found"."""
    make_local_endpoint(url="http://127.0.0.1:1")
    make_project(name="test", members=[administrator])
    rule = make_rule(targets=[make_endpoint(url="http://127.0.0.1:1")])
    execution = make_execution(rule=rule)
    make_log_line(task=make_task(execution=execution))
    return {"registry": rule.targets.get().endpoint_id, "rule": rule.pk, "execution": execution.pk}


def assert_answered(response: Any) -> None:
    """Look that the answer is no accident, and that a refusal has its shape."""
    assert response.status_code < 500, response.content
    if response.status_code >= 400:
        (error,) = json.loads(response.content)["errors"]
        assert error["code"]
        assert error["message"]


@pytest.mark.parametrize(("method", "path"), WRITES)
@GARBAGE
@given(body=st.dictionaries(st.sampled_from(KEYS), documents, max_size=12) | documents)
def test_garbage_in_a_body_is_refused(admin: ApiClient, places: dict[str, int], method: str, path: str, body: Any):
    assert_answered(admin.send(method, path.format(**places), body=body))


NEARLY_RIGHT = {
    "/registries": {"name": "n", "type": "harbor", "url": "http://127.0.0.1:1", "credential": {"type": "basic"}},
    "/registries/ping": {"type": "harbor", "url": "http://127.0.0.1:1"},
    "/projects": {"project_name": "new", "metadata": {"public": "true"}},
    "/projects/test/members": {"role_id": 1, "member_user": {"username": "alice"}},
    "/replication/executions": {"policy_id": 1},
    "/replication/policies": {
        "name": "new",
        "src_registry": {"id": 0},
        "dest_registry": {"id": 2},
        "dest_namespace": "ns",
        "trigger": {"type": "scheduled", "trigger_settings": {"cron": "0 0 2 * * *", "time_zone": "UTC"}},
        "filters": [{"type": "name", "value": "a/**"}, {"type": "tag", "value": "v*", "decoration": "matches"}],
    },
}


def _leaves(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything inside a document."""
    if isinstance(document, dict | list):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        return [found for key, value in pairs for found in [(*path, key), *_leaves(value, (*path, key))]]
    return []


@pytest.mark.parametrize("path", NEARLY_RIGHT)
@GARBAGE
@given(choice=st.data())
def test_one_wrong_value_in_a_good_body_is_refused(
    admin: ApiClient, places: dict[str, int], path: str, choice: st.DataObject
):
    body = json.loads(json.dumps(NEARLY_RIGHT[path]))
    *way, last = choice.draw(st.sampled_from(_leaves(body)))
    place = body
    for key in way:
        place = place[key]
    place[last] = choice.draw(documents)
    assert_answered(admin.post(path, body))


@pytest.mark.parametrize("path", READS)
@GARBAGE
@given(
    inside=words,
    params=st.dictionaries(
        st.sampled_from(
            [
                "q",
                "sort",
                "page",
                "page_size",
                "name",
                "public",
                "owner",
                "status",
                "trigger",
                "policy_id",
                "entityname",
            ]
        ),
        words
        | st.sampled_from(["name=~x", "id=[1~", "creation_time=[~9999-12-31T23:59:59]", "a={", "id={1 2}", "-id"]),
        max_size=4,
    ),
)
def test_garbage_in_an_address_is_refused(
    admin: ApiClient, places: dict[str, int], path: str, inside: str, params: dict[str, str]
):
    shown = quote(inside.encode(errors="replace"), safe="") or "0"
    query = {name: text.encode(errors="replace") for name, text in params.items()}
    assert_answered(admin.send("GET", path.format(shown), params=query))


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 5000, b'{"a":' * 5000, b"9" * 6000, b'"\\ud800"', b"\0"])
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_bytes_that_are_no_json_are_refused(
    admin: ApiClient, places: dict[str, int], method: str, path: str, body: bytes
):
    assert_answered(admin.send(method, path.format(**places), data=body, content_type="application/json"))


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic =", "Basic " + "A" * 10_000, "Basic \xff", "Basic AAAA", "Basic Og==", "Bearer", "x"],
)
def test_garbage_as_credentials_is_a_401(db: None, authorization: str):
    response = ApiClient().send("GET", "/users/current", headers={"Authorization": authorization})
    assert response.status_code == 401
