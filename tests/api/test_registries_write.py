"""POST, PUT and DELETE of registries (API contract, section 9)."""

from typing import Any

import pytest

from registry.testkit import MemoryRegistry
from targets.models import Endpoint
from tests.api.client import ApiClient, assert_empty, error_of, id_of
from tests.factories import make_endpoint, make_local_endpoint, make_project, make_rule

# Nobody listens on port 1 of the loopback.
CLOSED = "http://127.0.0.1:1"


def _body(**changes: Any) -> dict[str, Any]:
    return {"name": "dr", "type": "docker-registry", "url": CLOSED, **changes}


def test_a_registry_is_created_and_looked_at(admin: ApiClient, memory_registry: MemoryRegistry):
    credential = {"type": "basic", "access_key": "robot", "access_secret": " spaces kept "}
    body = _body(url=memory_registry.url + "/", credential=credential, insecure=True, description="far away")
    response = admin.post("/registries", body)
    endpoint = Endpoint.objects.get(pk=id_of(response))
    assert response["Location"] == f"/api/v2.0/registries/{endpoint.pk}"
    assert (endpoint.name, endpoint.url, endpoint.description) == ("dr", memory_registry.url, "far away")
    assert (endpoint.access_key, endpoint.reveal_secret(), endpoint.verify_tls) == ("robot", " spaces kept ", False)
    assert endpoint.health == "healthy"


def test_a_registry_that_cannot_be_reached_is_stored_and_says_so(admin: ApiClient):
    endpoint = Endpoint.objects.get(pk=id_of(admin.post("/registries", _body())))
    assert endpoint.health == "unhealthy"
    assert admin.get(f"/registries/{endpoint.pk}").json()["status_reason"]


@pytest.mark.parametrize("credential", [None, {}, {"type": "", "access_key": "", "access_secret": ""}])
def test_an_empty_credential_is_none(admin: ApiClient, credential: dict[str, str] | None):
    endpoint = Endpoint.objects.get(pk=id_of(admin.post("/registries", _body(credential=credential))))
    assert (endpoint.access_key, endpoint.has_secret, endpoint.credential_kind) == ("", False, "basic")


def test_a_token_without_a_user_name_is_kept(admin: ApiClient):
    body = _body(credential={"type": "oauth", "access_secret": "token"})
    endpoint = Endpoint.objects.get(pk=id_of(admin.post("/registries", body)))
    assert endpoint.reveal_secret() == "token"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name cannot be empty"),
        ({"name": None}, "name cannot be empty"),
        ({"name": "x" * 65}, "the max length of name is 64"),
        ({"url": ""}, "url cannot be empty"),
        ({"url": "ftp://x"}, "url"),
        ({"url": "http://me:secret@x"}, "url"),
        ({"url": ["http://x"]}, "url: Not a valid string."),
        ({"type": "nonsense"}, "nonsense"),
        ({"ca_certificate": "not PEM"}, "PEM"),
        ({"proxy_url": "socks://x"}, "proxy"),
        ({"proxy_url": "http://["}, "proxy"),
        ({"credential": "me:secret"}, "credential: "),
        ({"credential": {"type": "magic"}}, "credential.type: "),
        ({"insecure": "perhaps"}, "insecure: "),
        ({"name": "nul\0"}, "name: "),
        ({"description": "\ud800"}, "description: "),
    ],
)
def test_bad_values_are_a_400_that_names_them(admin: ApiClient, changes: dict[str, Any], message: str):
    status, code, text = error_of(admin.post("/registries", _body(**changes)))
    assert (status, code) == (400, "BAD_REQUEST")
    assert message.lower() in text.lower()
    assert not Endpoint.objects.exists()


def test_a_taken_name_is_a_409(admin: ApiClient):
    make_endpoint(name="dr")
    assert error_of(admin.post("/registries", _body())) == (409, "CONFLICT", "registry dr already exists")


@pytest.fixture
def stored(db: None) -> Endpoint:
    """Give a registry with a credential."""
    return make_endpoint(name="dr", url=CLOSED, access_key="robot", secret="old", description="far away")


def test_only_what_is_named_changes(admin: ApiClient, stored: Endpoint):
    assert_empty(admin.put(f"/registries/{stored.pk}", {"description": "near", "insecure": True, "url": None}))
    stored.refresh_from_db()
    assert (stored.description, stored.verify_tls, stored.url, stored.access_key) == ("near", False, CLOSED, "robot")
    assert stored.reveal_secret() == "old"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, "old"),
        ({"access_secret": "*****"}, "old"),
        ({"access_secret": "new"}, "new"),
        ({"access_secret": None}, "old"),
        ({"access_secret": ""}, ""),
    ],
)
def test_the_masked_secret_leaves_the_stored_one(admin: ApiClient, stored: Endpoint, given: dict[str, Any], kept: str):
    assert_empty(admin.put(f"/registries/{stored.pk}", given))
    stored.refresh_from_db()
    assert stored.reveal_secret() == kept


@pytest.mark.parametrize(
    ("given", "kept"), [({}, ""), ({"access_secret": "*****"}, ""), ({"access_secret": "new"}, "new")]
)
def test_another_url_without_a_secret_clears_it(admin: ApiClient, stored: Endpoint, given: dict[str, str], kept: str):
    assert_empty(admin.put(f"/registries/{stored.pk}", {"url": "http://127.0.0.1:2", **given}))
    stored.refresh_from_db()
    assert stored.reveal_secret() == kept


def test_a_change_is_looked_at_too(admin: ApiClient, stored: Endpoint, memory_registry: MemoryRegistry):
    assert_empty(admin.put(f"/registries/{stored.pk}", {"url": memory_registry.url, "access_secret": "x"}))
    stored.refresh_from_db()
    assert stored.health == "healthy"


def test_a_rename_to_a_taken_name_is_a_409(admin: ApiClient, stored: Endpoint):
    make_endpoint(name="taken")
    response = admin.put(f"/registries/{stored.pk}", {"name": "taken"})
    assert error_of(response) == (409, "CONFLICT", "registry taken already exists")


@pytest.mark.parametrize("changes", [{"name": ""}, {"url": "://"}, {"ca_certificate": "x"}, {"credential_type": "x"}])
def test_a_bad_change_is_a_400_and_changes_nothing(admin: ApiClient, stored: Endpoint, changes: dict[str, str]):
    assert error_of(admin.put(f"/registries/{stored.pk}", changes))[:2] == (400, "BAD_REQUEST")
    stored.refresh_from_db()
    assert (stored.name, stored.url) == ("dr", CLOSED)


def test_the_local_registry_is_not_changed_here(admin: ApiClient):
    make_local_endpoint()
    assert error_of(admin.put("/registries/0", {})) == (404, "NOT_FOUND", "registry 0 not found")
    assert error_of(admin.delete("/registries/0"))[0] == 404


def test_what_is_not_there_is_a_404(admin: ApiClient):
    assert error_of(admin.put("/registries/9", {})) == (404, "NOT_FOUND", "registry 9 not found")
    assert error_of(admin.delete("/registries/9")) == (404, "NOT_FOUND", "registry 9 not found")


def test_a_registry_is_deleted(admin: ApiClient, stored: Endpoint):
    assert_empty(admin.delete(f"/registries/{stored.pk}"))
    assert not Endpoint.objects.exists()


def test_a_registry_in_use_stays(admin: ApiClient, stored: Endpoint):
    make_rule(name="nightly", targets=[stored])
    status, code, message = error_of(admin.delete(f"/registries/{stored.pk}"))
    assert (status, code) == (412, "PRECONDITION")
    assert "nightly" in message
    other = make_endpoint()
    make_project(endpoint=other)
    assert error_of(admin.delete(f"/registries/{other.pk}"))[0] == 412
