"""A server program run for a while: started, waited for, stopped, and never left behind."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class MissingProgramError(RuntimeError):
    """A program that has to be on this machine is not."""


def find_program(name: str, *, package: str, places: Sequence[str] = ()) -> str:
    """Find a program on PATH or in `places` (patterns below the root), or say which Debian package has it."""
    found = shutil.which(name)
    others = [str(path) for place in places for path in Path("/").glob(f"{place}/{name}".lstrip("/"))]
    if found is None and not others:
        raise MissingProgramError(f"{name} is not installed; on Debian and Ubuntu: apt-get install {package}")
    return sorted(others)[-1] if others else str(found)


def free_port() -> int:
    """Give a loopback port that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def accepts_connections(port: int) -> bool:
    """Say whether somebody listens on a loopback port."""
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=1)):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], *, seconds: float, pause_seconds: float = 0.05) -> bool:
    """Ask again and again; say whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_seconds)
    return True


@dataclass
class ServerProcess:
    """One program, its log file, and how to see that it is ready. `user` is who runs it, when root starts it.

    Start it from a thread that lives as long as the program shall: Linux counts the death of that thread as the
    death of the parent (prctl(2), PR_SET_PDEATHSIG).
    """

    command: Sequence[str]
    log_path: Path
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def is_running(self) -> bool:
        """Say whether the program is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Give its process id."""
        if self._process is None:
            raise RuntimeError(f"{self.command[0]} is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """Read its log."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        """Start and wait until it is ready; raises with the end of its log when it is not."""
        path = os.environ.get("PATH", "/usr/bin:/bin")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (fixed programs of this module's callers)
                [*_dies_with_parent(), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": path, "LANG": "C.UTF-8", **self.environment},
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                cwd=self.log_path.parent,
            )
        wait_until(lambda: not self.is_running or self.is_ready(), seconds=START_SECONDS)
        if not (self.is_running and self.is_ready()):
            self.kill()
            raise RuntimeError(f"{self.command[0]} did not start:\n{self.log[-2000:]}")

    def stop(self) -> None:
        """Ask it to end and wait; kill it where it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _dies_with_parent() -> list[str]:
    """Prefix a command so that it ends with whoever started it, even by kill -9 (util-linux setpriv)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
