"""What holds for every page: who gets in, which verbs it takes, that it is a whole page, and what it costs."""

import pytest
from django.test import Client
from django.urls import reverse

from replication.models import Status
from tests.factories import make_execution, make_log_line, make_rule, make_task, make_transfer
from tests.web.reading import asks_for

pytestmark = pytest.mark.django_db

# page, what a member of the project gets, what an outsider gets
PAGES = [
    ("home", 302, 302),
    ("projects:list", 200, 200),
    ("projects:new", 403, 403),
    ("projects:summary", 200, 404),
    ("projects:settings", 403, 404),
    ("projects:delete", 403, 404),
    ("projects:webhook", 403, 404),
    ("projects:members", 200, 404),
    ("projects:new-member", 403, 404),
    ("projects:member-role", 403, 404),
    ("projects:remove-member", 403, 404),
    ("targets:list", 403, 403),
    ("targets:new", 403, 403),
    ("targets:edit", 403, 403),
    ("targets:delete", 403, 403),
    ("targets:notifications", 403, 403),
    ("replication:project", 200, 404),
    ("replication:rules", 200, 200),
    ("replication:new-rule", 403, 403),
    ("replication:edit-rule", 403, 404),
    ("replication:replicate", 403, 404),
    ("replication:enable-rule", 403, 404),
    ("replication:deactivate-rule", 403, 404),
    ("replication:delete-rule", 403, 404),
    ("replication:jobs", 200, 200),
    ("replication:export-jobs", 200, 200),
    ("replication:execution", 200, 404),
    ("replication:stop", 403, 404),
    ("replication:retry", 403, 404),
    ("replication:again", 403, 404),
    ("replication:execution-log", 200, 404),
    ("replication:execution-log-download", 200, 404),
    ("replication:task", 200, 404),
    ("replication:task-log", 200, 404),
    ("replication:task-log-download", 200, 404),
]
NAMES = [name for name, _, _ in PAGES]
NOT_PAGES = ("home", "replication:export-jobs")
NONSENSE = [
    "page=-1",
    "page=zwei",
    "page=999999999999999999999999",
    "page_size=7",
    "sort=password",
    "before=x",
    "after=99999999999999999999",
    "q=%00",
    "rule=x",
    "status=nonsense",
    "since=x",
]
POSTABLE = {
    "projects:new",
    "projects:settings",
    "projects:delete",
    "projects:new-member",
    "projects:member-role",
    "projects:remove-member",
    "targets:new",
    "targets:edit",
    "targets:delete",
    "replication:new-rule",
    "replication:edit-rule",
    "replication:replicate",
    "replication:enable-rule",
    "replication:deactivate-rule",
    "replication:delete-rule",
    "replication:stop",
    "replication:retry",
    "replication:again",
}


@pytest.fixture
def addresses(project) -> dict[str, str]:
    """Give the address of every page, about rows that belong together."""
    rule = make_rule(project=project)
    task = make_task(execution=make_execution(rule=rule, status=Status.RUNNING), status=Status.RUNNING)
    make_transfer(task=task)
    make_log_line(task=task)
    make_log_line(execution=task.execution)
    membership = project.memberships.get()
    arguments = {
        "projects:summary": [project.pk],
        "projects:settings": [project.pk],
        "projects:delete": [project.pk],
        "projects:webhook": [project.pk],
        "projects:members": [project.pk],
        "projects:new-member": [project.pk],
        "projects:member-role": [project.pk, membership.pk],
        "projects:remove-member": [project.pk, membership.pk],
        "targets:edit": [project.endpoint_id],
        "targets:delete": [project.endpoint_id],
        "targets:notifications": [project.endpoint_id],
        "replication:project": [project.pk],
    }
    for name in NAMES:
        kind, _, view = name.partition(":")
        if kind != "replication" or name in arguments or view in ("rules", "new-rule", "jobs", "export-jobs"):
            continue
        row = task if view.startswith("task") else rule if "rule" in view or view == "replicate" else task.execution
        arguments[name] = [row.pk]
    return {name: reverse(name, args=arguments.get(name, [])) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_administrator_opens_it(name, addresses, administrator):
    response = administrator.get(addresses[name], {"after": 0})

    assert response.status_code == (302 if name == "home" else 200)


@pytest.mark.parametrize("name", NAMES)
def test_anonymous_is_led_to_the_login_page_and_back(name, addresses, client):
    response = client.get(addresses[name])

    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")


@pytest.mark.parametrize("name", NAMES)
def test_htmx_of_a_session_that_ended_leads_the_whole_page_to_login(name, addresses, client):
    current = {"HX-Current-URL": "http://testserver/jobs/?status=failed"}

    response = client.get(addresses[name], **asks_for("executions", **current))

    assert response.status_code == 200
    assert response["HX-Redirect"] == "/login/?next=%2Fjobs%2F%3Fstatus%3Dfailed"


@pytest.mark.parametrize(("name", "status", "_"), PAGES)
def test_member_gets_what_a_member_may(name, status, _, addresses, member):
    assert member.get(addresses[name]).status_code == status


@pytest.mark.parametrize(("name", "_", "status"), PAGES)
def test_outsider_learns_nothing(name, _, status, addresses, outsider):
    response = outsider.get(addresses[name])

    assert response.status_code == status
    if not response.streaming:
        assert b"rule-" not in response.content


@pytest.mark.parametrize("name", sorted(POSTABLE))
def test_nobody_else_can_post_what_they_may_not_open(name, addresses, member, outsider):
    assert member.post(addresses[name]).status_code == 403
    assert outsider.post(addresses[name]).status_code in (403, 404)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_verbs_are_refused(name, addresses, administrator):
    assert administrator.put(addresses[name]).status_code == 405
    if name not in POSTABLE:
        assert administrator.post(addresses[name]).status_code == 405


@pytest.mark.parametrize("name", sorted(POSTABLE))
def test_a_post_without_the_token_is_refused_on_a_page_of_ours(name, addresses, alice):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)

    response = browser.post(addresses[name])

    assert response.status_code == 403
    assert b"This form is out of date" in response.content


@pytest.mark.parametrize("name", [name for name in NAMES if "log" not in name and name not in NOT_PAGES])
def test_it_is_a_whole_page_without_htmx_and_valid_in_its_frame(name, addresses, administrator):
    body = administrator.get(addresses[name]).content.decode()

    assert body.startswith("<!doctype html>")
    assert body.count("<main") == body.count("</main>") == body.count("<h1") == 1
    assert " style=" not in body
    assert "onclick" not in body


@pytest.mark.parametrize("name", sorted(POSTABLE - {"replication:new-rule", "replication:edit-rule"}))
def test_a_question_or_form_asked_for_by_the_dialog_comes_without_the_frame(name, addresses, administrator):
    body = administrator.get(addresses[name], **asks_for("dialog")).content.decode()

    assert "<html" not in body
    assert 'id="dialog-title"' in body
    assert 'hx-target="#dialog"' in body


@pytest.mark.parametrize("pk", [0, 999_999, 2**63, 10**30])
@pytest.mark.parametrize("path", ["projects", "registries", "replications", "executions", "tasks"])
def test_an_id_that_nothing_has_is_not_found(path, pk, administrator):
    suffix = {"registries": "edit/", "replications": "edit/"}.get(path, "")

    assert administrator.get(f"/{path}/{pk}/{suffix}").status_code == 404


@pytest.mark.parametrize("query", NONSENSE)
@pytest.mark.parametrize("name", ["projects:list", "targets:list", "replication:rules", "replication:jobs"])
def test_nonsense_in_the_address_is_left_out(name, query, administrator):
    assert administrator.get(f"{reverse(name)}?{query}").status_code == 200
