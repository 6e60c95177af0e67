"""Windows of time given for a registry in the form and through the API: what is stored, shown and refused."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import override

from targets.models import Endpoint
from targets.services import save_endpoint
from tests.api.client import ApiClient, error_of, id_of
from tests.factories import make_admin, make_endpoint
from tests.web.reading import text_of

pytestmark = pytest.mark.django_db

NOWHERE = "http://127.0.0.1:9"
TYPED = "8:00-18:00 Mon-Fri 4096\r\n22:00-06:00 pause\r\n"
STORED = "08:00-18:00 mon-fri 4096; 22:00-06:00 pause"
BAD = [
    pytest.param("08:00-18:00", "is no time window", id="no limit"),
    pytest.param("08:00-25:00 1", "is no span of the day", id="an hour too many"),
    pytest.param("08:00-12:00 1; 11:00-13:00 2", "overlap (mon 11:00)", id="overlap"),
    pytest.param("08:00-12:00 funday 1", "funday are no days", id="days"),
    pytest.param("08:00-12:00 -1", "is no limit", id="a negative limit"),
]


@pytest.fixture(autouse=True)
def _settings_of_tests(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def api() -> ApiClient:
    return ApiClient(make_admin())


def values(**changes):
    return {"kind": "docker-registry", "name": "mirror", "url": NOWHERE, "verify_tls": "on", **changes}


def stored() -> tuple[str, str]:
    return Endpoint.objects.values_list("bandwidth_windows", "time_zone").get()


def test_windows_given_in_the_form_are_stored_shown_again_one_a_line_and_taken_away(admin_client):
    given = {"bandwidth_windows": TYPED, "time_zone": "Europe/Berlin"}
    assert admin_client.post("/registries/new/", values(**given)).status_code == 302
    assert stored() == (STORED, "Europe/Berlin")
    address = f"/registries/{Endpoint.objects.get().pk}/edit/"
    body = admin_client.get(address).content.decode()
    assert ">\n08:00-18:00 mon-fri 4096\n22:00-06:00 pause</textarea>" in body
    assert '<option value="Europe/Berlin" selected>' in body
    admin_client.post(address, values(bandwidth_windows="", time_zone="Europe/Berlin"))
    assert stored() == ("", "Europe/Berlin")


@pytest.mark.parametrize(("windows", "hint"), BAD)
def test_what_are_no_windows_is_refused_in_the_form_beside_the_field(admin_client, windows, hint):
    response = admin_client.post("/registries/new/", values(bandwidth_windows=windows))
    assert response.status_code == 422
    assert hint in text_of(response)
    assert 'id="id_bandwidth_windows_error"' in response.content.decode()
    assert not Endpoint.objects.exists()


def test_a_refusal_is_in_the_viewers_language(admin_client):
    admin_client.cookies["django_language"] = "zh-hans"
    text = text_of(admin_client.post("/registries/new/", values(bandwidth_windows="08:00-25:00 1")))
    assert "is no span" not in text
    assert "08:00-25:00" in text


def test_windows_given_through_the_api_are_stored_shown_changed_and_taken_away(api):
    body = {"name": "mirror", "type": "docker-registry", "url": NOWHERE}
    given = {"bandwidth_windows": TYPED, "time_zone": "Asia/Shanghai"}
    address = f"/registries/{id_of(api.post('/registries', {**body, **given}))}"
    shown = api.get(address).json()
    assert (shown["bandwidth_windows"], shown["time_zone"]) == (STORED, "Asia/Shanghai")
    api.put(address, {"description": "as before", "bandwidth_windows": None, "time_zone": ""})
    assert stored() == (STORED, "Asia/Shanghai")
    api.put(address, {"bandwidth_windows": "", "time_zone": "UTC"})
    assert stored() == ("", "UTC")


@pytest.mark.parametrize(("windows", "hint"), [*BAD, pytest.param(5, "string", id="a number")])
def test_what_are_no_windows_is_a_400_that_names_them(api, windows, hint):
    body = {"name": "mirror", "type": "docker-registry", "url": NOWHERE, "bandwidth_windows": windows}
    status, code, text = error_of(api.post("/registries", body))
    assert (status, code) == (400, "BAD_REQUEST")
    assert "bandwidth_windows: " in text
    assert hint in text
    assert error_of(api.put(f"/registries/{make_endpoint().pk}", {"bandwidth_windows": windows}))[0] == 400


@pytest.mark.parametrize("zone", ["Moon/Base", "../etc/passwd", "x" * 65])
def test_what_is_no_time_zone_is_a_400(api, zone):
    status, _code, text = error_of(api.put(f"/registries/{make_endpoint().pk}", {"time_zone": zone}))
    assert (status, "time_zone: " in text) == (400, True)


@pytest.mark.parametrize(("field", "value"), [("bandwidth_windows", "now and then"), ("time_zone", "Moon/Base")])
def test_a_service_refuses_what_neither_form_nor_api_saw(field, value):
    endpoint = make_endpoint()
    setattr(endpoint, field, value)
    with pytest.raises(ValidationError) as refused:
        save_endpoint(endpoint, secret=None)
    assert field in refused.value.message_dict


def test_the_database_refuses_what_is_not_written_as_windows():
    endpoint = make_endpoint()
    with pytest.raises(IntegrityError), transaction.atomic():
        Endpoint.objects.filter(pk=endpoint.pk).update(bandwidth_windows="now and then")
    Endpoint.objects.filter(pk=endpoint.pk).update(bandwidth_windows=STORED)


def test_the_page_of_a_registry_says_in_words_what_was_learned(admin_client):
    capabilities = {"tag_delete": False, "head_names_digest": False, "chunk_limit_bytes": 4 << 20, "new_key": True}
    endpoint = make_endpoint(capabilities=capabilities)
    text = text_of(admin_client.get(f"/registries/{endpoint.pk}/edit/"))
    assert "It deletes by digest only" in text
    assert "It does not name the right digest of a tag" in text
    assert "It takes up to 4 MiB in one request" in text
    assert "new_key: True" in text
    assert "What was learned" not in text_of(admin_client.get(f"/registries/{make_endpoint().pk}/edit/"))


def test_the_api_shows_what_was_learned(api):
    endpoint = make_endpoint(capabilities={"tag_delete": True})
    assert api.get(f"/registries/{endpoint.pk}").json()["capabilities"] == {"tag_delete": True}


def test_errors_of_windows_are_translated():
    endpoint = make_endpoint(bandwidth_windows="08:00-12:00 1")
    endpoint.bandwidth_windows = "08:00-08:00 1"
    with override("zh-hans"), pytest.raises(ValidationError) as refused:
        save_endpoint(endpoint, secret=None)
    assert "begins and ends" not in str(refused.value)
