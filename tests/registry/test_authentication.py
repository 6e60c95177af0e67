"""Logging in, against the in-memory registry and its token server."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import AuthError, DeniedError, NotFoundError, ProtocolError, RateLimitedError, Tally
from registry.media import Descriptor
from registry.scopes import Scope, pull, push
from registry.testkit import Fault, MemoryRegistry, digest_of, known_faults
from registry.tokens import Token, make_token

LOGIN = {"username": "alice", "password": "wonder-land"}


@pytest.fixture
def bearer():
    with MemoryRegistry(auth="bearer", **LOGIN) as registry:
        registry.add_image("team/app", "1")
        yield registry


def token_requests(registry):
    return [request for request in registry.requests if "token" in request.path]


def test_basic_credentials_are_sent_once_they_are_demanded(make_client):
    with MemoryRegistry(auth="basic", **LOGIN) as registry:
        client = make_client(registry, **LOGIN)

        client.ping()
        client.ping()

        assert [request.status for request in registry.requests] == [401, 200, 200]
        assert "authorization" not in registry.requests[0].headers


def test_a_wrong_password_is_told_as_such_and_not_tried_again(make_client):
    with MemoryRegistry(auth="basic", **LOGIN) as registry:
        client = make_client(registry, username="alice", password="wrong-one")

        with pytest.raises(AuthError) as caught:
            client.ping()

        assert "wrong-one" not in str(caught.value)
        assert len(registry.requests) == 2


def test_a_registry_that_wants_a_login_says_so_to_nobody_in_particular(make_client):
    with MemoryRegistry(auth="basic", **LOGIN) as registry, pytest.raises(AuthError, match="user name and password"):
        make_client(registry).ping()


def test_what_is_public_can_be_read_though_something_else_was_not(make_client):
    with MemoryRegistry() as registry:
        registry.add_image("team/app", "1")
        headers = {"WWW-Authenticate": 'Basic realm="x"'}
        registry.faults.add(Fault(path_pattern="_catalog", status=401, headers=headers, times=None))
        client = make_client(registry)

        with pytest.raises(AuthError):
            list(client.repositories())
        assert client.tags("team/app") == ["1"]


def test_one_token_serves_all_requests_of_a_scope(bearer, make_client):
    client = make_client(bearer, **LOGIN)

    for _ in range(5):
        client.tags("team/app")

    assert len(token_requests(bearer)) == 1


def test_each_repository_has_a_token_of_its_own(bearer, make_client):
    bearer.add_image("team/other", "1")
    client = make_client(bearer, **LOGIN)

    client.tags("team/app")
    client.tags("team/other")

    queries = [request.query for request in token_requests(bearer)]
    assert all(query.count("scope=") == 1 for query in queries)
    assert len(queries) == 2


def test_many_threads_fetch_one_token(bearer, make_client):
    client = make_client(bearer, **LOGIN)
    client.ping()
    already = len(token_requests(bearer))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.tags("team/app"), range(24)))

    assert len(token_requests(bearer)) == already + 1


def test_a_token_that_was_revoked_is_renewed(bearer, make_client):
    client = make_client(bearer, **LOGIN)
    client.tags("team/app")

    bearer.expire_tokens()

    assert client.tags("team/app") == ["1"]


def test_a_wrong_password_at_the_token_server_is_an_auth_error(bearer, make_client):
    with pytest.raises(AuthError, match="user name or password is wrong"):
        make_client(bearer, username="alice", password="x").tags("team/app")


def test_a_missing_right_is_denied_and_not_a_wrong_password(make_client):
    with MemoryRegistry(auth="bearer", grants={"team/*": ["pull"]}, **LOGIN) as registry:
        registry.add_image("team/app", "1")
        client = make_client(registry, **LOGIN)
        content = b"layer"

        with pytest.raises(DeniedError):
            client.upload_blob("team/app", Descriptor("x/y", digest_of(content), len(content)), [content])


def test_a_token_without_the_push_right_is_noticed_before_any_upload_is_opened(make_client):
    with MemoryRegistry(auth="bearer", grants={"team/*": ["pull"]}, **LOGIN) as registry:
        registry.add_image("team/app", "1")
        client = make_client(registry, **LOGIN)
        client.tags("team/app")
        content = b"layer"

        with pytest.raises(DeniedError, match="may not push"):
            client.upload_blob("team/app", Descriptor("x/y", digest_of(content), len(content)), [content])

        assert registry.requests_for("POST", "/blobs/uploads/") == []


def test_without_a_user_name_an_anonymous_token_is_used(make_client):
    with MemoryRegistry(auth="bearer", anonymous_actions=["pull"], **LOGIN) as registry:
        registry.add_image("team/app", "1")

        assert make_client(registry).tags("team/app") == ["1"]
        assert all("authorization" not in request.headers for request in token_requests(registry))


def test_what_anonymous_may_not_do_asks_for_a_login(make_client):
    with MemoryRegistry(auth="bearer", anonymous_actions=["push"], **LOGIN) as registry:
        registry.add_image("team/app", "1")

        with pytest.raises(AuthError, match="no user name is set"):
            make_client(registry).tags("team/app")


def test_a_token_server_that_serves_no_strangers_asks_for_a_login(bearer, make_client):
    with pytest.raises(AuthError, match="demands a user name and password"):
        make_client(bearer).tags("team/app")


def test_a_401_without_challenge_falls_back_to_the_one_of_the_root(bearer, make_client):
    bearer.faults.add(known_faults.unauthorized_without_challenge(1))
    client = make_client(bearer, **LOGIN)

    assert client.head_manifest("team/app", "1") is not None


def test_a_401_that_never_says_how_to_log_in_is_an_auth_error(make_client):
    with MemoryRegistry() as registry:
        registry.faults.add(Fault(path_pattern="/v2/", status=401, times=None))

        with pytest.raises(AuthError, match="without saying how"):
            make_client(registry, **LOGIN).tags("team/app")


def test_a_demand_for_another_scope_is_answered_with_exactly_that_scope(bearer, make_client):
    challenge = (
        f'Bearer realm="{bearer.url}/token",service="x",error="insufficient_scope",'
        'scope="repository:team/app:pull,push"'
    )
    client = make_client(bearer, **LOGIN)
    client.tags("team/app")
    bearer.faults.add(Fault(path_pattern="tags/list", status=401, headers={"WWW-Authenticate": challenge}))

    assert client.tags("team/app") == ["1"]
    assert "push" in token_requests(bearer)[-1].query


def test_an_identity_token_is_exchanged_by_post(make_client):
    with MemoryRegistry(auth="bearer", refresh_token="refresh-me", **LOGIN) as registry:
        registry.add_image("team/app", "1")
        client = make_client(registry, username="<token>", password="refresh-me")

        assert client.tags("team/app") == ["1"]
        assert token_requests(registry)[0].method == "POST"
        assert all("refresh-me" not in request.query for request in registry.requests)


def test_a_token_server_without_oauth_is_asked_by_get(make_client):
    login = {"username": "<token>", "password": "secret"}
    with MemoryRegistry(auth="bearer", **login) as registry:
        registry.add_image("team/app", "1")
        registry.faults.add(Fault(method="POST", path_pattern="token", status=404, times=None))

        assert make_client(registry, **login).tags("team/app") == ["1"]


@pytest.mark.parametrize(
    ("realm", "reason"),
    [
        ("http://169.254.169.254/token", "internal address"),
        ("ftp://tokens.test/", "not http"),
        ("http://[broken/", "none"),
    ],
)
def test_credentials_are_not_sent_to_a_realm_no_registry_should_name(make_client, realm, reason):
    with MemoryRegistry() as registry:
        headers = {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}
        registry.faults.add(Fault(status=401, headers=headers, times=None))

        with pytest.raises(ProtocolError, match=reason):
            make_client(registry, **LOGIN).tags("team/app")


def test_a_relative_realm_is_resolved(bearer, make_client):
    path = "/" + next(iter_realm(bearer))
    bearer.faults.add(
        Fault(path_pattern="tags/list", status=401, headers={"WWW-Authenticate": f'Bearer realm="{path}",service="x"'})
    )

    assert make_client(bearer, **LOGIN).tags("team/app") == ["1"]


def iter_realm(registry):
    """Give the path of the registry's own token server."""
    scope_less = registry.access.challenge(registry.url, None)
    yield next(iter(scope_less.values())).split('realm="')[1].split('"')[0].removeprefix(registry.url).lstrip("/")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "a\\nb"}', b"<html>"])
def test_an_answer_without_a_token_is_a_protocol_error(bearer, make_client, body):
    bearer.faults.add(Fault(path_pattern="token", status=200, body=body, times=None))

    with pytest.raises(ProtocolError):
        make_client(bearer, **LOGIN).tags("team/app")


def test_a_busy_token_server_is_a_rate_limit_with_its_pause(bearer, make_client):
    bearer.faults.add(known_faults.rate_limited(None, retry_after="7", pattern="token"))

    with pytest.raises(RateLimitedError) as caught:
        make_client(bearer, **LOGIN).tags("team/app")
    assert caught.value.retry_after_seconds == 7


def test_credentials_do_not_follow_a_redirect_to_another_origin(make_client):
    with MemoryRegistry(auth="basic", **LOGIN) as registry, MemoryRegistry() as elsewhere:
        registry.add_image("team/app", "1")
        elsewhere.add_image("team/app", "1")
        client = make_client(registry, **LOGIN)
        client.ping()
        location = {"Location": f"{elsewhere.url}/v2/team/app/manifests/1"}
        registry.faults.add(Fault(method="GET", path_pattern="manifests", status=307, headers=location))

        client.get_manifest("team/app", "1")

        assert "authorization" in registry.requests[-1].headers
        assert "authorization" not in elsewhere.requests[-1].headers


def test_token_requests_are_counted(bearer, make_client):
    tally = Tally()

    make_client(bearer, tally=tally, **LOGIN).tags("team/app")

    assert tally.total_requests == len(bearer.requests) == 3
    assert tally.requests == {"GET": 3}


def test_unknown_repositories_are_not_found_and_not_denied(bearer, make_client):
    with pytest.raises(NotFoundError):
        make_client(bearer, **LOGIN).tags("team/nothing")


@pytest.mark.parametrize(("life_seconds", "good_seconds"), [(60, 30), (300, 270), (3600, 3240), (10, 5), (1, 0.5)])
def test_tokens_are_given_up_early(life_seconds, good_seconds):
    token = make_token("x", life_seconds=life_seconds, now=1000.0)

    assert not token.is_stale(1000.0 + good_seconds - 0.01)
    assert token.is_stale(1000.0 + good_seconds)


def test_opaque_tokens_say_nothing_about_what_they_grant():
    assert Token("opaque", 0).actions_on("repository:a/b:pull") is None
    assert Token("a.%%%.c", 0).actions_on("repository:a/b:pull") is None


def test_the_target_stands_first_in_the_scope_of_a_mount():
    assert push("target").and_pull("source").entries == ("repository:target:pull,push", "repository:source:pull")
    assert Scope.parse("repository:a:pull repository:b:pull") == Scope((*pull("a").entries, *pull("b").entries))


def test_a_token_does_not_show_its_value():
    assert "secret" not in repr(Token("secret", 0))


def test_a_fork_in_the_middle_of_a_token_request_leaves_no_lock_behind(bearer, make_client):
    client = make_client(bearer, **LOGIN)
    client.tags("team/app")
    held = threading.Lock()
    held.acquire()
    client.connection.authenticator._lock = held

    client.connection.forget_sockets()

    bearer.expire_tokens()
    assert client.tags("team/app") == ["1"]
