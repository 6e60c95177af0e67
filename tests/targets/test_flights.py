"""Claims that are held are renewed, by whoever is alive to do so."""

import os
import threading
import time

import pytest
import redis

from registry.copying import Standing
from registry.digests import digest_of
from targets import flights as module
from targets.flights import Flights
from targets.limits.broker import Broker
from targets.memory import SharedMemory

NAME = "harborsync:content:1:test"
A = digest_of(b"a")
KEY = f"{NAME}:flight:{A}"


@pytest.fixture
def client(broker, valkey_server):
    """Look into Valkey itself."""
    with redis.Redis.from_url(valkey_server.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def flights(monkeypatch):
    """Begin as a new process does: the thread of an earlier test may sleep through this one."""
    fresh = Flights()
    monkeypatch.setattr("targets.memory.flights", fresh)
    monkeypatch.setattr(module, "flights", fresh)
    return fresh


@pytest.fixture
def memory(broker, flights):
    """Give the memory of this process; what it holds is given up in the end."""
    memory = SharedMemory(NAME, broker)
    yield memory
    memory.release([A])


def await_that(condition, *, seconds=10.0):
    """Wait until something is so; fail when it takes too long."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.01)


def test_a_claim_is_renewed_while_it_is_held(memory, client, settings):
    settings.LEASE_SECONDS = 0.6
    memory.claim("app", [A])
    began = time.monotonic()
    left_before = client.pttl(KEY)

    # Longer than it could be without anybody renewing it, and that for more than one lease.
    await_that(lambda: client.pttl(KEY) > left_before - (time.monotonic() - began) * 1000 + 100)
    await_that(lambda: time.monotonic() > began + 1.5)
    assert client.exists(KEY)


def test_a_claim_that_was_given_up_is_followed_no_more(memory, flights, client, settings):
    settings.LEASE_SECONDS = 0.3
    memory.claim("app", [A])
    memory.release([A])
    client.set(KEY, "somebody else's by now", px=60_000)

    await_that(lambda: flights._thread is None)
    assert client.get(KEY) == "somebody else's by now"
    assert client.pttl(KEY) > 1000


def test_a_claim_that_was_lost_is_not_renewed_for_its_new_holder(memory, client, settings):
    settings.LEASE_SECONDS = 0.3
    memory.claim("app", [A])
    client.set(KEY, "somebody else's by now", px=60_000)
    evals = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    await_that(lambda: client.info("commandstats")["cmdstat_evalsha"]["calls"] > evals + 1)
    assert client.pttl(KEY) > 1000  # renewed it would have been cut to a lease


def test_the_claim_of_a_dead_worker_runs_out(memory, flights, client, valkey_server, settings):
    settings.LEASE_SECONDS = 0.3
    memory.claim("app", [A])
    flights.leave([KEY])  # as its process is gone, nobody renews it

    another = SharedMemory(NAME, Broker(valkey_server.url))
    assert another.claim("app", [A])[A].standing is Standing.ELSEWHERE
    await_that(lambda: another.claim("app", [A])[A].standing is Standing.UNKNOWN)
    another.release([A])


def test_without_redis_following_does_no_harm(settings):
    settings.LEASE_SECONDS = 0.03
    following = Flights()
    following.follow(Broker("redis://127.0.0.1:1/0"), [KEY], "token")
    thread = following._thread
    assert thread is not None

    following.leave([KEY])

    thread.join(10)
    assert not thread.is_alive()


def test_following_begins_again_after_it_had_ended(broker, client, settings):
    settings.LEASE_SECONDS = 0.03
    following = Flights()
    following.follow(broker, [KEY], "token")
    following.leave([KEY])
    await_that(lambda: following._thread is None)
    settings.LEASE_SECONDS = 60
    client.set(KEY, "token", px=5_000)

    following.follow(broker, [KEY], "token")
    settings.LEASE_SECONDS = 0.03
    await_that(lambda: -2 < client.pttl(KEY) < 1_000)
    following.leave([KEY])


def test_after_a_fork_the_child_follows_nothing(memory, flights):
    memory.claim("app", [A])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = f"{len(flights._held)} {flights._thread}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        assert told.read() == "0 None"
    assert KEY in flights._held


def test_who_waits_for_a_blob_of_this_process_is_woken_when_it_has_landed(memory, broker):
    memory.claim("app", [A])
    other = SharedMemory(NAME, broker)
    assert other.claim("app", [A])[A].standing is Standing.ELSEWHERE
    threading.Timer(0.1, memory.landed, ("app", [A])).start()
    began = time.monotonic()

    other.await_end(A, 30)

    assert time.monotonic() - began < 20
    assert other.claim("app", [A])[A].standing is Standing.PRESENT


def test_who_waits_for_a_blob_of_another_process_waits_as_long_as_he_said(flights, broker):
    began = time.monotonic()

    SharedMemory(NAME, broker).await_end(A, 0.2)

    assert time.monotonic() - began >= 0.2
