"""A gate whose time is told by the test."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from harborsync.lib.timetable import Timetable
from registry import Stopped
from registry.gate import Lane, Permit
from targets.limits import EndpointGate, Limits
from targets.limits.broker import Broker
from targets.limits.ledger import Ledger

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
ATTEMPT = "Reading the tags of a/b"


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        """Return the time of day: noon of 25 November 2026 (a Wednesday) in UTC when the clock stands at 1000."""
        return NOON + self.now - 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def never() -> None:
    """No stop is asked for."""


def stop_now() -> None:
    """Stop is asked for."""
    raise Stopped


def make_gate(broker: Broker, clock: Clock, **limits: Any) -> EndpointGate:
    """Make a gate that knows of the others with the same broker. ``kilobits`` is short for a bandwidth."""
    ledger = Ledger("limits:1", broker, clock=clock)
    return EndpointGate(make_limits(**limits), ledger, clock=clock, wall_clock=clock.wall, sleep=clock.sleep)


def make_limits(*, kilobits: int = 0, windows: str = "", **limits: Any) -> Limits:
    """Make limits, the bandwidth given in kbit/s and windows of time."""
    return Limits(bandwidth=Timetable.parse(windows, plain_kilobits_per_second=kilobits), **limits)


def enter(
    gate: EndpointGate, lane: Lane = Lane.SMALL, *, work: object | None = None, check_stop: Callable[[], None] = never
) -> Permit:
    """Ask for a permit."""
    return gate.enter(lane, attempt=ATTEMPT, work=work, check_stop=check_stop)
