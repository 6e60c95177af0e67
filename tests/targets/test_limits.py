"""The gate of one endpoint: its window, its turns, its connections, its pauses. Time is told by the test."""

import threading
import time
from types import SimpleNamespace

import pytest
import redis

from registry import RateLimitedError, Stopped, Tally
from registry.gate import Lane
from registry.ratelimits import Pause
from targets.clients import connection_for
from targets.limits import EndpointGate, Limits, gate_for, ledger_name, limits_of
from targets.limits.broker import Broker
from targets.limits.ledger import Ledger
from targets.limits.window import FIRST_LIMIT, HIGHEST_LIMIT, SUCCESSES_PER_STEP, Window
from tests.factories import make_endpoint
from tests.servers import ValkeyServer

ATTEMPT = "Reading the tags of a/b"


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broker(valkey_server: ValkeyServer) -> Broker:
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return Broker(valkey_server.url)


def never() -> None:
    """No stop is asked for."""


def stop_now() -> None:
    raise Stopped


def make_gate(broker: Broker, clock: Clock, **limits) -> EndpointGate:
    ledger = Ledger("limits:1", broker, clock=clock)
    return EndpointGate(Limits(**limits), ledger, clock=clock, sleep=clock.sleep)


def enter(gate: EndpointGate, lane: Lane = Lane.SMALL, *, work: object | None = None, check_stop=never):
    return gate.enter(lane, attempt=ATTEMPT, work=work, check_stop=check_stop)


# The window.


def test_the_window_grows_by_one_per_fifty_successes_up_to_its_limit():
    window = Window()
    assert window.limit == FIRST_LIMIT
    for _ in range(SUCCESSES_PER_STEP):
        window.succeed()
    assert window.limit == FIRST_LIMIT + 1
    for _ in range(SUCCESSES_PER_STEP * 100):
        window.succeed()
    assert window.limit == HIGHEST_LIMIT


def test_the_window_halves_once_for_all_that_was_under_way_and_never_closes():
    window = Window()
    entered = [window.enter(Lane.SMALL, never) for _ in range(FIRST_LIMIT)]
    for halvings in entered:
        window.fail(halvings)
        window.leave(Lane.SMALL)
    assert window.limit == FIRST_LIMIT // 2
    for _ in range(10):
        window.fail(window.enter(Lane.SMALL, never))
        window.leave(Lane.SMALL)
    assert window.limit == 1
    assert window.enter(Lane.SMALL, never)


def test_a_full_lane_leaves_the_others_free_and_waits_for_a_place():
    window = Window()
    for _ in range(FIRST_LIMIT):
        window.enter(Lane.DOWNLOAD, never)
    window.enter(Lane.SMALL, never)
    window.enter(Lane.UPLOAD, never)
    with pytest.raises(Stopped):
        window.enter(Lane.DOWNLOAD, stop_now)
    entered = threading.Event()
    thread = threading.Thread(target=lambda: (window.enter(Lane.DOWNLOAD, never), entered.set()))
    thread.start()
    window.leave(Lane.DOWNLOAD)
    assert entered.wait(10)
    thread.join()


@pytest.mark.parametrize(
    ("status", "is_trouble"), [(200, False), (404, False), (429, True), (503, True), (500, True), (507, False)]
)
def test_trouble_narrows_the_window(broker, clock, status, is_trouble):
    gate = make_gate(broker, clock)
    enter(gate).hear(status, {})
    assert gate.window.limit == (FIRST_LIMIT // 2 if is_trouble else FIRST_LIMIT)


def test_no_answer_in_time_narrows_the_window(broker, clock):
    gate = make_gate(broker, clock)
    enter(gate).miss()
    assert gate.window.limit == FIRST_LIMIT // 2


def test_an_answer_that_nobody_closed_costs_no_place_for_ever(broker, clock):
    gate = make_gate(broker, clock)
    for _ in range(FIRST_LIMIT * 3):
        enter(gate)


# What the registry asks for.


def test_a_long_pause_sends_everybody_away_and_says_why_and_until_when(broker, clock):
    gate = make_gate(broker, clock)
    work = Tally()
    enter(gate, work=work).hear(429, {"Retry-After": "30"})
    with pytest.raises(RateLimitedError, match=r"a/b: waiting until \S+ \S+ UTC, because the registry asked") as raised:
        enter(gate, work=work)
    assert raised.value.retry_after_seconds == pytest.approx(30)
    assert clock.slept == 0


def test_a_short_pause_is_slept_through_with_an_eye_on_the_stop_flag(broker, clock):
    gate = make_gate(broker, clock)
    gate.ledger.remember(Pause(0.7, "it said so"))
    with pytest.raises(Stopped):
        enter(gate, check_stop=stop_now)
    enter(gate)
    assert clock.slept == pytest.approx(0.7)


def test_an_upload_session_is_given_up_even_in_a_pause(broker, clock):
    gate = make_gate(broker, clock)
    gate.ledger.remember(Pause(60, "it said so"))
    enter(gate, Lane.CLEARING).leave()


def test_used_up_pulls_are_a_pause_before_the_first_refusal(broker, clock):
    gate = make_gate(broker, clock)
    enter(gate).hear(200, {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600"})
    with pytest.raises(RateLimitedError, match="0 of 100 pulls in 6 h are left"):
        enter(gate)


def test_another_process_learns_of_a_pause_within_a_second(broker, clock):
    first, second = make_gate(broker, clock), make_gate(broker, clock)
    enter(second)
    first.ledger.remember(Pause(30, "it said so"))
    clock.now += 1.0
    with pytest.raises(RateLimitedError, match="it said so"):
        enter(second)


def test_a_shorter_pause_does_not_end_a_longer_one(broker, clock):
    gate = make_gate(broker, clock)
    gate.ledger.remember(Pause(300, "long"))
    gate.ledger.remember(Pause(5, "short"))
    for ledger in (gate.ledger, Ledger("limits:1", broker, clock=clock)):
        pause = ledger.pause()
        assert pause is not None
        assert (pause.why, round(pause.seconds)) == ("long", 300)


def test_without_limits_redis_is_asked_once_a_second_at_most(broker, clock, valkey_server):
    gate = make_gate(broker, clock)

    def commands() -> int:
        with redis.Redis.from_url(valkey_server.url) as client:
            return int(client.info("commandstats")["cmdstat_get"]["calls"])

    enter(gate)
    before = commands()
    for _ in range(1000):
        enter(gate).leave()
    assert commands() == before
    clock.now += 1.0
    enter(gate)
    assert commands() == before + 1


# Turns.


def test_turns_come_at_the_rate(broker, clock):
    ledger = make_gate(broker, clock).ledger
    waits = [ledger.take_turn(requests_per_second=10, longest_wait_seconds=None) for _ in range(31)]
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert 1.5 < waits[-1] <= 2.9


def refusals(gate: EndpointGate, attempts: int) -> list[RateLimitedError]:
    """Let new pieces of work try one after another; return the errors of those that were sent away."""
    found = []
    for _ in range(attempts):
        try:
            enter(gate, work=Tally())
        except RateLimitedError as error:
            found.append(error)
    return found


def test_new_work_is_sent_away_when_its_turn_is_far_and_returns_one_after_another(broker, clock):
    errors = refusals(make_gate(broker, clock, requests_per_second=1), 6)
    seconds = [error.retry_after_seconds for error in errors]
    assert len(seconds) >= 3
    assert seconds == sorted(seconds)
    assert seconds[0] > 1
    assert clock.slept < 2
    assert "because its limit of 1 requests per second is used up" in errors[0].message


def test_the_queue_of_those_sent_away_ends_after_a_minute(broker, clock):
    errors = refusals(make_gate(broker, clock, requests_per_second=1), 100)
    seconds = [error.retry_after_seconds for error in errors]
    assert max(seconds) <= 60
    assert min(seconds[-10:]) >= 30
    assert len(set(seconds[-10:])) > 1


def test_work_under_way_waits_for_its_turn(broker, clock):
    gate = make_gate(broker, clock, requests_per_second=1)
    work = Tally()
    for _ in range(5):
        enter(gate, work=work)
    assert clock.slept > 3


def test_a_stop_ends_the_wait_for_a_turn(broker, clock):
    gate = make_gate(broker, clock, requests_per_second=1)
    work = Tally()
    enter(gate, work=work)
    with pytest.raises(Stopped):
        enter(gate, work=work, check_stop=stop_now)
    assert clock.slept == 0


# Bytes.


def test_bytes_pass_at_the_rate_in_small_steps(broker, clock):
    gate = make_gate(broker, clock, bytes_per_second=80_000)
    permit = enter(gate, Lane.DOWNLOAD)
    assert permit.block_bytes == 10_000
    for _ in range(20):
        permit.await_bytes(10_000)
    assert clock.slept > 2
    assert enter(gate, Lane.SMALL).block_bytes is None


@pytest.mark.parametrize(("rate", "block_bytes"), [(125, 1024), (10**9, 1 << 20)])
def test_steps_are_neither_tiny_nor_huge(broker, clock, rate, block_bytes):
    assert enter(make_gate(broker, clock, bytes_per_second=rate), Lane.UPLOAD).block_bytes == block_bytes


# Connections.


def test_no_more_connections_than_allowed_and_one_is_kept_for_small_requests(broker, clock):
    ledger = make_gate(broker, clock).ledger
    assert ledger.lease(Lane.DOWNLOAD, "a", connections=3)
    assert ledger.lease(Lane.UPLOAD, "b", connections=3)
    assert not ledger.lease(Lane.DOWNLOAD, "c", connections=3)
    assert ledger.lease(Lane.SMALL, "d", connections=3)
    assert not ledger.lease(Lane.SMALL, "e", connections=3)
    ledger.release(Lane.UPLOAD, "b")
    assert ledger.lease(Lane.DOWNLOAD, "c", connections=3)


def test_uploads_leave_a_connection_for_the_downloads_they_wait_for(broker, clock):
    ledger = make_gate(broker, clock).ledger
    assert ledger.lease(Lane.UPLOAD, "a", connections=2)
    assert not ledger.lease(Lane.UPLOAD, "b", connections=2)
    assert ledger.lease(Lane.DOWNLOAD, "c", connections=2)


def test_new_work_without_a_connection_is_sent_away_and_gets_one_later(broker, clock):
    gate = make_gate(broker, clock, connections=1)
    held = enter(gate, Lane.UPLOAD)
    with pytest.raises(RateLimitedError, match="its limit of 1 connections is used up") as raised:
        enter(gate, work=Tally())
    assert 5 <= raised.value.retry_after_seconds <= 15
    assert clock.slept < 2
    held.leave()
    held.leave()
    enter(gate, work=Tally()).leave()


def test_a_connection_on_which_bytes_move_is_kept(broker, clock):
    gate = make_gate(broker, clock, connections=1)
    permit = enter(gate, Lane.DOWNLOAD)
    for _ in range(20):
        clock.now += 20
        permit.await_bytes(permit.block_bytes)
    assert not gate.ledger.lease(Lane.DOWNLOAD, "other", connections=1)


def test_a_lease_that_nobody_renews_runs_out(broker):
    ledger = Ledger("limits:1", broker, lease_seconds=0.4)
    assert ledger.lease(Lane.UPLOAD, "dead", connections=1)
    assert not ledger.lease(Lane.UPLOAD, "next", connections=1)
    end = time.monotonic() + 20
    while not ledger.lease(Lane.UPLOAD, "next", connections=1):
        assert time.monotonic() < end
        time.sleep(0.05)


# Redis away.


def test_without_redis_there_are_no_limits_one_warning_and_no_error(clock, caplog):
    broker = Broker("redis://127.0.0.1:9/0", clock=clock)
    gate = make_gate(broker, clock, connections=1, requests_per_second=1, bytes_per_second=1000)
    for _ in range(50):
        permit = enter(gate, Lane.UPLOAD, work=Tally())
        permit.await_bytes(1_000_000)
        clock.now += 1
        permit.leave()
    assert [record.levelname for record in caplog.records if "limits." in record.message] == ["WARNING"]
    assert clock.slept == 0


def test_without_redis_a_process_still_keeps_the_pause_that_it_was_told(clock):
    gate = make_gate(Broker("redis://127.0.0.1:9/0", clock=clock), clock)
    enter(gate).hear(429, {"Retry-After": "30"})
    with pytest.raises(RateLimitedError):
        enter(gate)
    clock.now += 30
    enter(gate)


def test_limits_hold_again_when_redis_is_back(clock, tmp_path):
    server = ValkeyServer(tmp_path)
    server.start()
    broker = Broker(server.url, clock=clock)
    gate = make_gate(broker, clock, connections=1)
    enter(gate).leave()
    server.stop()
    held = [enter(gate), enter(gate)]
    server.start()
    try:
        clock.now += 6
        with pytest.raises(RateLimitedError):
            held += [enter(gate), enter(gate)]
    finally:
        server.stop()


# From the row.


@pytest.mark.django_db
def test_a_row_says_the_limits():
    endpoint = make_endpoint(max_connections=4, requests_per_second=20, kilobits_per_second=8)
    assert limits_of(endpoint) == Limits(connections=4, requests_per_second=20, bytes_per_second=1024)
    assert limits_of(make_endpoint()) == Limits()


@pytest.mark.django_db
def test_a_connection_keeps_the_limits_that_the_row_has_now():
    endpoint = make_endpoint()
    first = connection_for(endpoint)
    assert first.gate is gate_for(endpoint)
    endpoint.requests_per_second = 5
    assert connection_for(endpoint) is first
    assert first.gate.limits == Limits(requests_per_second=5)


def test_each_account_and_address_is_counted_by_itself():
    row = {"pk": 7, "url": "https://registry.test", "access_key": "robot"}
    names = {ledger_name(SimpleNamespace(**{**row, **change})) for change in ({}, {"access_key": "x"}, {"url": "y"})}
    assert len(names) == 3
    assert "robot" not in "".join(names)
