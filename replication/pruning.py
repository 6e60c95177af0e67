"""Letting go of old history."""

from datetime import datetime, timedelta

from django.conf import settings

from replication.models import FINISHED, Event, Execution, ReferrerState, Rule

BATCH_EXECUTIONS = 50


def prune(now: datetime) -> int:
    """Delete finished executions that are too old, or too many for their rule, and events as old. Return how many.

    What is known of referrers goes as well when nobody has asked for so long: runs refresh what they still use.
    """
    before = now - timedelta(days=settings.HISTORY_KEEP_DAYS)
    finished = Execution.objects.filter(status__in=FINISHED)
    count = _delete(list(finished.filter(ended_at__lt=before).values_list("pk", flat=True)))
    for rule_id in Rule.objects.values_list("pk", flat=True):
        surplus = finished.filter(rule_id=rule_id).order_by("-id")[settings.HISTORY_KEEP_PER_RULE :]
        count += _delete(list(surplus.values_list("pk", flat=True)))
    Event.objects.filter(received_at__lt=before, processed_at__isnull=False).delete()
    ReferrerState.objects.filter(checked_at__lt=before).delete()
    return count


def _delete(execution_ids: list[int]) -> int:
    """Delete in small transactions, so that nobody waits long; tasks, transfers and log lines go along."""
    for start in range(0, len(execution_ids), BATCH_EXECUTIONS):
        Execution.objects.filter(pk__in=execution_ids[start : start + BATCH_EXECUTIONS]).delete()
    return len(execution_ids)
