"""`manage.py web`: the web server alone."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

PROCESSES = 2
THREADS = 8
GRACE_SECONDS = 3


class Command(BaseCommand):
    """Collects the static files, which the server itself serves, and becomes gunicorn."""

    help = "Run the web server (pages, API, registry notifications) on PORT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the address to listen on."""
        parser.add_argument("--bind", default="0.0.0.0", help="address to listen on (default: every one)")
        parser.add_argument("--processes", type=int, default=PROCESSES)
        parser.add_argument("--threads", type=int, default=THREADS, help="threads of each process")

    def handle(self, *args: Any, **options: Any) -> None:
        """Replace this process by gunicorn, so that signals reach it directly."""
        call_command("collectstatic", interactive=False, verbosity=0)
        command = [sys.executable, "-m", "gunicorn", "harborsync.wsgi:application"]
        command += ["--bind", f"{options['bind']}:{settings.PORT}"]
        command += ["--worker-class", "gthread", "--workers", str(options["processes"])]
        command += ["--threads", str(options["threads"]), "--graceful-timeout", str(GRACE_SECONDS)]
        command += ["--log-level", "warning", "--no-control-socket"]
        os.execv(command[0], command)  # noqa: S606 (no shell is wanted)
