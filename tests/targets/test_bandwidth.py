"""A bandwidth by its timetable: at which rate bytes pass, when it changes, what a pause does."""

import re
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
import redis

from harborsync.lib.timetable import Timetable
from registry import PausedError, Stopped
from registry.gate import Lane
from targets.limits import Bandwidth, shared_bandwidth
from targets.limits.broker import Broker
from targets.limits.ledger import Ledger
from tests.servers import ValkeyServer
from tests.targets.limiting import Clock, enter, make_gate, make_limits, never, stop_now
from tests.targets.test_limits_shared import run_in_processes

HOUR = 3600


def table(windows: str = "", kilobits: int = 0, zone: str = "UTC") -> Timetable:
    return Timetable.parse(windows, time_zone=zone, plain_kilobits_per_second=kilobits)


@pytest.fixture
def alone(clock) -> Broker:
    """Give the way to a Redis that is away: then a ledger counts by the test's clock, and not by the server's."""
    return Broker("redis://127.0.0.1:9/0", clock=clock)


@pytest.fixture
def bandwidth_of(alone, clock) -> Callable[..., Bandwidth]:
    """Make a bandwidth whose clock stands at noon: `bandwidth_of(windows, kilobits)`."""

    def make(windows: str = "", kilobits: int = 0, zone: str = "UTC") -> Bandwidth:
        ledger = Ledger("limits:rule", alone, clock=clock)
        return Bandwidth(
            table(windows, kilobits, zone),
            ledger,
            whose="this rule",
            clock=clock,
            wall_clock=clock.wall,
            sleep=clock.sleep,
        )

    return make


def send(bandwidth: Bandwidth, size_bytes: int) -> None:
    """Let bytes pass in the steps that the bandwidth asks for."""
    while size_bytes > 0:
        step = min(bandwidth.block_bytes, size_bytes)
        bandwidth.await_bytes(step, never)
        size_bytes -= step


def seconds_for(bandwidth: Bandwidth, clock: Clock, size_bytes: int) -> float:
    before = clock.slept
    send(bandwidth, size_bytes)
    return clock.slept - before


def test_four_processes_with_two_threads_each_share_one_rule(valkey_server: ValkeyServer, settings):
    settings.REDIS_URL = valkey_server.url
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()

    def copy() -> None:
        pace = shared_bandwidth("rule:7", table(kilobits=800))
        threads = [threading.Thread(target=send, args=(pace, 51_200)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # 8 x 51,200 bytes at 102,400 a second are 4 seconds; each by itself would need half a second.
    took = run_in_processes(copy, count=4)
    assert 3.4 < took < 12


def test_the_rate_is_kept_within_a_few_percent(bandwidth_of, clock):
    assert seconds_for(bandwidth_of(kilobits=800), clock, 102_400 * 10) == pytest.approx(10, rel=0.04)


def test_no_limit_asks_nobody_and_waits_for_nothing(clock):
    pace = Bandwidth(table(), Ledger("x", Broker("redis://127.0.0.1:9/0")), whose="this rule", sleep=clock.sleep)
    send(pace, 1 << 30)
    assert (clock.slept, pace.block_bytes) == (0, 1 << 20)


def test_another_window_changes_the_rate_in_the_middle_of_a_blob(bandwidth_of, clock):
    clock.now -= 5  # five seconds before noon
    pace = bandwidth_of("12:00-13:00 8000", kilobits=80)
    # 5 s x 10,240 bytes and then 2 s x 1,024,000 bytes.
    assert seconds_for(pace, clock, 51_200 + 2_048_000) == pytest.approx(7, abs=0.5)


def test_a_window_without_limit_ends_the_waiting(bandwidth_of, clock):
    clock.now -= 2
    assert seconds_for(bandwidth_of("12:00-13:00 0", kilobits=8), clock, 10_000_000) == pytest.approx(2, abs=0.2)


def test_a_limit_that_begins_is_felt_by_an_upload_that_began_without_one(alone, clock):
    clock.now -= 1
    gate = make_gate(alone, clock, windows="12:00-13:00 80")
    permit = enter(gate, Lane.UPLOAD)
    assert permit.block_bytes == 1 << 20
    permit.await_bytes(1 << 20)
    assert clock.slept == 0
    clock.now += 1
    assert permit.block_bytes == 1280
    for _ in range(40):
        permit.await_bytes(1280)
    assert clock.slept == pytest.approx(5, abs=0.4)


def test_an_edit_is_felt_at_once_by_a_permit_that_was_given_before(alone, clock):
    gate = make_gate(alone, clock)
    permit = enter(gate, Lane.DOWNLOAD)
    gate.follow(make_limits(kilobits=80))
    for _ in range(10):
        permit.await_bytes(10_240)
    assert clock.slept == pytest.approx(8.8, abs=0.3)
    gate.follow(make_limits())
    permit.await_bytes(100_000_000)
    assert clock.slept == pytest.approx(8.8, abs=0.3)


def test_a_long_wait_by_the_old_rate_ends_when_the_rate_rises(bandwidth_of, clock):
    pace = bandwidth_of(kilobits=1)  # 1024 bytes take 8 seconds
    pace.await_bytes(1024, never)
    sleeps = []

    def raise_the_rate() -> None:
        sleeps.append(clock.now)
        if len(sleeps) == 5:
            pace.follow(table(kilobits=8000))

    pace.await_bytes(1024, raise_the_rate)
    assert clock.slept < 1
    assert seconds_for(pace, clock, 1_024_000) < 1.5


def test_an_edit_is_felt_within_a_second_by_threads_that_wait_by_a_shared_count(broker):
    pace = Bandwidth(table(kilobits=1), Ledger("limits:rule", broker), whose="this rule")
    threads = [threading.Thread(target=send, args=(pace, 10_240)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)  # by now they wait, for minutes
    pace.follow(table(kilobits=8000))
    began = time.monotonic()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - began < 5


def test_the_stop_flag_is_looked_at_ten_times_a_second(bandwidth_of, clock):
    pace, looks = bandwidth_of(kilobits=1), []
    pace.await_bytes(1024, never)
    pace.await_bytes(1024, lambda: looks.append(clock.now))
    assert max(later - earlier for earlier, later in pairwise(looks)) <= 0.1 + 1e-6
    with pytest.raises(Stopped):
        pace.await_bytes(1024, stop_now)


def test_in_a_pause_nothing_moves_and_the_error_says_why_and_until_when(bandwidth_of, clock):
    pace = bandwidth_of("08:00-18:00 mon-fri pause", zone="Europe/Berlin")  # noon in UTC is one o'clock there
    with pytest.raises(PausedError) as raised:
        pace.await_bytes(1, never)
    assert raised.value.retry_after_seconds == pytest.approx(5 * HOUR)
    assert str(raised.value) == (
        "Moving bytes: the time window 08:00-18:00 mon-fri pause (Europe/Berlin) of this rule lets nothing move"
    )
    assert clock.slept == 0


def test_a_pause_that_begins_in_the_middle_of_a_blob_sends_it_away(bandwidth_of, clock):
    clock.now -= 3
    pace = bandwidth_of("12:00-13:00 pause", kilobits=80)
    with pytest.raises(PausedError):
        send(pace, 1_000_000)
    assert clock.slept == pytest.approx(3, abs=0.3)


def test_the_last_second_of_a_pause_is_slept_through_with_an_eye_on_the_stop_flag(bandwidth_of, clock):
    clock.now -= 0.7
    pace = bandwidth_of("11:00-12:00 pause")
    with pytest.raises(Stopped):
        pace.await_bytes(1, stop_now)
    pace.await_bytes(1, never)
    assert clock.slept == pytest.approx(0.7)


def test_a_pause_without_end_is_looked_at_again_after_a_day(bandwidth_of):
    pause = bandwidth_of("00:00-24:00 pause").pause()
    assert pause.seconds == 24 * HOUR


@pytest.mark.parametrize("lane", [Lane.SMALL, Lane.DOWNLOAD, Lane.UPLOAD])
def test_a_pause_of_a_registry_lets_no_request_pass_but_the_one_that_tidies_up(broker, clock, lane):
    gate = make_gate(broker, clock, windows="11:00-13:00 pause")
    work = object.__new__(type("Work", (), {}))
    gate._begin(work)
    said = re.escape("a/b: the time window 11:00-13:00 pause (UTC) of this registry")
    with pytest.raises(PausedError, match=said) as raised:
        enter(gate, lane, work=work)
    assert raised.value.retry_after_seconds == HOUR
    enter(gate, Lane.CLEARING).leave()
    clock.now += HOUR
    enter(gate, lane).leave()


def test_the_windows_are_not_read_again_for_each_block(bandwidth_of, clock):
    pace = bandwidth_of("12:00-13:00 8000")
    assert pace.allowance is pace.allowance
    before = pace.allowance
    pace.follow(table("12:00-13:00 8000"))
    assert pace.allowance is before
    clock.now += HOUR
    assert pace.allowance is not before
