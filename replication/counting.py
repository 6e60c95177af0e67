"""Adding up what work cost: from the tallies of its two sides, and from attempts that came again or waited.

Every figure is added by F() to the row that it is about and to those above it, always in this order, so that workers
do not wait for each other in a circle: transfers, tasks, execution.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Model, QuerySet

from registry import Tally
from replication.models import Execution, Task, Transfer, increments
from replication.models.costs import METHODS, OTHER, SIDES, column_of

Claimed = Execution | Task | Transfer

COST_COLUMNS = (
    "requests",
    *(column_of(side, method) for side in SIDES for method in (*METHODS[side], OTHER)),
    "bytes_read",
    "bytes_written",
    "retries",
)


def costs_of(*, source: Tally | None = None, target: Tally | None = None) -> dict[str, int]:
    """Return the columns that the two sides of a piece of work moved, and by how much so far."""
    costs: Counter[str] = Counter()
    for side, tally in (("source", source), ("target", target)):
        if tally is None:
            continue
        for method, count in tally.requests.items():
            costs["requests"] += count
            costs[column_of(side, method)] += count
        costs["retries"] += tally.retries
    costs["bytes_read"] = source.bytes_received if source else 0
    costs["bytes_written"] = target.bytes_sent if target else 0
    return {column: amount for column, amount in costs.items() if amount}


def add_costs(costs: Mapping[str, int], *, execution_id: int, task_id: int | None = None) -> None:
    """Add to the sums of a task and of its execution, or of the execution alone."""
    if task_id is not None:
        _add(Task, task_id, costs)
    _add(Execution, execution_id, costs)


def count_another_attempt(rows: Sequence[Claimed], now: datetime) -> None:
    """Count what was just claimed for another time: the end of a wait, or else a retry.

    So the attempts at a row are 1 + its waits + those of its retries that were no mere second request; waits for a time
    window to end add none, when nothing was tried. The rows that were handed in know it too. Costs nothing for what is
    taken for the first time.
    """
    added: dict[int, dict[str, int]] = {}
    for row in rows:
        if row.parked_at is not None:
            added[row.pk] = {"waited_seconds": _seconds(row.parked_at, now)}
        elif row.attempts > 1:
            added[row.pk] = {"retries": 1}
    again = [row for row in rows if row.pk in added]
    _count(again, added)
    for row in again:
        for column, amount in added[row.pk].items():
            setattr(row, column, getattr(row, column) + amount)
    _unpark([row for row in again if row.parked_at is not None])


def count_waits(rows: "QuerySet[Execution] | QuerySet[Task] | QuerySet[Transfer]") -> None:
    """Count rows that are about to be put off without an attempt; those that wait already wait on."""
    parked: list[Claimed] = list(rows.filter(parked_at__isnull=True))
    _count(parked, {row.pk: {"waits": 1} for row in parked})


def count_stopped_waits(rows: "QuerySet[Execution] | QuerySet[Task] | QuerySet[Transfer]", now: datetime) -> None:
    """Count how long rows were parked that are about to be stopped."""
    parked: list[Claimed] = list(rows.filter(parked_at__isnull=False))
    _count(parked, {row.pk: {"waited_seconds": _seconds(row.parked_at, now)} for row in parked})
    _unpark(parked)


def _seconds(since: datetime | None, now: datetime) -> int:
    return max(round((now - since).total_seconds()), 0) if since else 0


def _unpark(rows: Iterable[Claimed]) -> None:
    for row in rows:
        row.parked_at = None
    for model, ids in _by_model(rows).items():
        model._default_manager.filter(pk__in=ids).update(parked_at=None)


def _by_model(rows: Iterable[Claimed]) -> dict[type[Model], list[int]]:
    found: dict[type[Model], list[int]] = defaultdict(list)
    for row in rows:
        found[type(row)].append(row.pk)
    return found


def _count(rows: Sequence[Claimed], added: Mapping[int, Mapping[str, int]]) -> None:
    """Add figures to rows of one kind (`{row id: {column: amount}}`) and to those above them: one UPDATE per amount."""
    if not rows:
        return
    alike: dict[tuple[tuple[str, int], ...], list[int]] = defaultdict(list)
    tasks: dict[int, Counter[str]] = defaultdict(Counter)
    executions: dict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        alike[tuple(added[row.pk].items())].append(row.pk)
        if isinstance(row, Transfer):
            tasks[row.task_id].update(added[row.pk])
        if not isinstance(row, Execution):
            executions[row.execution_id].update(added[row.pk])
    for costs, ids in alike.items():
        type(rows[0])._default_manager.filter(pk__in=ids).update(**increments(dict(costs)))
    for task_id in sorted(tasks):
        _add(Task, task_id, tasks[task_id])
    for execution_id in sorted(executions):
        _add(Execution, execution_id, executions[execution_id])


def _add(model: type[Model], pk: int, costs: Mapping[str, int]) -> None:
    if changes := increments(costs):
        model._default_manager.filter(pk=pk).update(**changes)
