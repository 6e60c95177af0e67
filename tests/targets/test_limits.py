"""The limits of one endpoint: turns, bytes, connections, and what remains of them without Redis."""

import time
from types import SimpleNamespace

import pytest

from harborsync.lib.timetable import Timetable
from registry import RateLimitedError, Stopped, Tally
from registry.gate import Lane
from targets.clients import connection_for
from targets.limits import EndpointGate, Limits, gate_for, ledger_name, limits_of
from targets.limits.broker import Broker
from targets.limits.ledger import Ledger
from tests.factories import make_endpoint
from tests.servers import ValkeyServer
from tests.targets.limiting import enter, make_gate, stop_now


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
    assert "the requests per second set for this registry (1) are used up" in errors[0].message


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


def test_bytes_pass_at_the_rate_in_small_steps(broker, clock):
    gate = make_gate(broker, clock, kilobits=625)
    permit = enter(gate, Lane.DOWNLOAD)
    assert permit.block_bytes == 10_000
    for _ in range(20):
        permit.await_bytes(10_000)
    assert clock.slept > 2
    assert enter(gate, Lane.SMALL).block_bytes is None


@pytest.mark.parametrize(("rate", "block_bytes"), [(1, 1024), (10**7, 1 << 20)])
def test_steps_are_neither_tiny_nor_huge(broker, clock, rate, block_bytes):
    assert enter(make_gate(broker, clock, kilobits=rate), Lane.UPLOAD).block_bytes == block_bytes


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
    with pytest.raises(RateLimitedError, match=r"the connections set for this registry \(1\) are all in use") as raised:
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


def test_without_redis_there_are_no_limits_one_warning_and_no_error(clock, caplog):
    broker = Broker("redis://127.0.0.1:9/0", clock=clock)
    gate = make_gate(broker, clock, connections=1, requests_per_second=1)
    for _ in range(50):
        permit = enter(gate, Lane.UPLOAD, work=Tally())
        permit.await_bytes(1_000_000)
        clock.now += 1
        permit.leave()
    assert [record.levelname for record in caplog.records if "limits." in record.message] == ["WARNING"]
    assert clock.slept == 0


def test_without_redis_each_process_keeps_the_bandwidth_by_itself(clock):
    gate = make_gate(Broker("redis://127.0.0.1:9/0", clock=clock), clock, kilobits=800)
    permit = enter(gate, Lane.UPLOAD)
    for _ in range(100):
        permit.await_bytes(10_240)
    assert clock.slept == pytest.approx(10, abs=0.4)


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


@pytest.mark.django_db
def test_a_row_says_the_limits():
    endpoint = make_endpoint(max_connections=4, requests_per_second=20, kilobits_per_second=8)
    assert limits_of(endpoint) == Limits(connections=4, requests_per_second=20, bandwidth=Timetable((), "UTC", 8))
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
