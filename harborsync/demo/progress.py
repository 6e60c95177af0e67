"""A progress bar on a terminal; plain lines where there is none."""

import time
from dataclasses import dataclass, field
from typing import Any, TextIO

WIDTH = 32
MEBIBYTE = 1 << 20


@dataclass
class ProgressBar:
    """Shows an execution as the API tells it, whenever it has changed."""

    stream: TextIO
    _shown: str = field(default="", init=False)
    _started_at: float = field(default_factory=time.monotonic, init=False)

    def show(self, execution: dict[str, Any]) -> None:
        """Draw the execution's state; nothing where it is the same as before."""
        seconds = time.monotonic() - self._started_at
        state = draw_state(execution)
        if state == self._shown:
            return
        self._shown = state
        line = f"{state}  {seconds:4.1f} s"
        self.stream.write(f"\r\x1b[K  {line}" if self.stream.isatty() else f"  {line}\n")
        self.stream.flush()

    def end(self) -> None:
        """Leave the last state where it stands."""
        if self.stream.isatty():
            self.stream.write("\n")


def draw_state(execution: dict[str, Any]) -> str:
    """Draw the bar with words beside it.

    >>> draw_state({"bytes_done": 16777216, "bytes_total": 67108864, "status": "InProgress"})
    '[########------------------------]  25 %  16.0 of 64.0 MiB  InProgress'
    """
    done, total = execution["bytes_done"], execution["bytes_total"]
    share = done / total if total else 0.0
    filled = int(share * WIDTH)
    bar = "#" * filled + "-" * (WIDTH - filled)
    return f"[{bar}] {share:4.0%}".replace("%", " %") + (
        f"  {done / MEBIBYTE:.1f} of {total / MEBIBYTE:.1f} MiB  {execution['status']}"
    )
