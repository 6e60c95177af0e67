"""Limits of an endpoint, kept by all workers together. docs/limits.md has the whole picture."""

import hashlib
import os
import threading

from django.conf import settings

from targets.limits.broker import broker_at
from targets.limits.gate import EndpointGate, Limits
from targets.limits.ledger import Ledger
from targets.models import Endpoint

__all__ = ["EndpointGate", "Limits", "forget_gates", "gate_for", "ledger_name", "limits_of"]

# Row id → (what the gate was made for, gate).
_gates: dict[int, tuple[tuple[str, str, Limits], EndpointGate]] = {}
_lock = threading.Lock()


def gate_for(endpoint: Endpoint) -> EndpointGate:
    """Return this process's gate of an endpoint; another account, address or limit makes a new one."""
    wanted = (settings.REDIS_URL, ledger_name(endpoint), limits_of(endpoint))
    with _lock:
        kept = _gates.get(endpoint.pk)
        if kept is None or kept[0] != wanted:
            redis_url, name, limits = wanted
            kept = _gates[endpoint.pk] = (wanted, EndpointGate(limits, Ledger(name, broker_at(redis_url))))
        return kept[1]


def ledger_name(endpoint: Endpoint) -> str:
    """Return what the shared state is kept under: registries count by account, so it is part of the name."""
    account = hashlib.sha256(f"{endpoint.url}\0{endpoint.access_key}".encode()).hexdigest()
    return f"harborsync:limits:{endpoint.pk}:{account[:16]}"


def limits_of(endpoint: Endpoint) -> Limits:
    """Return what the row allows."""
    kilobits = endpoint.kilobits_per_second
    return Limits(
        connections=endpoint.max_connections or None,
        requests_per_second=endpoint.requests_per_second or None,
        bytes_per_second=kilobits * 1024 / 8 if kilobits else None,
    )


def forget_gates() -> None:
    """Begin anew: in a forked child another thread's lock would never be released; in tests time has passed."""
    global _lock  # noqa: PLW0603
    _gates.clear()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=forget_gates)
