"""POST /registries/ping (API contract, section 9)."""

from typing import Any

import pytest

from registry.testkit import MemoryRegistry
from targets.models import Endpoint
from tests.api.client import ApiClient, assert_empty, error_of
from tests.factories import make_endpoint, make_local_endpoint


def test_values_that_work_are_a_200(admin: ApiClient, memory_registry: MemoryRegistry):
    assert_empty(admin.post("/registries/ping", {"type": "docker-registry", "url": memory_registry.url}))


def test_a_ping_stores_nothing(admin: ApiClient, memory_registry: MemoryRegistry):
    admin.post("/registries/ping", {"type": "docker-registry", "url": memory_registry.url, "name": "x"})
    assert not Endpoint.objects.exists()


def test_a_registry_that_is_away_is_a_400_with_the_reason(admin: ApiClient):
    response = admin.post("/registries/ping", {"type": "docker-registry", "url": "http://127.0.0.1:1"})
    status, code, message = error_of(response)
    assert (status, code) == (400, "BAD_REQUEST")
    assert message.startswith("the registry is unhealthy: ")
    assert len(message) > len("the registry is unhealthy: ")


@pytest.mark.parametrize("body", [{}, {"type": "harbor"}, {"url": "http://x"}, {"type": "", "url": ""}])
def test_type_and_url_are_needed(admin: ApiClient, body: dict[str, str]):
    assert error_of(admin.post("/registries/ping", body)) == (400, "BAD_REQUEST", "type or url cannot be empty")


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ftp://x"},
        {"url": "http://[::1"},
        {"url": "http://x:99999"},
        {"ca_certificate": "not PEM", "url": "https://127.0.0.1:1"},
        {"proxy_url": "nonsense"},
        {"proxy_url": "http://["},
        {"access_key": "a\nb"},
        {"access_key": "ключ", "access_secret": "秘密"},
        {"proxy_url": "http://x:y"},
        {"type": "nonsense"},
    ],
)
def test_values_that_cannot_work_are_a_400(admin: ApiClient, changes: dict[str, Any]):
    body = {"type": "docker-registry", "url": "http://127.0.0.1:1", **changes}
    assert error_of(admin.post("/registries/ping", body))[:2] == (400, "BAD_REQUEST")


def test_a_stored_registry_is_pinged_with_its_own_secret(admin: ApiClient):
    with MemoryRegistry(auth="basic", username="robot", password="right") as registry:
        endpoint = make_endpoint(url=registry.url, access_key="robot", secret="right")
        assert_empty(admin.post("/registries/ping", {"id": endpoint.pk}))
        assert_empty(admin.post("/registries/ping", {"id": endpoint.pk, "access_secret": "*****"}))


def test_other_credentials_can_be_tried_on_a_stored_registry(admin: ApiClient):
    with MemoryRegistry(auth="basic", username="robot", password="right") as registry:
        endpoint = make_endpoint(url=registry.url, access_key="robot", secret="wrong")
        assert error_of(admin.post("/registries/ping", {"id": endpoint.pk}))[0] == 400
        assert_empty(admin.post("/registries/ping", {"id": endpoint.pk, "access_secret": "right"}))


def test_the_stored_secret_goes_to_the_stored_address_only(admin: ApiClient, memory_registry: MemoryRegistry):
    endpoint = make_endpoint(url="http://127.0.0.1:1", access_key="robot", secret="right")
    response = admin.post("/registries/ping", {"id": endpoint.pk, "url": memory_registry.url})
    assert error_of(response)[0] == 400
    assert not memory_registry.requests


def test_the_local_registry_is_pinged_by_number_zero(admin: ApiClient, memory_registry: MemoryRegistry):
    make_local_endpoint(url=memory_registry.url)
    assert_empty(admin.post("/registries/ping", {"id": 0}))


def test_an_unknown_number_is_a_404(admin: ApiClient):
    assert error_of(admin.post("/registries/ping", {"id": 5})) == (404, "NOT_FOUND", "registry 5 not found")
    assert error_of(admin.post("/registries/ping", {"id": 0}))[0] == 404
