"""How far an execution or a task has come, in numbers and in one line of text."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from harborsync.lib.formats import format_duration, format_rate, format_size
from replication.models import Execution, Status, Task

# Before that, a rate says nothing.
STEADY_SECONDS = 2


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """What the progress bar shows; `value` of `maximum` is None while nothing is known."""

    value: int | None
    maximum: int
    text: str
    look: str


def report_progress(row: Execution | Task, *, now: datetime) -> ProgressReport:
    """Return the progress: "18 / 29 artifacts · 1 failed · 393 MiB of 640 MiB · 12 MiB/s · about 40 s left"."""
    value, maximum = _bar(row)
    parts = [_("%(done)d / %(total)d artifacts") % {"done": row.transfers_finished, "total": row.transfers_total}]
    if row.transfers_failed:
        parts.append(_("%(count)d failed") % {"count": row.transfers_failed})
    if row.bytes_total:
        sizes = {"done": format_size(row.bytes_done), "total": format_size(row.bytes_total)}
        parts.append(_("%(done)s of %(total)s") % sizes)
    rate = _bytes_per_second(row, now)
    if rate:
        parts.append(format_rate(rate))
        left = max(row.bytes_total - row.bytes_done, 0)
        if row.ended_at is None and left and _is_planned(row):
            parts.append(_("about %(time)s left") % {"time": format_duration(timedelta(seconds=left / rate))})
    look = {"failed": "danger", "succeeded": "success"}.get(row.status, "active")
    return ProgressReport(value, maximum, " · ".join(parts), look)


def _bar(row: Execution | Task) -> tuple[int | None, int]:
    """Measure by bytes where there are any, else by what is finished; a finished row is full."""
    if row.is_finished:
        return 1, 1
    if row.bytes_total:
        return min(row.bytes_done, row.bytes_total), row.bytes_total
    if isinstance(row, Execution) and row.tasks_total:
        return row.tasks_finished, row.tasks_total
    return None, 1


def _bytes_per_second(row: Execution | Task, now: datetime) -> float:
    """Return the average rate of what really travelled."""
    if row.started_at is None or row.status == Status.PENDING:
        return 0
    seconds = ((row.ended_at or now) - row.started_at).total_seconds()
    return row.bytes_copied / seconds if seconds >= STEADY_SECONDS else 0


def _is_planned(row: Execution | Task) -> bool:
    """Say whether the amount of work is known, so that a time left can be told."""
    return (row.listed_at if isinstance(row, Execution) else row.planned_at) is not None
