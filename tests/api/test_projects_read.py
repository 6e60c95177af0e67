"""GET and HEAD of projects (API contract, section 8.1)."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from projects.models import Membership
from tests.api.client import ApiClient, assert_empty, error_of
from tests.factories import make_endpoint, make_project


def _names(client: ApiClient, **params: Any) -> list[str]:
    return [project["name"] for project in client.get("/projects", **params).json()]


def test_a_project_is_shown_in_harbors_shape(admin: ApiClient, administrator: User):
    project = make_project(name="test", owner=administrator, public=True)
    shown = admin.get("/projects/test").json()
    assert shown["project_id"] == project.pk
    assert shown["metadata"] == {"public": "true"}
    assert (shown["owner_id"], shown["owner_name"]) == (administrator.pk, "alice")
    assert shown["repo_count"] == 0
    assert "registry_id" not in shown


def test_a_project_elsewhere_names_its_registry(admin: ApiClient):
    endpoint = make_endpoint()
    make_project(name="elsewhere", endpoint=endpoint)
    assert admin.get("/projects/elsewhere").json()["registry_id"] == endpoint.pk


def test_a_project_without_owner_has_zero_for_one(admin: ApiClient):
    make_project(name="orphan", owner=None)
    assert admin.get("/projects/orphan").json()["owner_id"] == 0


def test_a_project_is_found_by_id_or_name(admin: ApiClient):
    project = make_project(name="test")
    assert admin.get(f"/projects/{project.pk}").json()["name"] == "test"


def test_a_name_of_digits_is_an_id_unless_the_header_says_name(admin: ApiClient):
    make_project(name="2026")
    assert error_of(admin.get("/projects/2026")) == (404, "NOT_FOUND", "project 2026 not found")
    response = admin.send("GET", "/projects/2026", headers={"X-Is-Resource-Name": "true"})
    assert response.json()["name"] == "2026"


@pytest.mark.parametrize("name", ["nothing", "Not-A-Name", "a%00b", "9" * 30, "x" * 300, "%F0%9F%90%B3"])
def test_what_is_not_there_is_a_404(admin: ApiClient, name: str):
    assert error_of(admin.get(f"/projects/{name}"))[:2] == (404, "NOT_FOUND")


def test_each_user_sees_what_they_may(admin: ApiClient, outsider: ApiClient, anonymous: ApiClient, bob: User):
    make_project(name="hidden")
    make_project(name="own", members=[bob])
    make_project(name="shared", public=True)
    assert _names(admin) == ["hidden", "own", "shared"]
    assert _names(outsider) == ["own", "shared"]
    assert _names(anonymous) == ["shared"]


def test_a_private_project_does_not_exist_for_outsiders(outsider: ApiClient, anonymous: ApiClient):
    make_project(name="hidden")
    assert error_of(outsider.get("/projects/hidden")) == (404, "NOT_FOUND", "project hidden not found")
    assert error_of(anonymous.get("/projects/hidden")) == (401, "UNAUTHORIZED", "unauthorized")


def test_a_public_project_is_shown_to_strangers(anonymous: ApiClient):
    make_project(name="shared", public=True)
    assert anonymous.get("/projects/shared").json()["current_user_role_ids"] == []


def test_the_roles_are_those_of_the_user_who_asks(outsider: ApiClient, administrator: User, bob: User):
    roles = {bob: Membership.Role.MAINTAINER, administrator: Membership.Role.PROJECT_ADMIN}
    make_project(name="own", members=roles)
    shown = outsider.get("/projects").json()[0]
    assert (shown["current_user_role_id"], shown["current_user_role_ids"]) == (4, [4])


def test_strangers_who_ask_for_private_projects_must_log_in(anonymous: ApiClient):
    assert error_of(anonymous.get("/projects", public="false"))[0] == 401


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"name": "HAR"}, ["shared"]),
        ({"public": "true"}, ["shared"]),
        ({"public": "false"}, ["hidden"]),
        ({"owner": "bob"}, ["hidden"]),
        ({"owner": "nobody"}, []),
        ({"q": "name=~hid"}, ["hidden"]),
        ({"q": "public=true"}, ["shared"]),
        ({"sort": "-name"}, ["shared", "hidden"]),
        ({"with_detail": "false"}, ["hidden", "shared"]),
    ],
)
def test_the_list_is_filtered_and_sorted(admin: ApiClient, bob: User, params: dict[str, str], names: list[str]):
    make_project(name="hidden", owner=bob)
    make_project(name="shared", public=True)
    assert _names(admin, **params) == names


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_takes_four_queries_however_long(
    admin: ApiClient, django_assert_num_queries: Any, count: int, bob: User
):
    for _ in range(count):
        make_project(members=[bob], owner=bob)
    admin.get("/ping")
    admin.get("/projects")
    with django_assert_num_queries(4):  # who asks, how many, which, their roles
        admin.get("/projects", page_size=100)


def test_head_says_whether_a_name_is_taken(admin: ApiClient):
    make_project(name="test")
    assert_empty(admin.head("/projects", project_name="test"))
    assert admin.head("/projects", project_name="other").status_code == 404
    assert admin.head("/projects").status_code == 404


def test_head_is_for_known_users(anonymous: ApiClient):
    assert anonymous.head("/projects", project_name="test").status_code == 401


def test_the_summary_counts_members_by_role(admin: ApiClient, administrator: User, bob: User):
    make_project(name="test", members={bob: Membership.Role.GUEST, administrator: Membership.Role.PROJECT_ADMIN})
    assert admin.get("/projects/test/summary").json() == {
        "repo_count": 0,
        "project_admin_count": 1,
        "maintainer_count": 0,
        "developer_count": 0,
        "guest_count": 1,
        "limited_guest_count": 0,
    }


def test_the_summary_of_a_hidden_project_is_hidden(outsider: ApiClient):
    make_project(name="hidden")
    assert error_of(outsider.get("/projects/hidden/summary"))[0] == 404
