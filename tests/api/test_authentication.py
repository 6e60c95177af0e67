"""Who is asking: Basic, sessions and CSRF (API contract, section 2)."""

import time
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.contrib.auth.models import User
from django.test import Client

from harborsync.api.authentication import VerifiedPasswords
from tests.api.client import ApiClient, assert_empty, basic, error_of
from tests.factories import PASSWORD, make_admin, make_local_endpoint, make_rule

UNAUTHORIZED = (401, "UNAUTHORIZED", "unauthorized")


def _get(path: str, authorization: str) -> Any:
    return Client().get(path, headers={"Authorization": authorization})


@pytest.mark.parametrize(
    "authorization",
    [
        basic("alice", "wrong"),
        basic("nobody"),
        basic("ali\0ce"),
        basic("", ""),
        "Basic",
        "Basic not-base64!",
        "Basic a b",
        "Basic YWxpY2U=",
    ],
)
def test_wrong_credentials_are_a_401(administrator: User, authorization: str):
    assert error_of(_get("/api/v2.0/users/current", authorization)) == UNAUTHORIZED


def test_no_challenge_is_sent_as_browsers_would_remember_the_password(administrator: User):
    assert "WWW-Authenticate" not in _get("/api/v2.0/users/current", basic("alice", "wrong"))


def test_another_scheme_is_nobody(administrator: User):
    assert error_of(_get("/api/v2.0/users/current", "Bearer abc")) == UNAUTHORIZED


def test_a_deactivated_user_is_refused_at_once(admin: ApiClient, administrator: User):
    assert admin.get("/users/current").status_code == 200
    User.objects.filter(pk=administrator.pk).update(is_active=False)
    assert error_of(admin.get("/users/current")) == UNAUTHORIZED


def test_a_changed_password_counts_at_once(admin: ApiClient, administrator: User):
    assert admin.get("/users/current").status_code == 200
    administrator.set_password("Another-Horse-7")
    administrator.save()
    assert error_of(admin.get("/users/current")) == UNAUTHORIZED
    assert _get("/api/v2.0/users/current", basic("alice", "Another-Horse-7")).status_code == 200


def test_passwords_with_colons_and_umlauts_work(db: None):
    make_admin(username="jürgen", password="a:b:ü")
    assert _get("/api/v2.0/users/current", basic("jürgen", "a:b:ü")).status_code == 200


def test_a_right_password_is_hashed_once_while_polling(db: None, monkeypatch: pytest.MonkeyPatch):
    hashed = []
    real = hashers.MD5PasswordHasher.verify
    monkeypatch.setattr(hashers.MD5PasswordHasher, "verify", lambda *arguments: hashed.append(1) or real(*arguments))
    client = ApiClient(make_admin(username="polling"))
    for _ in range(5):
        assert client.get("/users/current").status_code == 200
    assert len(hashed) == 1


def test_wrong_passwords_are_hashed_every_time(db: None, monkeypatch: pytest.MonkeyPatch):
    make_admin(username="guessed")
    hashed = []
    real = hashers.MD5PasswordHasher.verify
    monkeypatch.setattr(hashers.MD5PasswordHasher, "verify", lambda *arguments: hashed.append(1) or real(*arguments))
    for _ in range(3):
        _get("/api/v2.0/users/current", basic("guessed", "wrong"))
    assert len(hashed) == 3


def test_a_verified_password_is_forgotten_after_its_time(bob: User):
    verified = VerifiedPasswords(keep_seconds=0.05)
    verified.remember(bob, PASSWORD)
    assert verified.holds(bob, PASSWORD)
    deadline = time.monotonic() + 2
    while verified.holds(bob, PASSWORD) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not verified.holds(bob, PASSWORD)


def test_the_memory_of_verified_passwords_is_bounded(bob: User):
    verified = VerifiedPasswords(size=2)
    for password in ("one", "two", "three"):
        verified.remember(bob, password)
    assert [verified.holds(bob, password) for password in ("one", "two", "three")] == [False, True, True]


def test_logging_in_gives_a_session(administrator: User):
    browser = Client()
    response = browser.post("/c/login", {"principal": "alice", "password": PASSWORD})
    assert_empty(response)
    assert browser.cookies["sid"].value
    assert browser.get("/api/v2.0/users/current").json()["username"] == "alice"


@pytest.mark.parametrize("form", [{}, {"principal": "alice", "password": "no"}, {"principal": "a\0", "password": "x"}])
def test_a_wrong_login_is_a_401(administrator: User, form: dict[str, str]):
    assert error_of(Client().post("/c/login", form)) == UNAUTHORIZED


def test_logging_out_ends_the_session(administrator: User):
    browser = Client()
    browser.post("/c/login", {"principal": "alice", "password": PASSWORD})
    assert_empty(browser.get("/c/log_out"))
    assert error_of(browser.get("/api/v2.0/users/current")) == UNAUTHORIZED


@pytest.fixture
def browser(administrator: User) -> Client:
    """Give a browser in which the administrator is logged in."""
    client = Client(enforce_csrf_checks=True)
    client.post("/c/login", {"principal": "alice", "password": PASSWORD})
    return client


def test_reading_with_a_session_gives_the_token(browser: Client):
    response = browser.get("/api/v2.0/projects")
    assert response["X-Harbor-CSRF-Token"]
    cookie = response.cookies["_gorilla_csrf"]
    assert (cookie["samesite"], cookie["path"], cookie["httponly"], cookie["secure"]) == ("Strict", "/", True, "")


def test_the_cookie_is_secure_behind_https(browser: Client, settings: Any):
    settings.SESSION_COOKIE_SECURE = True
    assert browser.get("/api/v2.0/projects").cookies["_gorilla_csrf"]["secure"] is True


def test_writing_with_a_session_needs_the_token(browser: Client):
    response = browser.put("/api/v2.0/replication/executions/1")
    assert error_of(response) == (403, "FORBIDDEN", "Forbidden - CSRF token not found in request")
    assert response["X-Harbor-CSRF-Token"]
    assert "_gorilla_csrf" in response.cookies


def test_writing_with_a_wrong_token_is_refused(browser: Client):
    response = browser.put("/api/v2.0/replication/executions/1", headers={"X-Harbor-CSRF-Token": "x"})
    assert error_of(response) == (403, "FORBIDDEN", "Forbidden - CSRF token invalid")


def test_the_token_of_a_refusal_opens_the_next_try(browser: Client):
    make_local_endpoint()
    rule = make_rule()
    body = {"policy_id": rule.pk}
    refused = browser.post("/api/v2.0/replication/executions", body, content_type="application/json")
    headers = {"X-Harbor-Csrf-Token": refused["X-Harbor-CSRF-Token"]}
    response = browser.post("/api/v2.0/replication/executions", body, content_type="application/json", headers=headers)
    assert_empty(response, 201)


def test_the_token_of_another_session_does_not_fit(browser: Client, bob: User):
    other = Client()
    other.post("/c/login", {"principal": "bob", "password": PASSWORD})
    token = other.get("/api/v2.0/projects")["X-Harbor-CSRF-Token"]
    response = browser.put("/api/v2.0/replication/executions/1", headers={"X-Harbor-CSRF-Token": token})
    assert error_of(response)[2] == "Forbidden - CSRF token invalid"


def test_without_a_session_there_is_no_csrf_check(admin: ApiClient):
    response = admin.put("/replication/executions/1")
    assert error_of(response)[0] == 404
    assert "X-Harbor-CSRF-Token" not in response


def test_an_anonymous_call_is_a_401_and_an_outsiders_a_403_with_their_name(anonymous: ApiClient, outsider: ApiClient):
    assert error_of(anonymous.get("/registries")) == UNAUTHORIZED
    assert error_of(outsider.get("/registries")) == (403, "FORBIDDEN", "bob")


ADMINISTRATORS_ONLY = [
    ("GET", "/registries"),
    ("POST", "/registries"),
    ("POST", "/registries/ping"),
    ("GET", "/registries/0"),
    ("PUT", "/registries/1"),
    ("DELETE", "/registries/1"),
    ("GET", "/registries/0/info"),
    ("GET", "/replication/adapters"),
    ("GET", "/replication/adapterinfos"),
    ("GET", "/replication/policies"),
    ("POST", "/replication/policies"),
    ("GET", "/replication/policies/1"),
    ("PUT", "/replication/policies/1"),
    ("DELETE", "/replication/policies/1"),
    ("GET", "/replication/executions"),
    ("POST", "/replication/executions"),
    ("GET", "/replication/executions/1"),
    ("PUT", "/replication/executions/1"),
    ("GET", "/replication/executions/1/log"),
    ("GET", "/replication/executions/1/tasks"),
    ("GET", "/replication/executions/1/tasks/1/log"),
]


@pytest.mark.parametrize(("method", "path"), ADMINISTRATORS_ONLY)
def test_only_administrators_reach_registries_and_replication(
    anonymous: ApiClient, outsider: ApiClient, method: str, path: str
):
    assert error_of(anonymous.send(method, path)) == UNAUTHORIZED
    assert error_of(outsider.send(method, path)) == (403, "FORBIDDEN", "bob")
