"""The parts' lines on one terminal, and in one file that cannot grow for ever."""

import logging
import sys
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path

NAME_WIDTH = 9
FILE_BYTES = 10_000_000
FILES_KEPT = 3
# Its lines may hold the first password, which is shown once and kept nowhere.
NOT_IN_FILE = frozenset({"prepare"})
COLOURS = {"valkey": 35, "prepare": 33, "web": 32, "worker": 36, "scheduler": 34}


class Output:
    """Writes `name | line` to standard output and to a log file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
        self._lock = threading.Lock()
        self._is_terminal = sys.stdout.isatty()

    def write_line(self, name: str, line: str) -> None:
        """Write one line."""
        label = f"{name:<{NAME_WIDTH}} |"
        with self._lock:
            if name not in NOT_IN_FILE:
                self._file.emit(logging.makeLogRecord({"msg": f"{label} {line}"}))
            shown = f"\x1b[{COLOURS.get(name, 37)}m{label}\x1b[0m" if self._is_terminal else label
            try:
                sys.stdout.write(f"{shown} {line}\n")
                sys.stdout.flush()
            except BrokenPipeError:
                # Whoever read us is gone; the file goes on.
                self._is_terminal = False
