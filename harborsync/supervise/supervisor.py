"""The parent of all parts."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from harborsync.supervise.parts import Part, RunningPart

START_SECONDS = 60.0
STOP_SECONDS = 5.0
TICK_SECONDS = 0.1

logger = logging.getLogger(__name__)


class PartFailedError(RuntimeError):
    """A part did not come up, so the product cannot run."""


class Supervisor:
    """Runs parts until SIGINT or SIGTERM; `write_line` gets each line of each part with the part's name.

    `announce` is called once, when every part is up.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        environment: Mapping[str, str],
        write_line: Callable[[str, str], None],
        announce: Callable[[], None],
    ) -> None:
        self._running = [RunningPart(part, environment, write_line) for part in parts]
        self._announce = announce
        self._stop_asked = threading.Event()

    @property
    def pids(self) -> dict[str, int]:
        """Give the process id of every part that runs."""
        return {entry.part.name: entry.pid for entry in self._running if entry.is_running}

    def stop(self) -> None:
        """Ask for the end; `run` returns when everything has stopped."""
        self._stop_asked.set()

    def run(self) -> None:
        """Start everything, keep it running, stop everything. Raises PartFailedError when the start fails."""
        with self._signals():
            try:
                if self._start_all():
                    self._announce()
                    self._keep_running()
            finally:
                self._stop_all()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def ask(number: int, frame: FrameType | None) -> None:
            self._stop_asked.set()

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start_all(self) -> bool:
        """Start the parts one after the other; False when the end was asked for meanwhile."""
        for entry in self._running:
            entry.start()
            deadline = time.monotonic() + START_SECONDS
            while not self._is_up(entry):
                if self._stop_asked.wait(TICK_SECONDS):
                    return False
                if time.monotonic() > deadline:
                    raise PartFailedError(f"{entry.part.name} was not ready after {START_SECONDS:.0f} seconds")
        return True

    def _is_up(self, entry: RunningPart) -> bool:
        status = entry.exit_status
        if entry.part.runs_once:
            if status:
                raise PartFailedError(f"{entry.part.name} failed with status {status}; its output says why")
            return status == 0
        if status is not None:
            raise PartFailedError(f"{entry.part.name} ended with status {status} while it started")
        return entry.part.is_ready()

    def _keep_running(self) -> None:
        kept = [entry for entry in self._running if not entry.part.runs_once]
        while not self._stop_asked.wait(TICK_SECONDS):
            for entry in kept:
                status = entry.exit_status
                if status is not None:
                    delay_seconds = entry.plan_restart()
                    logger.warning(
                        "part.died name=%s status=%s restart_in_seconds=%.0f", entry.part.name, status, delay_seconds
                    )
                elif not entry.is_running and time.monotonic() >= entry.restart_at:
                    entry.start()

    def _stop_all(self) -> None:
        """Stop those that serve others last; whoever is not gone in time is killed with its children."""
        deadline = time.monotonic() + STOP_SECONDS
        for is_last in (False, True):
            asked = [entry for entry in self._running if entry.part.serves_others == is_last]
            for entry in asked:
                entry.ask_to_stop()
            while any(entry.is_running for entry in asked) and time.monotonic() < deadline:
                time.sleep(TICK_SECONDS / 2)
            deadline += 1
        for entry in self._running:
            entry.kill()
