"""A PostgreSQL cluster of its own on a loopback port."""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg

from registry.testkit.process import ServerProcess, find_program, free_port

USER = "harborsync"
DATABASE = "harborsync"
# Nothing survives a power cut, nothing waits for the disk: a test's cluster lives for minutes.
SPEED = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]


@dataclass
class PostgresCluster:
    """PostgreSQL with trust on loopback, run by the user `postgres` where root starts it (it refuses root)."""

    port: int = 0
    max_connections: int = 200
    _directory: Path | None = field(default=None, init=False)
    _process: ServerProcess | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Give the address as DATABASE_URL takes it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Make the cluster and start it."""
        server = self._program("postgres")
        user = "postgres" if os.geteuid() == 0 else None
        # Not below pytest's own directory: that one is closed to every other user.
        self._directory = Path(tempfile.mkdtemp(prefix="harborsync-postgres-"))
        if user:
            shutil.chown(self._directory, user, pwd.getpwnam(user).pw_gid)
        self.port = self.port or free_port()
        self._initialise(user)
        command = [server, "-D", str(self._directory / "data"), "-h", "127.0.0.1", "-p", str(self.port)]
        command += ["-k", str(self._directory), "-c", f"max_connections={self.max_connections}", *SPEED]
        self._process = ServerProcess(
            command=command,
            log_path=self._directory / "postgres.log",
            is_ready=self._answers,
            user=user,
        )
        self._process.start()
        with psycopg.connect(self._url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")

    def stop(self) -> None:
        """Stop and remove the cluster."""
        if self._process is not None:
            self._process.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _initialise(self, user: str | None) -> None:
        command = [self._program("initdb"), "-D", str(self._directory / "data"), "-U", USER, "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=self._directory,
        )
        if finished.returncode:
            raise RuntimeError(f"initdb failed: {finished.stderr}")

    @staticmethod
    def _program(name: str) -> str:
        return find_program(name, package="postgresql", places=["usr/lib/postgresql/*/bin"])

    def _url_of(self, database: str) -> str:
        return self.url.removesuffix(DATABASE) + database

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._url_of("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
