"""A supervisor to be tested from outside: `python -m tests.operations.supervised '[["name", "python code"], …]'`.

Prints "name: line" for what its parts print, and "ready" when all are up. A name with a "!" runs once.
"""

import json
import logging
import os
import sys

from harborsync.supervise import Part, PartFailedError, Supervisor


def say(text: str) -> None:
    """Write a whole line at once: several threads write."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    parts = [
        Part(name.rstrip("!"), [sys.executable, "-u", "-c", code], runs_once=name.endswith("!"))
        for name, code in json.loads(sys.argv[1])
    ]
    supervisor = Supervisor(
        parts,
        environment=os.environ,
        write_line=lambda name, line: say(f"{name}: {line}"),
        announce=lambda: say("ready"),
    )
    try:
        supervisor.run()
    except PartFailedError as error:
        say(f"failed: {error}")
        return 1
    say("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
