"""What processes cost, from proc(5): CPU time of whole trees and peaks of memory."""

import os
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME, _CSTIME = 11, 14  # positions behind the command's closing bracket in /proc/PID/stat


def descendants(pid: int) -> Iterator[int]:
    """Give all processes below one, parents first."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return  # it ended meanwhile
    for thread in threads:
        for child in _read(thread / "children").split():
            yield int(child)
            yield from descendants(int(child))


def command_line(pid: int) -> list[str]:
    """Give a process's arguments; none when it is gone."""
    return _read(Path(f"/proc/{pid}/cmdline")).split("\0")[:-1]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Add up user and system time of processes and of the children they have waited for."""
    ticks = 0
    for pid in pids:
        fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        ticks += sum(int(value) for value in fields[_UTIME : _CSTIME + 1])
    return ticks / _TICKS_PER_SECOND


def children_cpu_seconds() -> float:
    """Give user and system time of the children that this process has waited for so far (getrusage(2))."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_bytes(pid: int) -> int:
    """Give the most memory that a process had resident at once (VmHWM); 0 when it is gone."""
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
