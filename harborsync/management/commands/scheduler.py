"""`manage.py scheduler`: the clock, alone. One is enough; several do no harm."""

from typing import Any

from django.core.management.base import BaseCommand

from replication.scheduler import run_forever


class Command(BaseCommand):
    """Runs the scheduler in this process."""

    help = "Start scheduled rules, revive what dead workers held, check endpoints, prune the history."

    def handle(self, *args: Any, **options: Any) -> None:
        """Tick until SIGTERM or SIGINT."""
        run_forever()
