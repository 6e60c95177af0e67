"""Projects: the list, the tabs, the forms, and their members."""

import pytest
from django.test import Client

from projects.models import Membership, Project
from tests.factories import make_endpoint, make_local_endpoint, make_project, make_rule, make_user
from tests.web.reading import asks_for, text_of

pytestmark = pytest.mark.django_db


def test_member_sees_own_and_public_projects_with_the_role(member):
    make_project(name="open", public=True)
    make_project(name="secret")

    text = text_of(member.get("/projects/"))

    assert "test" in text
    assert "Guest" in text
    assert "open" in text
    assert "secret" not in text
    assert "New Project" not in text


def test_list_is_filtered_by_name_and_access_level(administrator):
    make_project(name="alpha", public=True)
    make_project(name="beta")

    body = administrator.get("/projects/?access=public&q=a", **asks_for("projects")).content.decode()

    assert "alpha" in body
    assert "beta" not in body
    assert body.startswith('<div id="projects">')


@pytest.mark.parametrize("count", [1, 40])
def test_list_takes_the_same_number_of_queries_however_long(count, administrator, django_assert_max_num_queries):
    for _ in range(count):
        make_rule(project=make_project())

    with django_assert_max_num_queries(4):
        administrator.get("/projects/?page_size=100")


def test_pages_of_the_list_keep_the_filter(administrator):
    for number in range(20):
        make_project(name=f"team-{number:02}")

    body = administrator.get("/projects/?q=team").content.decode()

    assert "1 - 15 of 20 items" in text_of(administrator.get("/projects/?q=team"))
    assert "?q=team&amp;page=2" in body


def test_new_project_is_created_in_the_local_registry(administrator):
    local = make_local_endpoint()

    response = administrator.post("/projects/new/", {"name": "team-a", "endpoint": local.pk, "namespace": ""})

    project = Project.objects.get(name="team-a")
    assert response["Location"] == f"/projects/{project.pk}/"
    assert (project.endpoint, project.namespace, project.public) == (local, "team-a", False)


def test_new_project_from_the_dialog_leads_the_whole_page_on(administrator):
    values = {"name": "team-a", "endpoint": make_local_endpoint().pk, "namespace": ""}

    response = administrator.post("/projects/new/", values, **asks_for("dialog"))

    assert response["HX-Redirect"] == f"/projects/{Project.objects.get().pk}/"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "Team A"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "taken"}, "name"),
        ({"namespace": "UPPER"}, "namespace"),
    ],
)
def test_what_is_wrong_with_a_new_project_is_said_beside_the_field(values, field, administrator):
    make_project(name="taken")
    typed = {"name": "team-a", "endpoint": make_local_endpoint().pk, "namespace": "", **values}

    response = administrator.post("/projects/new/", typed)

    assert response.status_code == 422
    assert f'id="id_{field}_error"' in response.content.decode()


def test_without_a_registry_the_dialog_says_what_to_do_first(administrator):
    assert "Please add an endpoint first:" in text_of(administrator.get("/projects/new/"))


def test_summary_shows_where_to_push(member, project):
    assert "docker push registry.test:5000/test/REPOSITORY[:TAG]" in text_of(member.get(f"/projects/{project.pk}/"))


def test_member_sees_no_way_to_change_the_project(member, project):
    body = member.get(f"/projects/{project.pk}/").content.decode()

    assert "/settings/" not in body
    assert "/delete/" not in body
    assert "/webhook/" not in body
    assert "/registries/" not in body


def test_outsider_of_a_public_project_sees_its_summary_only(outsider):
    project = make_project(public=True)

    assert outsider.get(f"/projects/{project.pk}/").status_code == 200
    assert outsider.get(f"/projects/{project.pk}/replication/").status_code == 404
    assert outsider.get(f"/projects/{project.pk}/members/").status_code == 404


def test_access_level_can_be_changed(administrator, project):
    administrator.post(f"/projects/{project.pk}/settings/", {"public": "on"})

    project.refresh_from_db()
    assert project.public


def test_a_project_with_rules_is_not_deleted(administrator, project):
    make_rule(name="keeps-it", project=project)

    response = administrator.post(f"/projects/{project.pk}/delete/")

    assert response.status_code == 409
    assert "keeps-it" in text_of(response)


def test_a_project_without_rules_is_deleted(administrator, project):
    administrator.post(f"/projects/{project.pk}/delete/")

    assert not Project.objects.exists()


def test_webhook_tab_shows_the_registry_configuration(administrator, project):
    text = text_of(administrator.get(f"/projects/{project.pk}/webhook/"))

    assert "notifications: endpoints: - name: harborsync" in text


def test_members_are_added_changed_and_removed(administrator, project):
    dora = make_user(username="dora")

    administrator.post(f"/projects/{project.pk}/members/new/", {"user": "dora", "role": "4"})
    membership = Membership.objects.get(user=dora)
    assert membership.role == Membership.Role.MAINTAINER

    administrator.post(f"/projects/{project.pk}/members/{membership.pk}/role/", {"role": "2"})
    membership.refresh_from_db()
    assert membership.role == Membership.Role.DEVELOPER

    administrator.post(f"/projects/{project.pk}/members/{membership.pk}/remove/")
    assert not Membership.objects.filter(user=dora).exists()


@pytest.mark.parametrize("name", ["nobody", "bob", ""])
def test_who_cannot_become_a_member_is_refused_beside_the_field(name, administrator, project):
    response = administrator.post(f"/projects/{project.pk}/members/new/", {"user": name, "role": "3"})

    assert response.status_code == 422
    assert 'id="id_user_error"' in response.content.decode()


def test_a_membership_of_another_project_is_not_found(administrator, project):
    other = make_project(members=[make_user()])

    url = f"/projects/{project.pk}/members/{other.memberships.get().pk}/remove/"

    assert administrator.post(url).status_code == 404


def test_a_removed_member_sees_the_project_no_more(administrator, member, project):
    administrator.post(f"/projects/{project.pk}/members/{project.memberships.get().pk}/remove/")

    assert member.get(f"/projects/{project.pk}/").status_code == 404


def test_projects_of_another_registry_can_be_made(administrator):
    remote = make_endpoint(name="remote")

    administrator.post("/projects/new/", {"name": "far", "endpoint": remote.pk, "namespace": "a/b"})

    assert Project.objects.get().namespace == "a/b"


def test_a_user_who_was_deactivated_is_led_to_login(member: Client, bob):
    bob.is_active = False
    bob.save()

    assert member.get("/projects/").status_code == 302
