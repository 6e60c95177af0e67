"""`manage.py replicate RULE`: run a rule now and wait for its end."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from replication.models import Execution, Rule, Status, Trigger
from replication.services import RuleDisabled, start_execution

POLL_SECONDS = 0.5


class Command(BaseCommand):
    """The run is carried out by the workers, like any other."""

    help = "Run a replication rule now and wait for its end; exits with 1 when it does not succeed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the rule's name and how to run it."""
        parser.add_argument("rule", help="the rule's name")
        parser.add_argument(
            "--verify", action="store_true", help="ask the targets for every tag, whatever is remembered of them"
        )
        parser.add_argument("--no-wait", action="store_true", help="start it and return at once")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start, wait, and say how it ended."""
        try:
            rule = Rule.objects.get(name=options["rule"])
            execution = start_execution(rule, trigger=Trigger.MANUAL, verify=options["verify"])
        except Rule.DoesNotExist as error:
            names = ", ".join(Rule.objects.values_list("name", flat=True)[:20]) or "none"
            raise CommandError(f"There is no rule named {options['rule']}. Rules: {names}.") from error
        except RuleDisabled as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Execution {execution.pk} started.")
        if not options["no_wait"]:
            self._wait(execution)

    def _wait(self, execution: Execution) -> None:
        shown = ""
        while not execution.is_finished:
            time.sleep(POLL_SECONDS)
            execution.refresh_from_db()
            finished, total = execution.transfers_finished, execution.transfers_total
            line = f"{finished} of {total} artifacts, {execution.bytes_done} bytes"
            if line != shown:
                self.stdout.write(line)
                shown = line
        self.stdout.write(f"{execution.get_status_display()}. {execution.status_text}")
        if execution.status != Status.SUCCEEDED:
            raise CommandError(f"The execution {execution.status}.", returncode=1)
