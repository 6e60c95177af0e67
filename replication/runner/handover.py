"""Ending a worker gently: what its drains hold is handed back at once, not when the leases run out.

The event is made before Celery forks its pool, so that the worker's own process can tell its children.
"""

import multiprocessing

_ending = multiprocessing.get_context("fork").Event()


def ask_drains_to_hand_over() -> None:
    """Have every drain of this worker stop what it does and put it back to be taken by others."""
    _ending.set()


def is_asked() -> bool:
    """Say whether this worker is ending."""
    return _ending.is_set()


def withdraw() -> None:
    """Take the request back (tests)."""
    _ending.clear()
