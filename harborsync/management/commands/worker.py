"""`manage.py worker`: the processes that copy, alone. Start it on as many machines as are wanted."""

import gc
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

# After so many more objects made than freed the young ones are looked at. With Python's 700 the garbage collector took
# 3 % of the CPU of copying small images (200 of them: 97 collections, 47 ms), with 10,000 half of that; with 50,000
# nothing was won any more, and each pause was longer.
YOUNG_OBJECTS = 10_000


@worker_process_init.connect
def tie_to_worker(**_: Any) -> None:
    """End a pool process with its worker: a killed worker's leases run out, so nobody may go on in its name."""
    die_with_parent()


@worker_process_init.connect
def collect_garbage_calmly(**_: Any) -> None:
    """Leave what starting up made (modules, models, URLs) out of every collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


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
