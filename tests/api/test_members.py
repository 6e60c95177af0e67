"""Members of a project (API contract, section 8.2)."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from projects.models import Membership
from tests.api.client import ApiClient, assert_empty, error_of, id_of
from tests.factories import make_project, make_user


def test_members_are_listed_in_harbors_shape(admin: ApiClient, bob: User):
    project = make_project(name="test", members={bob: Membership.Role.DEVELOPER})
    (member,) = admin.get("/projects/test/members").json()
    assert member == {
        "id": project.memberships.get().pk,
        "project_id": project.pk,
        "entity_id": bob.pk,
        "entity_name": "bob",
        "entity_type": "u",
        "role_id": 2,
        "role_name": "developer",
    }


def test_the_list_is_paged_and_filtered_by_name(admin: ApiClient, django_assert_num_queries: Any):
    make_project(name="test", members=[make_user(username=name) for name in ("ann", "anna", "ben")])
    admin.get("/projects/test/members")
    with django_assert_num_queries(6):  # who asks, the project, their roles, whether they may, how many, which
        response = admin.get("/projects/test/members", entityname="AN", page_size=1)
    assert response["X-Total-Count"] == "2"
    assert [member["entity_name"] for member in response.json()] == ["ann"]


def test_members_see_members_and_outsiders_do_not(outsider: ApiClient, anonymous: ApiClient, bob: User):
    make_project(name="own", members=[bob])
    make_project(name="shared", public=True)
    assert len(outsider.get("/projects/own/members").json()) == 1
    assert error_of(outsider.get("/projects/shared/members")) == (403, "FORBIDDEN", "bob")
    assert error_of(anonymous.get("/projects/shared/members"))[0] == 401


@pytest.mark.parametrize("by", ["user_id", "username"])
def test_a_user_is_added_by_id_or_name(admin: ApiClient, bob: User, by: str):
    project = make_project(name="test")
    named = {"user_id": bob.pk} if by == "user_id" else {"username": "bob"}
    response = admin.post("/projects/test/members", {"role_id": 4, "member_user": named})
    membership = project.memberships.get(pk=id_of(response))
    assert (membership.user, membership.role) == (bob, 4)
    assert response["Location"] == f"/api/v2.0/projects/test/members/{membership.pk}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"role_id": 9, "member_user": {"username": "bob"}}, 400),
        ({"role_id": "x", "member_user": {"username": "bob"}}, 400),
        ({"member_user": {"username": "bob"}}, 400),
        ({"role_id": 1}, 400),
        ({"role_id": 1, "member_user": {}}, 400),
        ({"role_id": 1, "member_user": []}, 400),
        ({"role_id": 1, "member_user": {"username": "nobody"}}, 404),
        ({"role_id": 1, "member_user": {"user_id": 10**30}}, 400),
        ({"role_id": 1, "member_group": {"group_name": "team"}}, 400),
    ],
)
def test_bad_members_are_refused(admin: ApiClient, bob: User, body: dict[str, Any], status: int):
    make_project(name="test")
    assert error_of(admin.post("/projects/test/members", body))[0] == status


def test_a_member_is_not_added_twice(admin: ApiClient, bob: User):
    make_project(name="test", members=[bob])
    response = admin.post("/projects/test/members", {"role_id": 1, "member_user": {"username": "bob"}})
    assert error_of(response) == (409, "CONFLICT", "user: bob is a member already.")


def test_a_member_is_shown_changed_and_removed(admin: ApiClient, bob: User):
    path = f"/projects/test/members/{make_project(name='test', members=[bob]).memberships.get().pk}"
    assert admin.get(path).json()["role_name"] == "guest"
    assert_empty(admin.put(path, {"role_id": 1}))
    assert admin.get(path).json()["role_name"] == "projectAdmin"
    assert_empty(admin.delete(path))
    assert error_of(admin.get(path))[:2] == (404, "NOT_FOUND")


def test_a_member_of_another_project_is_not_found(admin: ApiClient, bob: User):
    make_project(name="test")
    other = make_project(members=[bob]).memberships.get()
    assert error_of(admin.delete(f"/projects/test/members/{other.pk}"))[0] == 404


def test_members_do_not_manage_members(outsider: ApiClient, bob: User):
    path = f"/projects/own/members/{make_project(name='own', members=[bob]).memberships.get().pk}"
    assert outsider.get(path).status_code == 200
    assert error_of(outsider.put(path, {"role_id": 1}))[0] == 403
    assert error_of(outsider.delete(path))[0] == 403
    assert error_of(outsider.post("/projects/own/members", {}))[0] == 403
