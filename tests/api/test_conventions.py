"""What holds for every call (API contract, sections 1 and 3)."""

import pytest
from django.db import IntegrityError

from harborsync.lib.api.errors import answer_exception
from tests.api.client import ApiClient, error_of
from tests.factories import make_endpoint


def test_a_given_request_id_comes_back(anonymous: ApiClient):
    response = anonymous.send("GET", "/ping", headers={"X-Request-Id": "abc-123"})
    assert response["X-Request-Id"] == "abc-123"


def test_a_missing_request_id_is_made(anonymous: ApiClient):
    assert len(anonymous.get("/ping")["X-Request-Id"]) == 36


@pytest.mark.parametrize("hostile", ["a b", "x" * 129, "ü"])
def test_a_request_id_that_is_no_plain_word_is_replaced(anonymous: ApiClient, hostile: str):
    response = anonymous.send("GET", "/ping", headers={"X-Request-Id": hostile})
    assert response["X-Request-Id"] != hostile


def test_a_refusal_carries_a_request_id_too(anonymous: ApiClient):
    assert "X-Request-Id" in anonymous.get("/registries")


def test_a_slash_at_the_end_means_nothing(admin: ApiClient):
    assert admin.get("/registries/").status_code == 200


def test_an_unknown_path_is_a_404_in_json(anonymous: ApiClient):
    assert error_of(anonymous.get("/robots")) == (404, "NOT_FOUND", "path /api/v2.0/robots was not found")


def test_an_unknown_path_is_a_404_for_every_verb(anonymous: ApiClient):
    assert error_of(anonymous.post("/robots", {}))[0] == 404


def test_a_wrong_verb_names_the_right_ones(admin: ApiClient):
    response = admin.send("PATCH", "/registries", body={})
    assert error_of(response)[:2] == (405, "METHOD_NOT_ALLOWED")
    assert "GET, POST" in response["Allow"]


@pytest.mark.parametrize("text", ["{", "nonsense", '{"a": NaN}', "[" * 100_000, '"\\ud800', "\xff"])
def test_broken_json_is_a_400(admin: ApiClient, text: str):
    response = admin.send("POST", "/replication/policies", data=text.encode("latin-1"), content_type="application/json")
    assert error_of(response)[:2] == (400, "BAD_REQUEST")


@pytest.mark.parametrize("body", [[], "text", 7, None])
def test_json_that_is_no_object_is_a_400(admin: ApiClient, body: object):
    assert error_of(admin.send("POST", "/registries", body=body))[:2] == (400, "BAD_REQUEST")


def test_a_form_is_a_415(admin: ApiClient):
    response = admin.send("POST", "/registries", data="name=x", content_type="application/x-www-form-urlencoded")
    assert error_of(response)[:2] == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_an_odd_charset_does_not_matter(admin: ApiClient):
    response = admin.send(
        "POST", "/replication/executions", data='{"policy_id": 1}', content_type="application/json; charset=zlib"
    )
    assert error_of(response)[0] == 404


def test_a_huge_body_is_a_413(admin: ApiClient):
    response = admin.post("/registries", {"name": "x" * 2_000_000})
    assert error_of(response)[:2] == (413, "REQUEST_ENTITY_TOO_LARGE")


@pytest.mark.parametrize("accept", ["text/plain", "application/xml", "*/*"])
def test_the_accept_header_does_not_matter(admin: ApiClient, accept: str):
    response = admin.send("GET", "/registries", headers={"Accept": accept})
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("number", ["x", "1.5", "1_0", "9" * 19, "9" * 30, "٣", "%20"])
def test_an_id_that_is_no_number_is_a_422(admin: ApiClient, number: str):
    assert error_of(admin.get(f"/replication/policies/{number}"))[:2] == (422, "UNPROCESSABLE_ENTITY")


def test_a_negative_id_is_just_not_found(admin: ApiClient):
    assert error_of(admin.get("/registries/-3")) == (404, "NOT_FOUND", "registry -3 not found")


def test_messages_are_english_whatever_the_browser_speaks(admin: ApiClient):
    response = admin.send("POST", "/registries", body={"name": "x"}, headers={"Accept-Language": "zh-hans"})
    assert "This field is required" in error_of(response)[2]


def test_unknown_fields_and_parameters_are_ignored(admin: ApiClient):
    make_endpoint(name="one")
    assert admin.get("/registries", colour="blue").json()[0]["name"] == "one"


def test_answers_stay_out_of_caches(admin: ApiClient, anonymous: ApiClient):
    assert admin.get("/projects")["Cache-Control"] == "no-store"
    assert anonymous.get("/registries")["Cache-Control"] == "no-store"


def test_an_error_of_ours_tells_nothing():
    response = answer_exception(RuntimeError("the secret is 1234"), {})
    assert error_of(response) == (500, "UNKNOWN", "internal server error")


def test_a_collision_with_another_request_is_a_409():
    assert error_of(answer_exception(IntegrityError("UNIQUE"), {}))[:2] == (409, "CONFLICT")
