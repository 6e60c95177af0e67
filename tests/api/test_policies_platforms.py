"""Platforms of rules: HarborSync's own fields beside Harbor's."""

from typing import Any

import pytest

from replication.models import Rule
from targets.models import Endpoint
from tests.api.client import ApiClient, assert_empty, error_of, id_of
from tests.factories import make_endpoint, make_local_endpoint, make_rule

PATH = "/replication/policies"


@pytest.fixture
def remote(db: None) -> Endpoint:
    """Give a registry beside the local one."""
    make_local_endpoint(url="http://core.example.com")
    return make_endpoint(name="dr", url="https://dr.example.com")


def _body(remote: Endpoint, **changes: Any) -> dict[str, Any]:
    return {"name": "to-dr", "dest_registry": {"id": remote.pk}, "enabled": True, **changes}


def test_a_rule_is_created_with_platforms_and_shows_them(admin: ApiClient, remote: Endpoint):
    platforms = ["linux/amd64", "Linux/arm64/v8", "linux/arm64", "windows/amd64:10.0.17763"]
    pk = id_of(admin.post(PATH, _body(remote, platforms=platforms, platform_mode="rewritten")))

    shown = admin.get(f"{PATH}/{pk}").json()

    assert shown["platforms"] == ["linux/amd64", "linux/arm64", "windows/amd64:10.0.17763"]
    assert shown["platform_mode"] == "rewritten"
    assert Rule.objects.get(pk=pk).platforms == "linux/amd64,linux/arm64,windows/amd64:10.0.17763"


@pytest.mark.parametrize("none", [{}, {"platforms": None}, {"platforms": []}, {"platforms": [], "platform_mode": ""}])
def test_a_rule_without_platforms_takes_all(admin: ApiClient, remote: Endpoint, none: dict[str, Any]):
    pk = id_of(admin.post(PATH, _body(remote, **none)))
    shown = admin.get(f"{PATH}/{pk}").json()
    assert (shown["platforms"], shown["platform_mode"]) == ([], "")


AMD = ["linux/amd64"]
BAD = [
    ({"platforms": "linux/amd64", "platform_mode": "single"}, "platforms: "),
    ({"platforms": [{"os": "linux"}], "platform_mode": "single"}, "platforms"),
    ({"platforms": ["amd64"], "platform_mode": "rewritten"}, "amd64 is not a platform: write linux/amd64."),
    ({"platforms": ["linux"], "platform_mode": "rewritten"}, "linux is not a platform: write os/arch"),
    ({"platforms": AMD}, "Choose how the platforms are taken: rewritten, sparse or single."),
    ({"platforms": AMD, "platform_mode": "whole"}, "Choose how the platforms are taken"),
    ({"platforms": AMD, "platform_mode": 7}, "Choose how the platforms are taken"),
    ({"platforms": [*AMD, "linux/arm64"], "platform_mode": "single"}, "A single image is for one platform"),
    ({"platform_mode": "sparse"}, "Name the platforms that the platform mode is about."),
    ({"platforms": [f"linux/cpu{n}" for n in range(51)], "platform_mode": "sparse"}, "platforms: "),
    ({"platforms": [f"linux/{'cpu' * 20}{n}" for n in range(40)], "platform_mode": "sparse"}, "too many platforms"),
]


@pytest.mark.parametrize(("changes", "words"), BAD, ids=[str(changes)[:60] for changes, _ in BAD])
def test_what_cannot_be_is_refused(admin: ApiClient, remote: Endpoint, changes: dict[str, Any], words: str):
    status, code, message = error_of(admin.post(PATH, _body(remote, **changes)))
    assert (status, code) == (400, "BAD_REQUEST")
    assert words in message
    assert not Rule.objects.exists()


def test_a_registry_known_to_refuse_sparse_indexes_is_named(admin: ApiClient, remote: Endpoint):
    remote.capabilities = {"sparse_index": False}
    remote.save()
    status, _, message = error_of(admin.post(PATH, _body(remote, platforms=AMD, platform_mode="sparse")))
    assert status == 400
    assert "dr was found to refuse sparse indexes: choose the rewritten index." in message
    assert id_of(admin.post(PATH, _body(remote, platforms=AMD, platform_mode="rewritten")))


def _put(admin: ApiClient, remote: Endpoint, **changes: Any) -> Rule:
    rule = make_rule(name="to-dr", targets=[remote], platforms="linux/amd64", platform_mode="single")
    assert_empty(admin.put(f"{PATH}/{rule.pk}", _body(remote, **changes)), 200)
    rule.refresh_from_db()
    return rule


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({}, ("linux/amd64", "single")),
        ({"platforms": []}, ("", "")),
        ({"platforms": None}, ("", "")),
        ({"platforms": ["linux/arm64"]}, ("linux/arm64", "single")),
        ({"platform_mode": "rewritten"}, ("linux/amd64", "rewritten")),
    ],
    ids=["absent", "empty", "null", "others", "mode"],
)
def test_a_put_changes_what_it_names(
    admin: ApiClient, remote: Endpoint, changes: dict[str, Any], stored: tuple[str, str]
):
    rule = _put(admin, remote, **changes)
    assert (rule.platforms, rule.platform_mode) == stored
