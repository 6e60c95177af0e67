"""A token server that wants to be left alone is left alone by all workers, as the registry itself is."""

from collections.abc import Callable, Iterator

import pytest

from registry import Connection, PausedError, RateLimitedError, RegistryClient, RegistrySettings
from registry.testkit import MemoryRegistry, known_faults
from tests.targets.limiting import Clock, enter, make_gate

LOGIN = {"username": "robot", "password": "secret"}
TOKENS = "token"


@pytest.fixture
def registry() -> Iterator[MemoryRegistry]:
    with MemoryRegistry(auth="bearer", **LOGIN) as bearer:
        for name in ("a/one", "a/two", "a/three"):
            bearer.add_image(name, "v1")
        yield bearer


@pytest.fixture
def worker(registry, broker, clock) -> Callable[..., RegistryClient]:
    """Make a client of a process of its own: `worker(windows=…)`."""

    def make(**limits) -> RegistryClient:
        connection = Connection(RegistrySettings(url=registry.url, **LOGIN))
        connection.gate = make_gate(broker, clock, **limits)
        return RegistryClient(connection)

    return make


def token_requests(registry: MemoryRegistry) -> int:
    return sum(TOKENS in request.path for request in registry.requests)


def test_what_a_token_server_asked_for_is_kept_by_all_workers(registry, worker, clock: Clock):
    first, second = worker(), worker()
    assert second.tags("a/three") == ["v1"]
    registry.faults.add(known_faults.rate_limited(1, retry_after="90", pattern=TOKENS))
    with pytest.raises(RateLimitedError):
        first.tags("a/one")
    asked = token_requests(registry)

    clock.now += 1
    said = "the token server asked for 90 s"
    for client in (first, second):
        with pytest.raises(RateLimitedError, match=said) as raised:
            client.tags("a/two")
        assert 80 < raised.value.retry_after_seconds <= 90
    assert token_requests(registry) == asked
    assert clock.slept == 0


def test_the_registry_itself_may_be_asked_by_tokens_that_are_there(registry, worker):
    client = worker()
    assert client.tags("a/three") == ["v1"]
    registry.faults.add(known_faults.rate_limited(1, retry_after="90", pattern=TOKENS))
    with pytest.raises(RateLimitedError):
        client.tags("a/one")
    assert client.tags("a/three") == ["v1"]


@pytest.mark.parametrize("why", ["window", "pause"])
def test_no_token_is_asked_for_that_could_not_be_used(registry, worker, why):
    client = worker(windows="13:00-14:00 pause")
    assert client.tags("a/three") == ["v1"]
    asked = len(registry.requests)
    gate = client.connection.gate
    if why == "window":
        gate._sleep(3600)
    else:
        enter(gate).hear(429, {"Retry-After": "90"})
    with pytest.raises(PausedError if why == "window" else RateLimitedError, match="Asking for a token"):
        client.tags("a/one")
    assert len(registry.requests) == asked


def test_tokens_cost_no_turn(registry, worker, clock):
    client = worker(requests_per_second=1)
    assert client.tags("a/one") == ["v1"]
    assert token_requests(registry) >= 1
