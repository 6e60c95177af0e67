"""GET of registries and of what they can do (API contract, section 9)."""

from typing import Any

import pytest

from tests.api.client import ApiClient, error_of
from tests.factories import make_endpoint, make_local_endpoint


def test_a_registry_is_shown_in_harbors_shape_with_its_secret_masked(admin: ApiClient):
    endpoint = make_endpoint(
        name="dr", url="https://dr.example.com", kind="harbor", access_key="robot", secret="hidden", verify_tls=False
    )
    response = admin.get(f"/registries/{endpoint.pk}")
    shown = response.json()
    assert b"hidden" not in response.content
    assert {key: shown[key] for key in ("id", "name", "type", "url", "insecure", "status", "credential")} == {
        "id": endpoint.pk,
        "name": "dr",
        "type": "harbor",
        "url": "https://dr.example.com",
        "insecure": True,
        "status": "unverified",
        "credential": {"type": "basic", "access_key": "robot", "access_secret": "*****"},
    }
    assert shown["checked_time"] == "0001-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({}, {}),
        ({"access_key": "robot"}, {"type": "basic", "access_key": "robot"}),
        (
            {"secret": "token", "credential_kind": "oauth"},
            {"type": "oauth", "access_key": "", "access_secret": "*****"},
        ),
    ],
)
def test_the_credential_shows_what_is_set(admin: ApiClient, stored: dict[str, str], shown: dict[str, str]):
    assert admin.get(f"/registries/{make_endpoint(**stored).pk}").json()["credential"] == shown


def test_a_certificate_is_shown_only_when_set(admin: ApiClient):
    assert "ca_certificate" not in admin.get(f"/registries/{make_endpoint().pk}").json()
    endpoint = make_endpoint(ca_certificate="-----BEGIN CERTIFICATE-----")
    assert admin.get(f"/registries/{endpoint.pk}").json()["ca_certificate"] == "-----BEGIN CERTIFICATE-----"


def test_the_local_registry_is_number_zero(admin: ApiClient):
    local = make_local_endpoint(name="our own", url="http://core:8080")
    shown = admin.get("/registries/0").json()
    assert (shown["id"], shown["name"], shown["url"]) == (0, "Local", "http://core:8080")
    assert error_of(admin.get(f"/registries/{local.pk}"))[0] == 404


def test_without_a_local_registry_zero_is_not_found(admin: ApiClient):
    assert error_of(admin.get("/registries/0")) == (404, "NOT_FOUND", "registry 0 not found")


def test_the_list_leaves_the_local_registry_out(admin: ApiClient):
    make_local_endpoint()
    make_endpoint(name="dr")
    assert [row["name"] for row in admin.get("/registries").json()] == ["dr"]


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_takes_three_queries_however_long(admin: ApiClient, django_assert_num_queries: Any, count: int):
    for _ in range(count):
        make_endpoint(secret="x")
    admin.get("/registries")
    with django_assert_num_queries(3):  # who asks, how many, which
        admin.get("/registries", page_size=100)


def test_the_info_offers_filters_and_triggers(admin: ApiClient):
    make_local_endpoint(kind="docker-registry")
    assert admin.get("/registries/0/info").json() == {
        "type": "docker-registry",
        "description": "",
        "supported_resource_filters": [
            {"type": "name", "style": "input"},
            {"type": "tag", "style": "input"},
            {"type": "resource", "style": "radio", "values": ["image", "artifact"]},
        ],
        "supported_triggers": ["manual", "scheduled", "event_based"],
        "supported_copy_by_chunk": True,
    }


def test_the_info_of_an_unknown_registry_is_a_404(admin: ApiClient):
    assert error_of(admin.get("/registries/7/info")) == (404, "NOT_FOUND", "registry 7 not found")


def test_the_adapters_are_harbors_names(admin: ApiClient):
    names = admin.get("/replication/adapters").json()
    assert names == sorted(names)
    assert {"harbor", "docker-hub", "docker-registry", "github-ghcr"} <= set(names)


def test_the_adapter_infos_say_how_to_ask_for_address_and_credential(admin: ApiClient):
    infos = admin.get("/replication/adapterinfos").json()
    assert infos["harbor"] == {}
    assert infos["github-ghcr"] == {
        "endpoint_pattern": {
            "endpoint_type": "EndpointPatternTypeFix",
            "endpoints": [{"key": "ghcr.io", "value": "https://ghcr.io"}],
        }
    }
    assert infos["google-gcr"]["endpoint_pattern"]["endpoint_type"] == "EndpointPatternTypeList"
    assert infos["google-gcr"]["credential_pattern"] == {
        "access_key_type": "AccessKeyTypeFix",
        "access_key_data": "_json_key",
        "access_secret_type": "AccessSecretTypeFile",
        "access_secret_data": "No Change",
    }
