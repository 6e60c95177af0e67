"""Starting and stopping runs."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from replication.models import OPEN, Execution, LogLine, Rule, Status, Trigger
from replication.plan import Scope
from replication.queue import doorbell
from replication.queue.transitions import log, stop_waiting_rows

# Harbor's words; its clients look for the first two.
SKIPPED_TEXT = "Execution skipped: active replication still in progress."


class RuleDisabled(Exception):
    """A deactivated rule cannot be run."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(_("Rule %(rule)s is deactivated. Enable it first.") % {"rule": rule.name})


def start_execution(
    rule: Rule,
    *,
    trigger: str,
    by: User | None = None,
    scope: Sequence[Scope] | None = None,
    verify: bool = False,
    is_calling: bool = True,
) -> Execution:
    """Begin a run of the rule as it is now: of everything it matches, or of `scope`.

    `verify` has the targets asked for every tag, whatever is remembered of them: one request more per tag and target.
    Workers are called to it, unless whoever begins it works on it at once (`is_calling` False).
    With "single active" and a run under way, the new one is recorded as skipped. Raises RuleDisabled.
    """
    with transaction.atomic():
        # The lock makes "is one active?" and "insert one" a single step.
        locked = Rule.objects.select_for_update(of=("self",)).select_related("project", "source").get(pk=rule.pk)
        if not locked.enabled:
            raise RuleDisabled(locked)
        is_blocked = locked.single_active and locked.executions.filter(status__in=OPEN).exists()
        execution = Execution.objects.create(
            rule=locked,
            rule_name=locked.name,
            project=locked.project,
            trigger=trigger,
            requested_by=by,
            requested_by_name=by.get_username() if by else "",
            spec=locked.to_spec().to_json(),
            scope=None if scope is None else [item.to_json() for item in scope],
            verify=verify,
            rung_at=timezone.now(),
            **(_skipped() if is_blocked else {}),
        )
        if is_blocked:
            log(execution.pk, SKIPPED_TEXT, level=LogLine.Level.WARNING)
        elif is_calling:
            doorbell.call(doorbell.DRAIN, execution.pk)
    return execution


def _skipped() -> dict[str, object]:
    now = timezone.now()
    return {"status": Status.SKIPPED, "status_text": SKIPPED_TEXT, "started_at": now, "listed_at": now, "ended_at": now}


def stop_execution(execution: Execution, *, by: User | None) -> None:
    """Ask a run to stop: what waits is ended now, what moves within a second. A finished run is left as it is."""
    asked = Execution.objects.filter(pk=execution.pk, status__in=OPEN, stop_requested_at__isnull=True).update(
        stop_requested_at=timezone.now()
    )
    if not asked:
        return
    name = by.get_username() if by else "HarborSync"
    log(execution.pk, f"Stop requested by {name}.", level=LogLine.Level.WARNING)
    stop_waiting_rows(execution.pk)


def retry_failed(execution: Execution, *, by: User | None) -> Execution:
    """Begin a new run limited to the repositories that failed or were stopped in this one.

    It verifies if that run was to verify: there it did not come to it. Raises RuleDisabled; Rule.DoesNotExist when the
    rule was deleted.
    """
    if execution.rule is None:
        raise Rule.DoesNotExist(_("The rule of this execution was deleted."))
    left = execution.tasks.filter(status__in=(Status.FAILED, Status.STOPPED))
    scopes = {task.source_repository: Scope.from_json(task.scope) if task.scope else None for task in left.iterator()}
    return start_execution(
        execution.rule,
        trigger=Trigger.MANUAL,
        by=by,
        scope=[scope or Scope(repository, is_whole=True) for repository, scope in scopes.items()],
        verify=execution.verify,
    )
