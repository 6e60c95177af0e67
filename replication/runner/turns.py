"""Giving a worker's process back while large blobs still move in it.

A drain takes nothing new after its turn, but what it holds may move for hours. It goes on in a thread of its own then,
and the process takes other work meanwhile: a push of a small image must not wait because all processes copy large ones.
"""

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import close_old_connections

logger = logging.getLogger(__name__)

# A turn's own limit (`drain.TURN_SECONDS`) ends the taking of new work; what is quick ends within these.
PATIENCE_SECONDS = 40.0
# So many may go on in one process: each holds a database connection and up to eight artifacts.
OVERTIME_AT_MOST = 8


class Turns:
    """The turns of one process. Their threads are kept, and with them their connections to the database."""

    def __init__(self, *, overtime_at_most: int = OVERTIME_AT_MOST) -> None:
        self._overtime_at_most = overtime_at_most
        self._pool = ThreadPoolExecutor(overtime_at_most + 1, thread_name_prefix="turn")
        self._overtime: set[Future[None]] = set()

    def work(self, work: Callable[[], None], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Run the work; come back when it has ended, or after a turn while it goes on. Raises what it raised till then.

        What an ending process leaves undone is found by its leases, as after a kill. Called by one thread at a time.
        """
        turn = self._pool.submit(_with_living_connections, work)
        try:
            turn.result(patience_seconds)
        except TimeoutError:
            if turn.done():
                raise
            self._overtime = {earlier for earlier in self._overtime if not earlier.done()}
            if len(self._overtime) >= self._overtime_at_most:
                turn.result()
                return
            self._overtime.add(turn)
            turn.add_done_callback(_report)


def _with_living_connections(work: Callable[[], None]) -> None:
    close_old_connections()
    work()


def _report(turn: "Future[None]") -> None:
    """Tell what went wrong when nobody waits any more."""
    error = turn.exception()
    if error is not None:
        logger.error("turn.bug", exc_info=error)


_turns: Turns | None = None


def work_a_turn(work: Callable[[], None]) -> None:
    """Run the work as a turn of this process (`Turns.work`)."""
    global _turns  # noqa: PLW0603
    if _turns is None:
        _turns = Turns()
    _turns.work(work)


def _forget_in_child() -> None:
    """The threads stayed with the parent."""
    global _turns  # noqa: PLW0603
    _turns = None


os.register_at_fork(after_in_child=_forget_in_child)
