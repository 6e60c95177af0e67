"""`manage.py prune`: delete history that is older than it has to be kept."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from replication.pruning import prune


class Command(BaseCommand):
    """The scheduler does the same every hour."""

    help = "Delete executions and events older than HARBORSYNC_HISTORY_KEEP_DAYS, or beyond _KEEP_PER_RULE."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune once and say how much went."""
        self.stdout.write(f"{prune(timezone.now())} executions deleted.")
