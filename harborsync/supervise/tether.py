"""Run a command that ends when its parent does, however that ends.

Called as `python -m harborsync.supervise.tether PARENT_PID COMMAND…`. PR_SET_PDEATHSIG (prctl(2)) survives exec, so
the command needs to know nothing of it. Where there is no prctl (not Linux) the command runs without.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have this process killed when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the command."""
    parent, *command = arguments
    die_with_parent()
    if os.getppid() != int(parent):
        # The parent ended before we were tied to it.
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
