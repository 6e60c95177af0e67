"""Several processes and one budget: real time, a real Valkey, and generous bounds."""

import multiprocessing
import os
import time
from collections.abc import Callable

import pytest
import redis

from registry import Tally
from registry.gate import Lane
from targets.limits import EndpointGate
from targets.limits.broker import Broker
from targets.limits.ledger import Ledger
from tests.servers import ValkeyServer
from tests.targets.limiting import make_limits

forks = multiprocessing.get_context("fork")


@pytest.fixture
def gate_of(valkey_server: ValkeyServer) -> Callable[..., EndpointGate]:
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()

    def make(lease_seconds: float = 60, **limits) -> EndpointGate:
        ledger = Ledger("limits:shared", Broker(valkey_server.url), lease_seconds=lease_seconds)
        return EndpointGate(make_limits(**limits), ledger)

    return make


def never() -> None:
    """No stop is asked for."""


def run_in_processes(job: Callable[[], None], count: int = 2) -> float:
    """Run the same job in several processes at once; return the seconds it took them all."""
    began = time.monotonic()
    processes = [forks.Process(target=job) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * count
    return time.monotonic() - began


def test_two_processes_share_the_requests_of_a_second(gate_of):
    def ask() -> None:
        gate, work = gate_of(requests_per_second=20), Tally()
        for _ in range(20):
            gate.enter(Lane.SMALL, attempt="Asking", work=work, check_stop=never).leave()

    # 40 requests, of which four may go at once.
    assert 1.5 < run_in_processes(ask) < 30


def test_two_processes_share_the_bandwidth(gate_of):
    def send() -> None:
        gate = gate_of(kilobits=800)
        permit = gate.enter(Lane.UPLOAD, attempt="Sending", work=None, check_stop=never)
        for _ in range(10):
            permit.await_bytes(10_000)
        permit.leave()

    assert 1.5 < run_in_processes(send) < 30


def test_processes_never_have_more_connections_than_allowed(gate_of, valkey_server):
    held = forks.Value("i", 0)
    most = forks.Value("i", 0)

    def connect() -> None:
        gate, work = gate_of(connections=2), Tally()
        gate._begin(work)  # as if it had been let in before
        for _ in range(5):
            permit = gate.enter(Lane.SMALL, attempt="Connecting", work=work, check_stop=never)
            with held.get_lock():
                held.value += 1
                most.value = max(most.value, held.value)
            time.sleep(0.02)
            with held.get_lock():
                held.value -= 1
            permit.leave()

    run_in_processes(connect, count=4)
    assert 1 <= most.value <= 2


def test_the_connections_of_a_killed_process_come_back(gate_of):
    def die_while_connected() -> None:
        gate = gate_of(connections=1, lease_seconds=1)
        gate.enter(Lane.UPLOAD, attempt="Sending", work=None, check_stop=never)
        os._exit(0)

    run_in_processes(die_while_connected, count=1)
    gate, work = gate_of(connections=1, lease_seconds=1), Tally()
    gate._begin(work)
    began = time.monotonic()
    gate.enter(Lane.UPLOAD, attempt="Sending", work=work, check_stop=never)
    assert time.monotonic() - began < 30


def test_a_pause_told_to_one_process_is_kept_by_another(gate_of):
    def be_told_off() -> None:
        permit = gate_of().enter(Lane.SMALL, attempt="Asking", work=None, check_stop=never)
        permit.hear(429, {"Retry-After": "120"})

    run_in_processes(be_told_off, count=1)
    pause = gate_of().ledger.pause()
    assert pause is not None
    assert 60 < pause.seconds <= 120
