"""Chains: what we wrote to a registry is news to the rules that read from it.

The registry's own notification about our write is ignored (it may be late, or lost, or about a loop); instead the
write is put down here as an event that knows where it came from, so that it is not sent back there.
"""

from collections.abc import Sequence

from registry.companions import fallback_tag
from replication.models import Event, Operation, Rule, Transfer, Trigger
from replication.queue import doorbell


def announce(transfers: Sequence[Transfer], *, source_id: int) -> None:
    """Store an event for each tag we wrote or deleted, if an event-based rule reads from that registry.

    Referrers have no tag; the fallback tag of their subject stands for them, also where the registry has none.
    """
    places = {transfer.task.target_id for transfer in transfers}
    readers = Rule.objects.filter(enabled=True, trigger=Trigger.EVENT_BASED, source_id__in=places - {None})
    read_places = set(readers.values_list("source_id", flat=True)) if transfers else set()
    news = [
        event
        for transfer in transfers
        if transfer.task.target_id is not None and transfer.task.target_id in read_places
        for event in _events(transfer, transfer.task.target_id, source_id)
    ]
    if news:
        Event.objects.bulk_create(news, ignore_conflicts=True)
        doorbell.call(doorbell.PROCESS_EVENTS)


def _events(transfer: Transfer, endpoint_id: int, source_id: int) -> list[Event]:
    task = transfer.task
    action = Event.Action.DELETE if transfer.operation == Operation.DELETION else Event.Action.PUSH
    return [
        Event(
            endpoint_id=endpoint_id,
            source_id=f"own:{transfer.pk}:{transfer.attempts}:{position}",
            action=action,
            repository=task.target_repository,
            tag=tag,
            digest=transfer.digest,
            raw={"origin": {"endpoint": source_id, "repository": task.source_repository}},
        )
        for position, tag in enumerate(transfer.tags or [fallback_tag(transfer.digest)])
    ]
