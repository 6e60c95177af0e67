"""What becomes of transfers after an attempt: written for many at once, by one statement for each kind of end."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from django.db import transaction
from django.utils import timezone

from replication.bulk import Row, Value, update_rows
from replication.models import Execution, Status, Task, Transfer, increments, released
from replication.queue.transitions import close_tasks, is_limit, note_wait


class _Kind(Enum):
    """What differs in which columns it writes."""

    ENDED = auto()
    RETRIED = auto()
    PARKED = auto()


@dataclass(frozen=True)
class Settlement:
    """What becomes of a transfer after an attempt: a final status, or pending until the next one is due.

    With its figures: all of them as they are to be stored in its row (none when it was not begun), and by how much the
    sums of its task and execution grow.
    """

    transfer: Transfer
    status: Status
    reason_code: str = ""
    reason: str = ""
    until: datetime | None = None
    media_type: str = ""
    figures: Mapping[str, int] = field(default_factory=dict)
    increments: Mapping[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> _Kind:
        """Say whether it is over, is to be tried again, or is to wait for a limit."""
        if self.until is None:
            return _Kind.ENDED
        return _Kind.PARKED if is_limit(self.reason_code) else _Kind.RETRIED

    def sums(self) -> dict[str, int]:
        """Return by how much the counters of its task and execution grow."""
        match self.kind:
            case _Kind.ENDED:
                return {**self.increments, f"transfers_{self.status}": 1}
            case _Kind.PARKED:
                return {**self.increments, "waits": 1}
        return dict(self.increments)


def finish_transfer(
    transfer: Transfer, *, worker: str, status: Status, reason_code: str = "", reason: str = ""
) -> bool:
    """Write a transfer's final status, if this worker still holds it, and count it. Say whether it did."""
    ended = settle_transfers([Settlement(transfer, status, reason_code, reason)], worker=worker)
    close_tasks(ended)
    return bool(ended)


def settle_transfers(settlements: Sequence[Settlement], *, worker: str) -> set[int]:
    """Write what became of those transfers that this worker still holds; return the tasks in which one ended.

    Once the transaction is committed, those are to be given to `close_tasks`. The sums of a task and of the execution
    are changed once for all, so that workers seldom wait for each other there.
    """
    kinds: dict[_Kind, dict[int, Settlement]] = defaultdict(dict)
    for settlement in sorted(settlements, key=lambda settlement: settlement.transfer.pk):
        kinds[settlement.kind][settlement.transfer.pk] = settlement
    with transaction.atomic():
        written = [
            alike[pk] for kind, alike in kinds.items() for pk in _write(kind, list(alike.values()), worker=worker)
        ]
        _add_up(written)
        parked = {each.transfer.execution_id: each for each in written if each.kind is _Kind.PARKED}
        for execution_id, settlement in parked.items():
            note_wait(execution_id, settlement.until, settlement.reason)
    return {settlement.transfer.task_id for settlement in written if settlement.kind is _Kind.ENDED}


def _write(kind: _Kind, settlements: Sequence[Settlement], *, worker: str) -> set[int]:
    """Write those of one kind whose rows this worker still holds; return the keys of these."""
    moved = sorted({name for settlement in settlements for name in settlement.increments})
    own = {_Kind.ENDED: [], _Kind.RETRIED: ["next_attempt_at"], _Kind.PARKED: ["next_attempt_at", "waits"]}[kind]
    return update_rows(
        Transfer,
        ["status", "reason_code", "reason", "media_type", *own, *moved],
        [_row(settlement, moved) for settlement in settlements],
        alike={**_alike(kind), **released()},
        where={"status": Status.RUNNING.value, "lease_owner": worker},
    )


def _row(settlement: Settlement, moved: Sequence[str]) -> Row:
    """Return the values of one row; what has no news keeps what it was when this worker took it: nobody else writes."""
    transfer, figures = settlement.transfer, settlement.figures
    row: list[Value] = [
        transfer.pk,
        settlement.status.value,
        settlement.reason_code,
        settlement.reason,
        settlement.media_type or transfer.media_type,
    ]
    if settlement.until is not None:
        row.append(settlement.until)
    if settlement.kind is _Kind.PARKED:
        row.append(transfer.waits + 1)
    return [*row, *(figures[name] if figures else getattr(transfer, name) for name in moved)]


def _alike(kind: _Kind) -> dict[str, Value]:
    """Return what rows of a kind have in common.

    What waits because of a limit is not failed attempts: the time after which retries are given up, which counts from
    `started_at`, begins anew.
    """
    match kind:
        case _Kind.ENDED:
            return {"ended_at": timezone.now()}
        case _Kind.PARKED:
            return {"started_at": None, "parked_at": timezone.now()}
    return {}


def _add_up(settlements: Sequence[Settlement]) -> None:
    """Change the counters of the tasks (in one order for all workers: no deadlock) and of the execution."""
    tasks: dict[int, Counter[str]] = defaultdict(Counter)
    executions: dict[int, Counter[str]] = defaultdict(Counter)
    for settlement in settlements:
        sums = settlement.sums()
        tasks[settlement.transfer.task_id].update(sums)
        executions[settlement.transfer.execution_id].update(sums)
    for model, all_sums in ((Task, tasks), (Execution, executions)):
        for pk in sorted(all_sums):
            if changes := increments(all_sums[pk]):
                model._default_manager.filter(pk=pk).update(**changes)
