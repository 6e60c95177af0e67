"""`manage.py worker`: the processes that copy, alone. Start it on as many machines as are wanted."""

import warnings
from argparse import ArgumentParser
from typing import Any

from celery.exceptions import SecurityWarning
from celery.signals import worker_process_init, worker_shutting_down
from django.conf import settings
from django.core.management.base import BaseCommand

from harborsync.celery import app
from harborsync.supervise.tether import die_with_parent
from replication.runner.handover import ask_drains_to_hand_over


@worker_process_init.connect
def tie_to_worker(**_: Any) -> None:
    """End a pool process with its worker: a killed worker's leases run out, so nobody may go on in its name."""
    die_with_parent()


@worker_shutting_down.connect
def hand_over(**_: Any) -> None:
    """Have the drains put back what they hold, so that other workers need not wait for its leases to run out."""
    ask_drains_to_hand_over()


class Command(BaseCommand):
    """Becomes a Celery worker with a pool of processes."""

    help = "Run a worker with HARBORSYNC_WORKER_PROCESSES processes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the number of processes."""
        parser.add_argument("--processes", type=int, default=settings.WORKER_PROCESSES)

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until SIGTERM. Workers need not know each other, so gossip and mingle are off."""
        # Celery warns root because of pickle; our messages are JSON.
        warnings.simplefilter("ignore", SecurityWarning)
        arguments = ["--quiet", "worker", "--pool", "prefork", "--concurrency", str(options["processes"])]
        arguments += ["--queues", settings.CELERY_TASK_DEFAULT_QUEUE, "--prefetch-multiplier", "1"]
        arguments += ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
        app.worker_main(arguments)
