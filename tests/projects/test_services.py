"""Projects, members, and who may do what: alice administers, bob is a member, charlie is an outsider."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError

from projects import access
from projects.models import Membership, Project
from projects.services import ProjectInUse, add_member, change_member, create_project, delete_project, remove_member
from tests.factories import make_admin, make_endpoint, make_local_endpoint, make_project, make_rule, make_user

pytestmark = pytest.mark.django_db


def test_a_project_lies_in_the_local_registry_under_its_own_name_and_its_owner_administers_it():
    local, alice = make_local_endpoint(), make_admin()
    project = create_project(name="test", owner=alice)
    assert (project.endpoint, project.namespace) == (local, "test")
    assert Membership.objects.get().role == Membership.Role.PROJECT_ADMIN


@pytest.mark.parametrize("name", ["", "Upper", "a b", "-a", "a-", "a--b", "x" * 256, "a/b"])
def test_a_name_that_harbor_would_refuse_is_refused(name):
    make_local_endpoint()
    with pytest.raises(ValidationError) as raised:
        create_project(name=name, owner=None)
    assert {"name", "namespace"} & raised.value.message_dict.keys()


def test_a_taken_name_has_the_code_unique():
    make_project(name="test")
    with pytest.raises(ValidationError) as raised:
        create_project(name="test", owner=None)
    assert raised.value.error_dict["name"][0].code == "unique"


def test_without_a_local_registry_one_must_be_chosen():
    with pytest.raises(ValidationError, match="HARBORSYNC_LOCAL_REGISTRY_URL"):
        create_project(name="test", owner=None)
    assert create_project(name="test", owner=None, endpoint=make_endpoint()).pk


def test_a_project_with_rules_stays():
    project = make_project()
    make_rule(name="mirror", project=project)
    with pytest.raises(ProjectInUse, match="mirror"):
        delete_project(project)
    empty = make_project()
    delete_project(empty)
    assert not Project.objects.filter(pk=empty.pk).exists()


def test_members_come_change_and_go():
    project, bob = make_project(), make_user()
    membership = add_member(project, user=bob, role=Membership.Role.DEVELOPER)
    with pytest.raises(ValidationError) as raised:
        add_member(project, user=bob, role=Membership.Role.GUEST)
    assert raised.value.error_dict["user"][0].code == "unique"
    assert change_member(membership, role=Membership.Role.MAINTAINER).role == Membership.Role.MAINTAINER
    with pytest.raises(ValidationError):
        change_member(membership, role=9)
    remove_member(membership)
    assert not Membership.objects.exists()


@pytest.fixture
def people():
    """Give everybody who might ask."""
    return {
        "alice": make_admin(),
        "bob": make_user(),
        "charlie": make_user(),
        "gone": make_admin(is_active=False),
        "anonymous": AnonymousUser(),
    }


@pytest.mark.parametrize(
    ("who", "private", "public", "replication", "manage"),
    [
        ("alice", True, True, True, True),
        ("bob", True, True, True, False),
        ("charlie", False, True, False, False),
        ("gone", False, True, False, False),
        ("anonymous", False, True, False, False),
    ],
)
def test_who_may_what(people, who, private, public, replication, manage):
    user = people[who]
    own, open_to_all = make_project(members=[people["bob"]]), make_project(public=True)
    assert access.may_view_project(user, own) is private
    assert access.may_view_project(user, open_to_all) is public
    assert access.may_view_replication(user, own) is replication
    assert access.may_view_replication(user, None) is manage
    assert access.may_manage_rules(user, own) is manage
    assert access.may_run_rules(user, own) is manage
    assert access.may_manage_endpoints(user) is manage
    assert access.may_manage_members(user, own) is manage
    assert access.may_manage_project(user, own) is manage
    assert access.may_create_projects(user) is manage
