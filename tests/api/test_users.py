"""Calls about people (API contract, section 7)."""

from tests.api.client import ApiClient, error_of
from tests.factories import make_user


def test_the_current_user_is_shown(admin: ApiClient):
    shown = admin.get("/users/current").json()
    assert (shown["username"], shown["sysadmin_flag"], shown["admin_role_in_auth"]) == ("alice", True, False)
    assert shown["creation_time"].endswith("Z")


def test_a_user_without_rights_sees_themselves(db: None):
    user = make_user(username="carol", first_name="Carol", last_name="Day", email="carol@example.com")
    shown = ApiClient(user).get("/users/current").json()
    assert shown["user_id"] == user.pk
    assert (shown["realname"], shown["email"]) == ("Carol Day", "carol@example.com")
    assert shown["sysadmin_flag"] is False


def test_nobody_is_a_401(anonymous: ApiClient):
    assert error_of(anonymous.get("/users/current")) == (401, "UNAUTHORIZED", "unauthorized")
