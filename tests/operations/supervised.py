"""A supervisor to be tested from outside: `python -m tests.operations.supervised '[["name", "python code"], …]'`.

Prints "name: line" for what its parts print, and "ready" when all are up. A name with a "!" runs once.
"""

import json
import logging
import os
import sys

from harborsync.supervise import Part, PartFailedError, Supervisor


def main() -> int:
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    parts = [
        Part(name.rstrip("!"), [sys.executable, "-u", "-c", code], runs_once=name.endswith("!"))
        for name, code in json.loads(sys.argv[1])
    ]
    supervisor = Supervisor(
        parts,
        environment=os.environ,
        write_line=lambda name, line: print(f"{name}: {line}", flush=True),
        announce=lambda: print("ready", flush=True),
    )
    try:
        supervisor.run()
    except PartFailedError as error:
        print(f"failed: {error}", flush=True)
        return 1
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
