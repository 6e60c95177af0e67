"""POST, PUT and DELETE of projects (API contract, section 8.1)."""

from typing import Any

import pytest

from projects.models import Project
from tests.api.client import ApiClient, assert_empty, error_of, id_of
from tests.factories import make_endpoint, make_local_endpoint, make_project, make_rule


def test_a_project_is_created_in_the_local_registry(admin: ApiClient):
    local = make_local_endpoint()
    project = Project.objects.get(pk=id_of(admin.post("/projects", {"project_name": "test"})))
    assert (project.name, project.namespace, project.endpoint, project.public) == ("test", "test", local, False)
    assert project.owner is not None
    assert project.owner.username == "alice"


def test_the_location_ends_in_the_name_when_asked(admin: ApiClient):
    make_local_endpoint()
    response = admin.post("/projects", {"project_name": "test"}, headers={"X-Resource-Name-In-Location": "true"})
    assert response["Location"] == "/api/v2.0/projects/test"


@pytest.mark.parametrize(
    ("body", "public"),
    [
        ({"metadata": {"public": "true"}}, True),
        ({"metadata": {"public": "false"}}, False),
        ({"metadata": {"public": "true"}, "public": False}, True),
        ({"public": True}, True),
        ({"metadata": {"auto_scan": "true"}}, False),
        ({"metadata": None, "public": None, "registry_id": None, "storage_limit": -1, "cve_allowlist": {}}, False),
    ],
)
def test_public_is_said_in_two_ways(admin: ApiClient, body: dict[str, Any], public: bool):
    make_local_endpoint()
    id_of(admin.post("/projects", {"project_name": "test", **body}))
    assert Project.objects.get().public is public


def test_a_project_can_lie_in_another_registry_and_namespace(admin: ApiClient):
    endpoint = make_endpoint()
    id_of(admin.post("/projects", {"project_name": "test", "registry_id": endpoint.pk, "namespace": "team/base"}))
    project = Project.objects.get()
    assert (project.endpoint, project.namespace) == (endpoint, "team/base")


@pytest.mark.parametrize("name", [None, "", "Upper", "a b", "-a", "a..b", "x" * 256, " a", "a\n"])
def test_a_bad_name_is_a_400(admin: ApiClient, name: str | None):
    make_local_endpoint()
    assert error_of(admin.post("/projects", {"project_name": name})) == (
        400,
        "BAD_REQUEST",
        "project name is not in lower case or contains illegal characters",
    )


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (
            {"metadata": {"public": "yes"}},
            400,
            "metadata.public should only be 'true' or 'false', but got: 'yes'",
        ),
        ({"registry_id": 0}, 400, "0 is invalid value of registry_id, it should be geater than 0"),
        ({"registry_id": -5}, 400, "-5 is invalid value of registry_id, it should be geater than 0"),
        ({"registry_id": 99}, 404, "registry 99 not found"),
        ({"namespace": "Not/Lower"}, 400, "A namespace is lower case, as in team-a or team-a/base."),
    ],
)
def test_bad_values_are_refused(admin: ApiClient, body: dict[str, Any], status: int, message: str):
    make_local_endpoint()
    response = error_of(admin.post("/projects", {"project_name": "test", **body}))
    assert (response[0], response[2]) == (status, message)
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    "body", [{"project_name": ["a"]}, {"metadata": "x"}, {"metadata": {"public": {}}}, {"public": 3}]
)
def test_wrong_types_are_a_400(admin: ApiClient, body: dict[str, Any]):
    assert error_of(admin.post("/projects", {"project_name": "test", **body}))[:2] == (400, "BAD_REQUEST")


def test_without_a_local_registry_the_answer_says_what_to_do(admin: ApiClient):
    status, _, message = error_of(admin.post("/projects", {"project_name": "test"}))
    assert status == 400
    assert "HARBORSYNC_LOCAL_REGISTRY_URL" in message


def test_a_taken_name_is_a_409(admin: ApiClient):
    make_project(name="test")
    assert error_of(admin.post("/projects", {"project_name": "test"})) == (
        409,
        "CONFLICT",
        "The project named test already exists",
    )


def test_only_administrators_create(outsider: ApiClient, anonymous: ApiClient):
    assert error_of(outsider.post("/projects", {"project_name": "test"})) == (403, "FORBIDDEN", "bob")
    assert error_of(anonymous.post("/projects", {"project_name": "test"}))[0] == 401


@pytest.mark.parametrize(
    ("body", "public"),
    [({"metadata": {"public": "true"}}, True), ({"public": True}, True), ({}, False), ({"project_name": "new"}, False)],
)
def test_a_project_is_made_public(admin: ApiClient, body: dict[str, Any], public: bool):
    make_project(name="test")
    assert_empty(admin.put("/projects/test", body))
    project = Project.objects.get()
    assert (project.name, project.public) == ("test", public)


def test_only_administrators_change_and_delete(outsider: ApiClient, anonymous: ApiClient):
    make_project(name="shared", public=True)
    assert error_of(outsider.put("/projects/shared", {}))[0] == 403
    assert error_of(outsider.delete("/projects/shared"))[0] == 403
    assert error_of(anonymous.delete("/projects/shared"))[0] == 401


def test_a_project_is_deleted(admin: ApiClient):
    make_project(name="test")
    assert_empty(admin.delete("/projects/test"))
    assert error_of(admin.delete("/projects/test"))[0] == 404


def test_a_project_with_rules_stays(admin: ApiClient):
    make_rule(name="nightly", project=make_project(name="test"))
    status, code, message = error_of(admin.delete("/projects/test"))
    assert (status, code) == (412, "PRECONDITION")
    assert "nightly" in message
