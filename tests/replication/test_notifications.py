"""Inbound notifications: what is stored, what is ignored, what is refused."""

import json

import pytest

from harborsync.lib.installation import user_agent
from replication.models import Event
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db

DIGEST = "sha256:" + "a" * 64
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
TYPE = "application/vnd.docker.distribution.events.v2+json"


def push(**overrides):
    """Make one event as distribution words it."""
    target = {"mediaType": MANIFEST, "digest": DIGEST, "repository": "test/app", "tag": "v1"}
    target |= overrides.pop("target", {})
    return {"id": "e1", "action": "push", "target": target, "request": {"useragent": "docker/27"}, **overrides}


def post(client, events, *, token="secret-token"):
    body = events if isinstance(events, str) else json.dumps({"events": events})
    return client.post(f"/service/notifications/{token}/", body, content_type=TYPE)


@pytest.fixture
def endpoint():
    return make_endpoint(notification_token="secret-token")


def test_a_push_is_stored_and_answered_202(client, endpoint):
    answer = post(client, [push()])
    assert answer.status_code == 202
    assert answer.json() == {"stored": 1, "ignored": 0}
    event = Event.objects.get()
    assert (event.endpoint, event.action, event.repository, event.tag) == (endpoint, "push", "test/app", "v1")
    assert event.digest == DIGEST
    assert event.processed_at is None


def test_several_events_in_one_envelope_are_several_rows(client, endpoint):
    post(client, [push(), push(id="e2", target={"tag": "v2"}), push(id="e3", action="delete", target={"tag": None})])
    assert list(Event.objects.values_list("action", "tag")) == [("push", "v1"), ("push", "v2"), ("delete", "")]


def test_the_same_event_delivered_twice_is_stored_once(client, endpoint):
    post(client, [push()])
    assert post(client, [push()]).status_code == 202
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(push(target={"mediaType": LAYER, "tag": None}), id="a layer"),
        pytest.param(push(target={"tag": None}), id="a child of an index"),
        pytest.param(push(action="pull"), id="a pull"),
        pytest.param(push(request={"useragent": user_agent()}), id="our own write"),
        pytest.param(push(target={"repository": "Not A Name"}), id="an impossible repository"),
        pytest.param(push(target={"tag": "x" * 1_000_000}), id="a million-character tag"),
        pytest.param(push(target={"digest": "sha256:short"}), id="an impossible digest"),
        pytest.param(push(target={"repository": ["a"]}), id="a list for a name"),
        pytest.param({"action": "push"}, id="an event without a target"),
        pytest.param(push(id=""), id="an event without an id"),
        pytest.param("push", id="a string"),
        pytest.param(None, id="null"),
        pytest.param({"action": ["push"]}, id="a list for an action"),
    ],
)
def test_what_is_of_no_concern_is_ignored_without_a_complaint(client, endpoint, event):
    answer = post(client, [event, push(id="good")])
    assert answer.status_code == 202
    assert answer.json() == {"stored": 1, "ignored": 1}


def test_a_wrong_token_is_refused_and_nothing_is_stored(client, endpoint):
    answer = post(client, [push()], token="guessed")
    assert answer.status_code == 401
    assert "copy the URL" in answer.json()["errors"][0]["message"]
    assert not Event.objects.exists()


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"events": {}}', '"events"', "[" * 100_000, "\udcff"])
def test_a_body_that_is_no_envelope_is_a_clear_400(client, endpoint, body):
    answer = client.post(
        "/service/notifications/secret-token/", body.encode("utf-8", "surrogatepass"), content_type=TYPE
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "BAD_REQUEST"


def test_an_envelope_that_is_too_large_is_refused(client, endpoint, settings):
    settings.NOTIFICATION_MAX_BYTES = 100
    assert post(client, [push()]).status_code == 413


def test_an_envelope_just_below_the_limit_is_taken(client, endpoint, settings):
    padding = {"request": {"useragent": "x" * (settings.NOTIFICATION_MAX_BYTES - 1000)}}
    assert post(client, [push(**padding)]).status_code == 202


def test_a_get_is_not_allowed(client, endpoint):
    assert client.get("/service/notifications/secret-token/").status_code == 405


def test_accepting_an_envelope_costs_few_queries(client, endpoint, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        post(client, [push(id=f"e{i}", target={"tag": f"v{i}"}) for i in range(50)])


def test_a_nul_character_is_stored_as_nothing(client, endpoint):
    assert post(client, [push(actor={"name": "a\0b"})]).status_code == 202
    assert Event.objects.get().raw["actor"] == "ab"
