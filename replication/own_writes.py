"""Chains: what we wrote to a registry is news to the rules that read from it.

The registry's own notification about our write is ignored (it may be late, or lost, or about a loop); instead the
write is put down here as an event that knows where it came from, so that it is not sent back there.
"""

from replication.models import Event, Operation, Rule, Task, Transfer, Trigger
from replication.queue import doorbell


def announce(task: Task, transfer: Transfer, *, source_id: int) -> None:
    """Store an event for each tag we wrote or deleted, if an event-based rule reads from that registry."""
    if task.target_id is None:
        return
    readers = Rule.objects.filter(enabled=True, trigger=Trigger.EVENT_BASED, source_id=task.target_id)
    if not readers.exists():
        return
    action = Event.Action.DELETE if transfer.operation == Operation.DELETION else Event.Action.PUSH
    Event.objects.bulk_create(
        [
            Event(
                endpoint_id=task.target_id,
                source_id=f"own:{transfer.pk}:{transfer.attempts}:{position}",
                action=action,
                repository=task.target_repository,
                tag=tag,
                digest=transfer.digest,
                raw={"origin": {"endpoint": source_id, "repository": task.source_repository}},
            )
            for position, tag in enumerate(transfer.tags)
        ],
        ignore_conflicts=True,
    )
    doorbell.call(doorbell.PROCESS_EVENTS)
