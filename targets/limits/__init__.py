"""Limits of an endpoint, kept by all workers together. docs/limits.md has the whole picture."""

import hashlib
import os
import threading
import time
from collections.abc import Callable

from django.conf import settings

from harborsync.lib.timetable import Timetable
from targets.limits.bandwidth import Bandwidth
from targets.limits.broker import broker_at
from targets.limits.gate import EndpointGate, Limits
from targets.limits.ledger import Ledger
from targets.models import Endpoint

__all__ = [
    "Bandwidth",
    "EndpointGate",
    "Limits",
    "forget_gates",
    "gate_for",
    "ledger_name",
    "limits_of",
    "shared_bandwidth",
]

Place = tuple[str, str]
"""The address of a Redis, and the name that shared state has there."""

# What windows of time go by; tests put another one here.
wall_clock: Callable[[], float] = time.time

# Row id → (where its state is, gate).
_gates: dict[int, tuple[Place, EndpointGate]] = {}
_bandwidths: dict[Place, Bandwidth] = {}
_lock = threading.Lock()


def gate_for(endpoint: Endpoint) -> EndpointGate:
    """Return this process's gate of an endpoint, with the limits of the row; another account or address has its own.

    Changed limits hold for what is under way, too.
    """
    place, limits = (settings.REDIS_URL, ledger_name(endpoint)), limits_of(endpoint)
    with _lock:
        kept = _gates.get(endpoint.pk)
        if kept is None or kept[0] != place:
            kept = _gates[endpoint.pk] = (place, EndpointGate(limits, _ledger(place), wall_clock=wall_clock))
        elif kept[1].limits != limits:
            kept[1].follow(limits)
        return kept[1]


def shared_bandwidth(name: str, timetable: Timetable) -> Bandwidth:
    """Return this process's part in a bandwidth that all workers share under a name, such as "rule:7".

    Another timetable holds for what is under way, too.
    """
    place = (settings.REDIS_URL, f"harborsync:limits:{name}")
    with _lock:
        kept = _bandwidths.get(place)
        if kept is None:
            whose = f"this {name.partition(':')[0]}"
            kept = _bandwidths[place] = Bandwidth(timetable, _ledger(place), whose=whose, wall_clock=wall_clock)
        kept.follow(timetable)
        return kept


def _ledger(place: Place) -> Ledger:
    redis_url, name = place
    return Ledger(name, broker_at(redis_url))


def ledger_name(endpoint: Endpoint) -> str:
    """Return what the shared state is kept under: registries count by account, so it is part of the name."""
    account = hashlib.sha256(f"{endpoint.url}\0{endpoint.access_key}".encode()).hexdigest()
    return f"harborsync:limits:{endpoint.pk}:{account[:16]}"


def limits_of(endpoint: Endpoint) -> Limits:
    """Return what the row allows."""
    return Limits(
        connections=endpoint.max_connections or None,
        requests_per_second=endpoint.requests_per_second or None,
        bandwidth=endpoint.timetable,
    )


def forget_gates() -> None:
    """Begin anew: in a forked child another thread's lock would never be released; in tests time has passed."""
    global _lock  # noqa: PLW0603
    _gates.clear()
    _bandwidths.clear()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=forget_gates)
