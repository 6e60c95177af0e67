"""A gate whose time is told by the test."""

from collections.abc import Callable
from typing import Any

from registry import Stopped
from registry.gate import Lane, Permit
from targets.limits import EndpointGate, Limits
from targets.limits.broker import Broker
from targets.limits.ledger import Ledger

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


def never() -> None:
    """No stop is asked for."""


def stop_now() -> None:
    """Stop is asked for."""
    raise Stopped


def make_gate(broker: Broker, clock: Clock, **limits: Any) -> EndpointGate:
    """Make a gate that knows of the others with the same broker."""
    ledger = Ledger("limits:1", broker, clock=clock)
    return EndpointGate(Limits(**limits), ledger, clock=clock, sleep=clock.sleep)


def enter(
    gate: EndpointGate, lane: Lane = Lane.SMALL, *, work: object | None = None, check_stop: Callable[[], None] = never
) -> Permit:
    """Ask for a permit."""
    return gate.enter(lane, attempt=ATTEMPT, work=work, check_stop=check_stop)
