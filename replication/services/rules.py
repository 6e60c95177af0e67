"""What can be done to rules."""

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from replication.filters import FilterSpec
from replication.models import OPEN, Execution, Rule, RuleFilter, RuleTarget, Trigger
from replication.plan import TargetSpec
from replication.schedules import next_runs
from replication.services.executions import start_execution
from replication.services.validation import validate_rule


class RuleIsActive(Exception):
    """The rule cannot go while one of its executions is under way."""

    def __init__(self, rule: Rule, execution_ids: Sequence[int]) -> None:
        self.execution_ids = execution_ids
        super().__init__(
            _("Rule %(rule)s has executions that are not over: %(executions)s. Stop them first.")
            % {"rule": rule.name, "executions": ", ".join(str(pk) for pk in execution_ids)}
        )


def save_rule(
    rule: Rule,
    *,
    filters: Sequence[FilterSpec],
    targets: Sequence[TargetSpec],
    by: User | None,
    replicate_existing: bool = False,
) -> Rule:
    """Validate and store a rule with its filters and targets, which replace what was there.

    `replicate_existing` starts a run when the rule is enabled. Raises ValidationError by field.
    """
    validate_rule(rule, filters=filters, targets=targets)
    with transaction.atomic():
        if rule._state.adding:
            rule.created_by = by
        rule.next_run_at = _next_run(rule)
        rule.save()
        rule.filters.all().delete()
        rule.targets.all().delete()
        RuleFilter.objects.bulk_create(
            RuleFilter(rule=rule, position=i, kind=f.kind, value=f.value, decoration=f.decoration)
            for i, f in enumerate(filters)
        )
        RuleTarget.objects.bulk_create(
            RuleTarget(
                rule=rule, position=i, endpoint_id=t.endpoint_id, namespace=t.namespace, flatten_level=t.flatten_level
            )
            for i, t in enumerate(targets)
        )
        if replicate_existing and rule.enabled:
            start_execution(rule, trigger=Trigger.MANUAL, by=by)
    return rule


def _next_run(rule: Rule) -> datetime | None:
    """Return when a scheduled rule runs next."""
    if rule.trigger != Trigger.SCHEDULED or not rule.enabled:
        return None
    return next_runs(rule.cron, rule.time_zone, now=timezone.now(), count=1)[0]


def set_rule_enabled(rule: Rule, *, enabled: bool, by: User | None, replicate_existing: bool) -> Execution | None:
    """Switch a rule on or off; switching on can copy what is there already. Runs under way go on."""
    with transaction.atomic():
        rule.enabled = enabled
        rule.next_run_at = _next_run(rule)
        rule.save(update_fields=["enabled", "next_run_at", "updated_at"])
        if enabled and replicate_existing:
            return start_execution(rule, trigger=Trigger.MANUAL, by=by)
    return None


def delete_rule(rule: Rule) -> None:
    """Delete a rule; its finished executions stay, under its name. Raises RuleIsActive."""
    with transaction.atomic():
        active = list(rule.executions.filter(status__in=OPEN).values_list("pk", flat=True)[:10])
        if active:
            raise RuleIsActive(rule, active)
        rule.delete()
