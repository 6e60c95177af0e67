"""From notifications to executions: stored first, looked at later, gathered while a run is under way."""

import logging
from collections import defaultdict
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from replication.companions import is_companion_tag, is_list_tag
from replication.filters import accepts_repository, accepts_tag
from replication.mapping import MappingError, map_repository
from replication.models import OPEN, Event, Execution, Rule, RuleEvent, Status, Trigger
from replication.plan import RuleSpec, Scope
from replication.queue import doorbell
from replication.services.executions import start_execution
from replication.sync_states import doubt

logger = logging.getLogger(__name__)

BATCH_EVENTS = 500
# One run takes at most this many events; the rest goes into the next one.
EVENTS_PER_EXECUTION = 5000
# A rule with several targets may have this many runs that wait for a target to come back, beside a moving one.
PARKED_AT_MOST = 10


def process_events() -> list[Execution]:
    """Match the stored events with the rules and start what can be started. Safe to run in several workers.

    Nobody is called to the executions that are returned: that is the caller's to do, or to work on them.
    """
    started: list[Execution] = []
    while events := list(Event.objects.filter(processed_at__isnull=True).order_by("id")[:BATCH_EVENTS]):
        rules = _listening_rules({event.endpoint_id for event in events})
        with transaction.atomic():
            matches = [
                RuleEvent(rule=rule, event=event)
                for event in events
                for rule, spec in rules.get(event.endpoint_id, ())
                if concerns(spec, event)
            ]
            for event in events:
                if "origin" not in event.raw:
                    doubt(event.endpoint_id, event.repository, tag=event.tag, digest=event.digest)
            RuleEvent.objects.bulk_create(matches, ignore_conflicts=True, batch_size=500)
            Event.objects.filter(pk__in=[event.pk for event in events]).update(processed_at=timezone.now())
        for rule_id in sorted({match.rule_id for match in matches}):
            execution = start_waiting(rule_id, is_calling=False)
            started += [execution] if execution else []
    return started


def _listening_rules(endpoint_ids: Iterable[int]) -> dict[int, list[tuple[Rule, RuleSpec]]]:
    """Return the enabled event-based rules by source endpoint."""
    rules: dict[int, list[tuple[Rule, RuleSpec]]] = defaultdict(list)
    listening = Rule.objects.filter(enabled=True, trigger=Trigger.EVENT_BASED, source_id__in=list(endpoint_ids))
    for rule in listening.select_related("project").prefetch_related("filters", "targets"):
        rules[rule.source_id].append((rule, rule.to_spec()))
    return rules


def concerns(spec: RuleSpec, event: Event) -> bool:
    """Say whether a rule has to look at what the event tells of."""
    if event.action == Event.Action.DELETE and not spec.deletion:
        return False
    if not accepts_repository(spec.filters, event.repository, namespace=spec.namespace):
        return False
    if event.tag and not _takes_tag(spec, event):
        return False
    return not _leads_only_back(spec, event)


def _takes_tag(spec: RuleSpec, event: Event) -> bool:
    """Say whether a tag is the rule's business; of a companion that depends on its subject, and planning finds out.

    An index of referrers that went says nothing: referrers are never deleted.
    """
    if spec.referrers and is_companion_tag(event.tag):
        return not (event.action == Event.Action.DELETE and is_list_tag(event.tag))
    return accepts_tag(spec.filters, event.tag)


def _leads_only_back(spec: RuleSpec, event: Event) -> bool:
    """Say whether the event is our own write, and the rule would only send it back to where it came from."""
    origin = event.raw.get("origin")
    if not origin:
        return False
    try:
        places = {
            (t.endpoint_id, map_repository(event.repository, namespace=t.namespace, flatten_level=t.flatten_level))
            for t in spec.targets
        }
    except MappingError:
        return False
    return places <= {(origin["endpoint"], origin["repository"])}


def start_waiting(rule_id: int, *, is_calling: bool = True) -> Execution | None:
    """Start a run for the events that wait for a rule, unless one is under way that they will follow."""
    with transaction.atomic():
        rule = Rule.objects.select_for_update().filter(pk=rule_id).first()
        if rule is None:  # deleted meanwhile, and its waiting events with it
            return None
        waiting = RuleEvent.objects.filter(rule=rule, taken_at__isnull=True)
        if not rule.enabled:
            waiting.update(taken_at=timezone.now())
            return None
        taken = list(waiting.select_related("event").order_by("id")[:EVENTS_PER_EXECUTION])
        if not taken or _must_wait(rule):
            return None
        scope = gather(item.event for item in taken)
        execution = start_execution(rule, trigger=Trigger.EVENT_BASED, scope=scope, is_calling=is_calling)
        RuleEvent.objects.filter(pk__in=[item.pk for item in taken]).update(
            execution=execution, taken_at=timezone.now()
        )
    return execution


def _must_wait(rule: Rule) -> bool:
    """Say whether a run is under way that new events are to follow.

    A run that only waits for one of several targets to come back does not hold up the others.
    """
    active = rule.executions.filter(trigger=Trigger.EVENT_BASED, status__in=OPEN)
    count = active.count()
    if count == 0:
        return False
    if count >= PARKED_AT_MOST or rule.targets.count() == 1:
        return True
    parked = Q(status=Status.PENDING, next_attempt_at__isnull=False)
    return any(
        execution.transfers.filter(status__in=OPEN).exclude(parked).exists()
        or execution.tasks.filter(status__in=OPEN, planned_at__isnull=True).exclude(parked).exists()
        or execution.listed_at is None
        for execution in active
    )


def gather(events: Iterable[Event]) -> list[Scope]:
    """Return what to look at, one item per repository; many pushes of one tag are one look."""
    tags: dict[str, set[str]] = defaultdict(set)
    digests: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.tag:
            tags[event.repository].add(event.tag)
        elif event.action == Event.Action.DELETE:
            digests[event.repository].add(event.digest)
    return [
        Scope(repository, tuple(sorted(tags[repository])), tuple(sorted(digests[repository])))
        for repository in sorted({*tags, *digests})
    ]


def ring_for_events() -> None:
    """Have the stored events looked at."""
    doorbell.call(doorbell.PROCESS_EVENTS)
