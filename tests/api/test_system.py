"""Calls about the installation (API contract, section 6), and its documents."""

from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from targets.models import Endpoint
from tests.api.client import ApiClient, error_of
from tests.factories import make_local_endpoint
from tests.servers import ValkeyServer


def test_ping_answers_pong_as_text(anonymous: ApiClient):
    response = anonymous.get("/ping")
    assert response.content == b"Pong"
    assert response["Content-Type"] == "text/plain; charset=utf-8"


def test_ping_does_not_look_at_credentials(anonymous: ApiClient):
    assert anonymous.send("GET", "/ping", headers={"Authorization": "Basic eDp5"}).status_code == 200


def _health(client: ApiClient) -> tuple[str, dict[str, str]]:
    document = client.get("/health").json()
    return document["status"], {part["name"]: part.get("error", part["status"]) for part in document["components"]}


def test_health_says_which_part_is_away(anonymous: ApiClient, settings: Any):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    status, parts = _health(anonymous)
    assert status == "unhealthy"
    assert parts == {
        "core": "healthy",
        "database": "healthy",
        "jobservice": "the broker does not answer, so no worker can be called",
        "redis": "the broker does not answer",
    }
    assert list(parts) == sorted(parts)


def test_health_is_asked_for_without_credentials_and_is_always_a_200(anonymous: ApiClient, settings: Any):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert anonymous.get("/health").status_code == 200


def test_health_tells_a_broker_from_its_workers(
    anonymous: ApiClient, settings: Any, valkey_server: ValkeyServer, celery_broker: None
):
    settings.REDIS_URL = valkey_server.url
    _, parts = _health(anonymous)
    assert parts["redis"] == "healthy"
    assert parts["jobservice"] == "no worker answers"


@pytest.mark.parametrize(
    ("health", "shown"),
    [("unverified", None), ("healthy", "healthy"), ("unhealthy", "the local registry is unhealthy (dns)")],
)
def test_health_shows_the_local_registry_as_last_checked(
    anonymous: ApiClient, settings: Any, health: str, shown: str | None
):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    make_local_endpoint(health=health, health_code="dns" if health == "unhealthy" else "")
    assert _health(anonymous)[1].get("registry") == shown


def test_health_is_remembered_for_a_while(anonymous: ApiClient, settings: Any):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    make_local_endpoint(health="healthy")
    before = _health(anonymous)
    Endpoint.objects.update(health="unhealthy")
    assert _health(anonymous) == before
    cache.clear()
    assert _health(anonymous) != before


def test_strangers_learn_how_to_log_in_and_nothing_else(anonymous: ApiClient):
    assert anonymous.get("/systeminfo").json() == {
        "auth_mode": "db_auth",
        "primary_auth_mode": False,
        "self_registration": False,
        "banner_message": "",
    }


def test_known_users_learn_addresses_and_version(outsider: ApiClient, settings: Any):
    settings.EXTERNAL_URL = "https://sync.example.com"
    make_local_endpoint(url="http://registry.example.com:5000")
    about = outsider.get("/systeminfo").json()
    assert about["external_url"] == "https://sync.example.com"
    assert about["registry_url"] == "registry.example.com:5000"
    assert about["harbor_version"].startswith("v2.")
    assert about["current_time"].endswith("Z")


def test_wrong_credentials_are_not_taken_for_a_stranger(anonymous: ApiClient):
    response = anonymous.send("GET", "/systeminfo", headers={"Authorization": "Basic eDp5"})
    assert error_of(response)[0] == 401


def test_the_version_probe_answers():
    response = Client().get("/api/version")
    assert response.json() == {"version": "v2.0"}


def test_the_document_has_no_errors_and_no_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "api.yml"))
    assert capsys.readouterr().err == ""


def test_every_operation_has_a_name_a_tag_and_its_refusals():
    document = Client().get("/api/schema").json()
    operations = [item for path in document["paths"].values() for item in path.values()]
    names = [item["operationId"] for item in operations]
    assert len(names) == len(set(names)) >= 30
    assert all(len(item["tags"]) == 1 and item["summary"] and "default" in item["responses"] for item in operations)
    assert {item["tags"][0] for item in operations} == {tag["name"] for tag in document["tags"]}


def test_the_page_to_browse_loads_our_own_files_only(settings: Any):
    settings.STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    response = Client().get("/api/docs")
    page = response.content.decode()
    assert response.status_code == 200
    assert "<script>" not in page
    assert "style=" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'self'" in response["Content-Security-Policy"]
