"""`manage.py up`: the whole product on one machine, under one supervisor."""

import fcntl
import os
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import environ
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from harborsync.supervise import Part, PartFailedError, Supervisor
from harborsync.supervise.health import web_answers
from harborsync.supervise.output import Output
from harborsync.supervise.valkey import EmbeddedValkey

env = environ.FileAwareEnv()


class Command(BaseCommand):
    """Starts Valkey (unless REDIS_URL names one), prepares the database, then web, worker and scheduler."""

    help = "Run everything: broker, web server, worker and scheduler. Ctrl-C stops it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the address to listen on."""
        parser.add_argument("--bind", default="0.0.0.0", help="address to listen on (default: every one)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGINT or SIGTERM."""
        with _only_one(settings.DATA_DIR):
            _check_port(options["bind"], settings.PORT)
            output = Output(settings.DATA_DIR / "logs" / "harborsync.log")
            parts, environment = _parts(options["bind"])
            supervisor = Supervisor(
                parts, environment=environment, write_line=output.write_line, announce=self._announce
            )
            try:
                supervisor.run()
            except PartFailedError as error:
                raise CommandError(str(error)) from error
            self.stdout.write("HarborSync has stopped.")

    def _announce(self) -> None:
        self.stdout.write(f"\nHarborSync is ready: {settings.EXTERNAL_URL}   (Ctrl-C stops it)\n")
        self.stdout.flush()


def _parts(bind: str) -> tuple[list[Part], dict[str, str]]:
    """List what has to run, and the environment that all of it shares."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    parts = []
    if not env.str("REDIS_URL", default=""):
        valkey = EmbeddedValkey.configure(settings.DATA_DIR)
        environment["REDIS_URL"] = valkey.url
        parts.append(Part("valkey", valkey.command, is_ready=valkey.is_ready, serves_others=True))
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    parts += [
        Part("prepare", [*manage, "prepare"], runs_once=True),
        Part("web", [*manage, "web", "--bind", bind], is_ready=lambda: web_answers(settings.PORT)),
        Part("worker", [*manage, "worker"]),
        Part("scheduler", [*manage, "scheduler"]),
    ]
    return parts, environment


def _check_port(bind: str, port: int) -> None:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            raise CommandError(f"Port {port} cannot be used ({error.strerror}). Set PORT to another.") from error


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Hold the data directory for this process; two installations in one would take each other's work."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"The data directory cannot be made: {error}. Set HARBORSYNC_DATA_DIR.") from error
    with (directory / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"HarborSync runs in {directory} already. Stop it, or set HARBORSYNC_DATA_DIR."
            ) from error
        yield
