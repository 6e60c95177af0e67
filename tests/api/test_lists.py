"""Paging, filtering and sorting (API contract, section 4)."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from targets.models import Endpoint
from tests.api.client import ApiClient, error_of
from tests.factories import make_endpoint, make_rule


@pytest.fixture
def _five(db: None) -> None:
    for name in "abcde":
        make_endpoint(name=name)


def _names(admin: ApiClient, **params: object) -> list[str]:
    response = admin.get("/registries", **params)
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()]


@pytest.mark.usefixtures("_five")
def test_the_first_page_points_to_the_next(admin: ApiClient):
    response = admin.get("/registries", page_size=2)
    assert [row["name"] for row in response.json()] == ["a", "b"]
    assert response["X-Total-Count"] == "5"
    assert response["Link"] == '</api/v2.0/registries?page=2&page_size=2>; rel="next"'


@pytest.mark.usefixtures("_five")
def test_a_middle_page_points_both_ways(admin: ApiClient):
    response = admin.get("/registries", page=2, page_size=2)
    assert response["Link"] == (
        '</api/v2.0/registries?page=1&page_size=2>; rel="prev" , </api/v2.0/registries?page=3&page_size=2>; rel="next"'
    )


@pytest.mark.usefixtures("_five")
def test_links_keep_other_parameters_sorted_and_readable(admin: ApiClient):
    response = admin.get("/registries", sort="-name", q="name={a b c}", page_size=2, zoo="x&y\n>")
    assert response["Link"] == (
        '</api/v2.0/registries?page=2&page_size=2&q=name={a%20b%20c}&sort=-name&zoo=x%26y%0A%3E>; rel="next"'
    )


@pytest.mark.usefixtures("_five")
def test_a_page_that_holds_all_has_no_links(admin: ApiClient):
    assert "Link" not in admin.get("/registries")


@pytest.mark.usefixtures("_five")
def test_size_zero_gives_all_rows_without_links(admin: ApiClient):
    response = admin.get("/registries", page=0, page_size=0)
    assert len(response.json()) == 5
    assert "Link" not in response


@pytest.mark.usefixtures("_five")
def test_page_zero_is_the_first(admin: ApiClient):
    assert _names(admin, page=0, page_size=2) == ["a", "b"]


@pytest.mark.usefixtures("_five")
@pytest.mark.parametrize("page", [4, 10**15, 2**63 - 1])
def test_beyond_the_end_is_an_empty_list(admin: ApiClient, page: int):
    response = admin.get("/registries", page=page, page_size=2)
    assert response.json() == []
    assert response["X-Total-Count"] == "5"
    assert "Link" not in response


def test_no_rows_are_an_empty_list(admin: ApiClient):
    assert admin.get("/registries").json() == []


@pytest.mark.parametrize("params", [{"page_size": 101}, {"page_size": -1}, {"page": "x"}, {"page_size": "9" * 40}])
def test_paging_out_of_range_is_a_422(admin: ApiClient, params: dict[str, object]):
    assert error_of(admin.get("/registries", **params))[:2] == (422, "UNPROCESSABLE_ENTITY")


@pytest.mark.usefixtures("_five")
@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("name=a", ["a"]),
        ("Name=a", ["a"]),
        ("name='a'", ["a"]),
        ("name=~A", ["a"]),
        ("name=\\a", ["a"]),
        ("name=[b~c]", ["b", "c"]),
        ("name=[d~]", ["d", "e"]),
        ("name=[~b]", ["a", "b"]),
        ("name={a 'c'}", ["a", "c"]),
        ("name=(a b)", []),
        ("name=(a)", ["a"]),
        ("name__icontains=E", ["e"]),
        ("name__in={a b}", ["a", "b"]),
        ("name__gte=d", ["d", "e"]),
        ("name__sounds_like=d", list("abcde")),
        ("name={a b},type=docker-registry", ["a", "b"]),
        ("type=harbor", []),
        ("colour=blue", list("abcde")),
        ("access_key=x", list("abcde")),
        ("id=notanumber", []),
        ("id={x y}", []),
        ("id=" + "9" * 25, []),
        ("creation_time=[2001-01-01T00:00:00~2002-01-01T00:00:00]", []),
        ("creation_time=[2001-01-01T00:00:00~]", list("abcde")),
        ("creation_time=[2001-01-01 00:00:00~]", list("abcde")),
        ("creation_time=soon", []),
        (quote("name={a b}"), ["a", "b"]),
    ],
)
def test_q_selects(admin: ApiClient, q: str, names: list[str]):
    assert _names(admin, q=q) == names


@pytest.mark.parametrize(
    "q", ["name", "=x", "name=", "name=[a]", "name=[a~b", "name=[~]", "name={a", "name={}", "name=(", "a=b,", "n=%00"]
)
def test_q_that_cannot_be_read_is_a_400(admin: ApiClient, q: str):
    assert error_of(admin.get("/registries", q=q))[:2] == (400, "BAD_REQUEST")


def test_q_names_what_is_wrong(admin: ApiClient):
    assert error_of(admin.get("/registries", q="name"))[2] == (
        'the query string must contain "=" and the key/value cannot be empty'
    )
    assert error_of(admin.get("/registries", q="name=[a"))[2] == "invalid query string value: [a"


def test_q_takes_booleans(admin: ApiClient):
    make_rule(name="on")
    make_rule(name="off", enabled=False)
    found = {word: admin.get("/replication/policies", q=f"enabled={word}").json() for word in ("true", "0", "maybe")}
    assert {word: [row["name"] for row in rows] for word, rows in found.items()} == {
        "true": ["on"],
        "0": ["off"],
        "maybe": [],
    }


@pytest.mark.usefixtures("_five")
def test_sort_takes_several_fields_and_ignores_the_unknown(admin: ApiClient):
    Endpoint.objects.filter(name__in="ab").update(kind="harbor")
    assert _names(admin, sort="-type,colour,-name") == ["b", "a", "e", "d", "c"]


@pytest.mark.usefixtures("_five")
def test_the_old_name_parameter_finds_parts(admin: ApiClient):
    make_endpoint(name="Abba")
    assert _names(admin, name="B") == ["Abba", "b"]


def test_times_are_utc_with_milliseconds(admin: ApiClient):
    endpoint = make_endpoint()
    Endpoint.objects.filter(pk=endpoint.pk).update(created_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    assert admin.get("/registries").json()[0]["creation_time"] == "2026-01-02T03:04:05.678Z"


def test_a_nul_character_in_a_parameter_is_a_400(admin: ApiClient):
    assert error_of(admin.get("/registries", name="a\0"))[0] == 400
