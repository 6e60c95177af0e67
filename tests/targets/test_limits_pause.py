"""What a registry asks for, and how the number of requests under way follows from its answers."""

import threading

import pytest
import redis

from registry import RateLimitedError, Stopped, Tally
from registry.gate import Lane
from registry.ratelimits import Pause
from targets.limits.ledger import Ledger
from targets.limits.window import FIRST_LIMIT, HIGHEST_LIMIT, SUCCESSES_PER_STEP, Window
from tests.targets.limiting import enter, make_gate, never, stop_now


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


def test_a_long_pause_sends_everybody_away_and_says_why_and_until_when(broker, clock):
    gate = make_gate(broker, clock)
    work = Tally()
    enter(gate, work=work).hear(429, {"Retry-After": "30"})
    with pytest.raises(RateLimitedError, match=r"a/b: the registry asked for") as raised:
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
