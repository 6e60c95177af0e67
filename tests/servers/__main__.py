"""`python -m tests.servers COMMAND…`: run a command with DATABASE_URL set to a PostgreSQL that lives as long as it."""

import os
import subprocess
import sys

from tests.servers.postgres import PostgresCluster


def run_with_postgres(command: list[str]) -> int:
    """Give the command's exit status."""
    with PostgresCluster() as cluster:
        print(f"PostgreSQL for this run: {cluster.url}", flush=True)
        return subprocess.run(command, env={**os.environ, "DATABASE_URL": cluster.url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(run_with_postgres(sys.argv[1:]))
