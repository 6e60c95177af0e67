"""What the supervisor looks after: one program each."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# A part that lived this long before it died is started again at once.
HEALTHY_SECONDS = 30.0
BACKOFF_CAP_SECONDS = 30.0


@dataclass(frozen=True)
class Part:
    """A program by name. The next part waits until `is_ready`, or until a part that `runs_once` has ended well.

    One that `serves_others` is stopped after all that do not.
    """

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool] = lambda: True
    runs_once: bool = False
    serves_others: bool = False


@dataclass
class RunningPart:
    """A part with its present process and how often it died of late."""

    part: Part
    environment: Mapping[str, str]
    write_line: Callable[[str, str], None]
    deaths: int = 0
    restart_at: float = 0.0
    _started_at: float = 0.0
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the program in a process group of its own, so that Ctrl-C reaches the supervisor alone."""
        command = [sys.executable, "-m", "harborsync.supervise.tether", str(os.getpid()), *self.part.command]
        self._process = subprocess.Popen(  # noqa: S603 (the product's own commands)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self.environment),
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._started_at = time.monotonic()
        threading.Thread(target=self._forward, args=(self._process,), daemon=True).start()

    def _forward(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self.write_line(self.part.name, line.rstrip("\n"))

    @property
    def pid(self) -> int:
        """Give the present process's id, 0 where there is none."""
        return self._process.pid if self._process else 0

    @property
    def exit_status(self) -> int | None:
        """Give the status the program ended with; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        """Say whether the program runs."""
        return self._process is not None and self._process.poll() is None

    def plan_restart(self) -> float:
        """Decide when a part that died starts again, and say in how many seconds: 0, then 1, 2, 4 … 30."""
        lived_seconds = time.monotonic() - self._started_at
        self.deaths = 1 if lived_seconds > HEALTHY_SECONDS else self.deaths + 1
        delay_seconds = 0.0 if self.deaths == 1 else min(2.0 ** (self.deaths - 2), BACKOFF_CAP_SECONDS)
        self.restart_at = time.monotonic() + delay_seconds
        self._process = None
        return delay_seconds

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the program itself; it stops its own children."""
        if self._process is not None and self.is_running:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the program and whatever it started."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()
