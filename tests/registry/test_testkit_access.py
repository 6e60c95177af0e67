"""Basic credentials, the Bearer token server and notifications of the in-memory registry."""

import base64
import json
import re

import pytest
import requests

from registry.testkit import MemoryRegistry
from registry.testkit.images import OCI_MANIFEST
from tests.servers.listener import Listener

ACCEPT = {"Accept": OCI_MANIFEST}


def ask_token(registry, scope, *, auth=("robot", "secret")):
    return requests.get(f"{registry.url}/token", params={"service": "memory-registry", "scope": scope}, auth=auth)


def bearer(token):
    return {**ACCEPT, "Authorization": f"Bearer {token}"}


@pytest.fixture
def registry():
    with MemoryRegistry(auth="bearer", username="robot", password="secret") as registry:
        registry.add_image("library/nginx", "1.27")
        yield registry


def test_basic_credentials_are_asked_for_and_checked():
    with MemoryRegistry(auth="basic", username="robot", password="secret") as registry:
        refused = requests.get(f"{registry.url}/v2/")
        assert (refused.status_code, refused.headers["WWW-Authenticate"][:5]) == (401, "Basic")
        assert requests.get(f"{registry.url}/v2/", auth=("robot", "wrong")).status_code == 401
        assert requests.get(f"{registry.url}/v2/", auth=("robot", "secret")).status_code == 200


def test_the_challenge_names_what_the_request_needs(registry):
    answer = requests.get(f"{registry.url}/v2/library/nginx/manifests/1.27", headers=ACCEPT)
    parts = dict(re.findall(r'(\w+)="([^"]*)"', answer.headers["WWW-Authenticate"]))
    assert parts == {
        "realm": f"{registry.url}/token",
        "service": "memory-registry",
        "scope": "repository:library/nginx:pull",
    }


def test_a_token_opens_what_it_was_asked_for_and_nothing_else(registry):
    token = ask_token(registry, "repository:library/nginx:pull").json()["token"]
    url = f"{registry.url}/v2/library/nginx"
    assert requests.get(f"{url}/manifests/1.27", headers=bearer(token)).status_code == 200
    refused = requests.post(f"{url}/blobs/uploads/", headers=bearer(token))
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]


def test_wrong_credentials_get_no_token(registry):
    assert ask_token(registry, "repository:a:pull", auth=("robot", "wrong")).status_code == 401
    assert ask_token(registry, "repository:a:pull", auth=None).status_code == 401


def test_a_token_server_may_grant_less_than_was_asked():
    options = {"auth": "bearer", "username": "robot", "password": "secret"}
    with MemoryRegistry(**options, grants={"library/*": ["pull"]}) as registry:
        token = ask_token(registry, "repository:library/nginx:pull,push").json()["token"]
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert claims["access"] == [{"type": "repository", "name": "library/nginx", "actions": ["pull"]}]


def test_anonymous_pulls_where_they_are_allowed():
    options = {"auth": "bearer", "username": "robot", "password": "secret"}
    with MemoryRegistry(**options, anonymous_actions=["pull"]) as registry:
        registry.add_image("a", "v1")
        token = ask_token(registry, "repository:a:pull,push", auth=None).json()["token"]
        assert requests.get(f"{registry.url}/v2/a/manifests/v1", headers=bearer(token)).status_code == 200
        assert requests.post(f"{registry.url}/v2/a/blobs/uploads/", headers=bearer(token)).status_code == 401


def test_tokens_can_be_made_to_expire(registry):
    token = ask_token(registry, "repository:library/nginx:pull").json()["token"]
    registry.expire_tokens()
    answer = requests.get(f"{registry.url}/v2/library/nginx/tags/list", headers=bearer(token))
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_refresh_token_is_taken_by_post_only_where_there_is_one(registry):
    form = {"grant_type": "refresh_token", "refresh_token": "abc", "scope": "repository:library/nginx:pull"}
    assert requests.post(f"{registry.url}/token", data=form).status_code == 404
    registry.access.refresh_token = "abc"
    token = requests.post(f"{registry.url}/token", data=form).json()["access_token"]
    assert requests.get(f"{registry.url}/v2/library/nginx/tags/list", headers=bearer(token)).status_code == 200


def test_a_mount_from_a_repository_without_pull_right_becomes_a_session(registry):
    digest = registry.add_blob("secret/base", b"layer")
    token = ask_token(registry, "repository:app:pull,push").json()["token"]
    url = f"{registry.url}/v2/app/blobs/uploads/?mount={digest}&from=secret/base"
    assert requests.post(url, headers=bearer(token)).status_code == 202


@pytest.fixture
def listener():
    with Listener() as listener:
        yield listener


def put_manifest(registry, tag):
    digest = registry.add_image("app", None)
    requests.put(
        f"{registry.url}/v2/app/manifests/{tag}",
        data=registry.manifests("app")[digest].content,
        headers={"Content-Type": OCI_MANIFEST, "User-Agent": "tester/1"},
    )
    return digest


def test_a_push_is_notified_with_headers_digest_tag_and_user_agent(listener):
    with MemoryRegistry(notify_url=listener.url, notify_headers={"Authorization": "Bearer t"}) as registry:
        digest = put_manifest(registry, "v1")
        assert registry.wait_for_notifications()
    [(headers, envelope)] = listener.received
    assert headers["Authorization"] == "Bearer t"
    [event] = envelope["events"]
    assert (event["action"], event["request"]["useragent"]) == ("push", "tester/1")
    assert event["target"]["repository"] == "app"
    assert (event["target"]["tag"], event["target"]["digest"]) == ("v1", digest)


def test_a_deletion_is_notified_with_digest_and_repository_only(listener):
    with MemoryRegistry(notify_url=listener.url) as registry:
        digest = registry.add_image("app", "v1")
        requests.delete(f"{registry.url}/v2/app/manifests/{digest}")
        assert registry.wait_for_notifications()
    assert [event["target"] for event in listener.events] == [{"repository": "app", "digest": digest}]


def test_a_notification_is_sent_again_until_it_is_taken(listener):
    listener.refusals = 2
    with MemoryRegistry(notify_url=listener.url) as registry:
        put_manifest(registry, "v1")
        assert registry.wait_for_notifications()
    assert len(listener.events) == 1
