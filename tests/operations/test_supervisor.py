"""The supervisor starts, restarts and stops its parts, and leaves none behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harborsync.supervise.parts import Part, RunningPart
from tests.servers import wait_until

SLEEP = "import os, time; print(os.getpid()); time.sleep(600)"
STUBBORN = (
    "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(os.getpid()); print(child.pid); time.sleep(600)"
)


def is_alive(pid):
    """A process that is dead but not reaped yet (in a container perhaps by nobody) counts as dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


class Supervised:
    """The supervisor as a process of its own, and what it has printed."""

    def __init__(self, *parts: tuple[str, str]) -> None:
        command = [sys.executable, "-m", "tests.operations.supervised", json.dumps(parts)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, text, *, count=1, seconds=15):
        assert wait_until(lambda: sum(text in line for line in self.lines) >= count, seconds=seconds), self.lines

    def pids(self, name):
        return [int(line.partition(": ")[2]) for line in self.lines if line.startswith(f"{name}: ")]


@pytest.fixture
def supervise():
    started = []

    def start(*parts):
        started.append(Supervised(*parts))
        return started[-1]

    yield start
    for entry in started:
        if entry.process.poll() is None:
            entry.process.kill()
        entry.process.wait()


def test_a_part_that_runs_once_has_ended_before_the_next_starts(supervise):
    supervised = supervise(
        ("first!", "import time; time.sleep(0.3); print('done')"), ("second", "print('begun'); " + SLEEP)
    )
    supervised.wait_for("second: begun")
    assert supervised.lines.index("first: done") < supervised.lines.index("second: begun")
    supervised.wait_for("ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_every_part(supervise, number):
    supervised = supervise(("one", SLEEP), ("two", SLEEP))
    supervised.wait_for("one: ")
    supervised.wait_for("two: ")
    supervised.wait_for("ready")
    supervised.process.send_signal(number)
    assert supervised.process.wait(5) == 0
    assert not any(is_alive(pid) for pid in supervised.pids("one") + supervised.pids("two"))
    supervised.wait_for("stopped")


def test_a_part_that_does_not_listen_is_killed_with_its_children(supervise):
    supervised = supervise(("stubborn", STUBBORN))
    supervised.wait_for("stubborn: ", count=2)
    supervised.wait_for("ready")
    supervised.process.terminate()
    assert supervised.process.wait(10) == 0
    assert wait_until(lambda: not any(is_alive(pid) for pid in supervised.pids("stubborn")), seconds=5)


def test_a_part_that_dies_is_started_again(supervise):
    supervised = supervise(("one", SLEEP), ("two", SLEEP))
    supervised.wait_for("ready")
    supervised.wait_for("one: ")
    supervised.wait_for("two: ")
    os.kill(supervised.pids("one")[0], signal.SIGKILL)
    supervised.wait_for("one: ", count=2)
    first, second = supervised.pids("one")
    assert first != second
    assert len(supervised.pids("two")) == 1


def test_no_part_outlives_a_supervisor_that_was_killed(supervise):
    supervised = supervise(("one", SLEEP), ("two", SLEEP))
    supervised.wait_for("ready")
    supervised.wait_for("two: ")
    supervised.process.kill()
    assert wait_until(
        lambda: not any(is_alive(pid) for pid in supervised.pids("one") + supervised.pids("two")), seconds=5
    )


def test_a_failed_preparation_ends_everything(supervise):
    supervised = supervise(("one", SLEEP), ("two!", "raise SystemExit(3)"), ("three", SLEEP))
    assert supervised.process.wait(15) == 1
    supervised.wait_for("failed: two failed with status 3")
    assert supervised.pids("three") == []
    assert not any(is_alive(pid) for pid in supervised.pids("one"))


def test_a_stop_in_the_middle_of_the_start_is_heard(supervise):
    supervised = supervise(("slow!", SLEEP), ("two", SLEEP))
    supervised.wait_for("slow: ")
    supervised.process.terminate()
    assert supervised.process.wait(5) == 0
    assert supervised.pids("two") == []


def test_restarts_back_off():
    running = RunningPart(Part("one", ["true"]), {}, lambda name, line: None)
    running._started_at = time.monotonic()
    assert [running.plan_restart() for _ in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]


def test_a_part_that_lived_long_starts_again_at_once():
    running = RunningPart(Part("one", ["true"]), {}, lambda name, line: None, deaths=5)
    running._started_at = time.monotonic() - 3600
    assert running.plan_restart() == 0
