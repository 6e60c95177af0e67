"""Limits given in the form and through the API: what is stored, shown and refused."""

import pytest

from targets.models import Endpoint
from tests.api.client import ApiClient, error_of, id_of
from tests.factories import make_admin, make_endpoint
from tests.web.reading import text_of

pytestmark = pytest.mark.django_db

NOWHERE = "http://127.0.0.1:9"
LIMITS = ("max_connections", "requests_per_second", "kilobits_per_second")


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


def limits_of_the_row() -> tuple[int | None, ...]:
    return Endpoint.objects.values_list(*LIMITS).get()


def test_limits_given_in_the_form_are_stored_shown_again_and_taken_away(admin_client):
    given = {"max_connections": "4", "requests_per_second": "20", "kilobits_per_second": "8000"}
    assert admin_client.post("/registries/new/", values(**given)).status_code == 302
    assert limits_of_the_row() == (4, 20, 8000)
    address = f"/registries/{Endpoint.objects.get().pk}/edit/"
    assert 'name="kilobits_per_second" value="8000"' in admin_client.get(address).content.decode()
    admin_client.post(address, values())
    assert limits_of_the_row() == (None, None, None)


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("0", "A limit is at least 1. Leave it empty for no limit."),
        ("-5", "A limit is at least 1."),
        ("2.5", "Enter a whole number."),
        ("many", "Enter a whole number."),
        ("9999999999", "less than or equal to 2147483647"),
    ],
)
def test_what_is_no_limit_is_refused_in_the_form(admin_client, field, value, hint):
    response = admin_client.post("/registries/new/", values(**{field: value}))
    assert response.status_code == 422
    assert hint in text_of(response)
    assert not Endpoint.objects.exists()


def test_limits_given_through_the_api_are_stored_shown_changed_and_taken_away(api):
    body = {"name": "mirror", "type": "docker-registry", "url": NOWHERE}
    number = id_of(api.post("/registries", {**body, "max_connections": 4, "requests_per_second": 20}))
    shown = api.get(f"/registries/{number}").json()
    assert [shown[limit] for limit in LIMITS] == [4, 20, None]
    api.put(f"/registries/{number}", {"max_connections": -1, "requests_per_second": None, "kilobits_per_second": 8000})
    assert limits_of_the_row() == (None, 20, 8000)


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize("value", [0, -2, 2.5, "many", True, 2**31, [1]])
def test_what_is_no_limit_is_a_400_that_names_it(api, field, value):
    body = {"name": "mirror", "type": "docker-registry", "url": NOWHERE, field: value}
    status, code, text = error_of(api.post("/registries", body))
    assert (status, code) == (400, "BAD_REQUEST")
    assert field in text
    endpoint = make_endpoint()
    assert error_of(api.put(f"/registries/{endpoint.pk}", {field: value}))[0] == 400
