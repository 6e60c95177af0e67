"""The conformance checklist of the API contract (section 15), a test for each of its lines, under its number."""

from typing import Any

import pytest
from django.test import Client

from replication.models import Trigger
from targets.models import Endpoint
from tests.api.client import ApiClient, assert_empty, error_of, id_of
from tests.factories import (
    PASSWORD,
    make_endpoint,
    make_execution,
    make_local_endpoint,
    make_log_line,
    make_project,
    make_rule,
    make_task,
    make_user,
)

CLOSED = "http://127.0.0.1:1"
LISTS = ["/registries", "/projects", "/replication/policies", "/replication/executions"]


def _posts() -> list[tuple[str, dict[str, Any]]]:
    """Return a good body for every call that creates."""
    make_local_endpoint()
    remote = make_endpoint()
    make_project(name="team")
    user = make_user()
    return [
        ("/registries", {"name": "dr", "type": "harbor", "url": CLOSED}),
        ("/projects", {"project_name": "test"}),
        ("/projects/team/members", {"role_id": 1, "member_user": {"user_id": user.pk}}),
        ("/replication/policies", {"name": "to-dr", "dest_registry": {"id": remote.pk}}),
        ("/replication/executions", {"policy_id": make_rule().pk}),
    ]


def test_01_post_answers_201_without_a_body_and_with_a_path_that_ends_in_the_id(admin: ApiClient):
    for path, body in _posts():
        response = admin.post(path, body)
        number = id_of(response)
        assert response["Location"] == f"/api/v2.0{path}/{number}"


def test_02_put_and_delete_answer_200_without_a_body(admin: ApiClient):
    for path, body in _posts():
        location = admin.post(path, body)["Location"].removeprefix("/api/v2.0")
        assert_empty(admin.put(location, body))
        if path != "/replication/executions":
            assert_empty(admin.delete(location))


@pytest.mark.parametrize("path", LISTS)
def test_03_and_04_lists_are_paged(admin: ApiClient, path: str):
    for _ in range(3):
        make_execution(rule=make_rule(project=make_project()))
    everything = admin.get(path, page=0, page_size=0)
    assert len(everything.json()) == int(everything["X-Total-Count"]) >= 3
    assert "Link" not in everything
    assert error_of(admin.get(path, page_size=101))[0] == 422
    beyond = admin.get(path, page=99)
    assert (beyond.json(), beyond["X-Total-Count"]) == ([], everything["X-Total-Count"])
    assert admin.get(path, page=2, page_size=1)["Link"] == (
        f'</api/v2.0{path}?page=1&page_size=1>; rel="prev" , </api/v2.0{path}?page=3&page_size=1>; rel="next"'
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/registries/9", 404, "NOT_FOUND"),
        ("GET", "/registries/x", 422, "UNPROCESSABLE_ENTITY"),
        ("POST", "/registries", 400, "BAD_REQUEST"),
        ("PATCH", "/registries", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_05_refusals_have_one_shape(admin: ApiClient, method: str, path: str, status: int, code: str):
    response = admin.send(method, path, body={})
    assert error_of(response)[:2] == (status, code)
    assert response.content.endswith(b"}\n")


def test_06_secrets_are_masked_and_the_mask_leaves_them(admin: ApiClient):
    endpoint = make_endpoint(url=CLOSED, access_key="robot", secret="right")
    path = f"/registries/{endpoint.pk}"
    assert admin.get(path).json()["credential"]["access_secret"] == "*****"
    assert_empty(admin.put(path, {"access_secret": "*****"}))
    assert Endpoint.objects.get().reveal_secret() == "right"
    assert_empty(admin.put(path, {"url": "http://127.0.0.1:2"}))
    assert Endpoint.objects.get().reveal_secret() == ""


def test_06_a_registry_in_use_is_not_deleted(admin: ApiClient):
    rule = make_rule(source=make_endpoint())
    assert error_of(admin.delete(f"/registries/{rule.source_id}"))[:2] == (412, "PRECONDITION")


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.SCHEDULED, Trigger.EVENT_BASED])
def test_07_rules_have_what_clients_look_into(admin: ApiClient, trigger: Trigger):
    rule = make_rule(trigger=trigger, cron="0 0 2 * * *")
    for shown in (admin.get("/replication/policies").json()[0], admin.get(f"/replication/policies/{rule.pk}").json()):
        assert shown["src_registry"]["name"]
        assert shown["dest_registry"]["id"]
        assert shown["trigger"]["type"] == trigger
        assert isinstance(shown["trigger"]["trigger_settings"], dict)
        assert isinstance(shown["speed"], int)
        assert isinstance(shown["dest_namespace_replace_count"], int)


@pytest.mark.parametrize("word", ["deletion", "replicate_deletion"])
def test_08_both_words_for_deletion_count_and_both_come_back(admin: ApiClient, word: str):
    make_local_endpoint()
    body = {"name": "to-dr", "dest_registry": {"id": make_endpoint().pk}, word: True}
    shown = admin.get(f"/replication/policies/{id_of(admin.post('/replication/policies', body))}").json()
    assert (shown["deletion"], shown["replicate_deletion"]) == (True, True)


def test_09_and_10_a_run_always_has_its_counters_and_times(admin: ApiClient):
    shown = admin.get(f"/replication/executions/{make_execution().pk}").json()
    counters = ("total", "failed", "succeed", "in_progress", "stopped")
    assert {key: shown[key] for key in counters} == dict.fromkeys(counters, 0)
    assert shown["status_text"] == ""
    assert shown["end_time"] == "0001-01-01T00:00:00.000Z"


def test_11_the_first_calls_of_every_client_answer(admin: ApiClient, anonymous: ApiClient):
    assert admin.get("/users/current").status_code == 200
    assert anonymous.get("/users/current").status_code == 401
    assert anonymous.get("/ping").content == b"Pong"
    assert anonymous.get("/health").status_code == 200


def test_12_csrf_is_checked_with_a_session_only(admin: ApiClient):
    assert error_of(admin.put("/replication/executions/1"))[0] == 404
    browser = Client()
    browser.post("/c/login", {"principal": "alice", "password": PASSWORD})
    refused = browser.put("/api/v2.0/replication/executions/1")
    assert error_of(refused)[:2] == (403, "FORBIDDEN")
    token = refused["X-Harbor-CSRF-Token"]
    assert refused.cookies["_gorilla_csrf"].value
    response = browser.put("/api/v2.0/replication/executions/1", headers={"X-Harbor-CSRF-Token": token})
    assert error_of(response)[0] == 404


def test_13_metadata_are_strings_and_a_normal_project_names_no_registry(admin: ApiClient):
    make_project(name="test")
    shown = admin.get("/projects/test").json()
    assert shown["metadata"] == {"public": "false"}
    assert "registry_id" not in shown


def test_14_the_log_of_a_task_is_text(admin: ApiClient):
    task = make_task()
    make_log_line(task=task)
    response = admin.get(f"/replication/executions/{task.execution_id}/tasks/{task.pk}/log")
    assert response["Content-Type"].startswith("text/plain")


def test_15_a_second_post_of_a_name_is_a_409(admin: ApiClient):
    for path, body in _posts()[:-1]:
        id_of(admin.post(path, body))
        assert error_of(admin.post(path, body))[:2] == (409, "CONFLICT")
