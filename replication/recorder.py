"""What happens in the engine's threads, gathered there and written here, at most once a second.

Threads call `log` and a `TransferProgress`; only the thread that owns the database calls `flush`.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from registry import (
    ArtifactSized,
    BlobCopied,
    BlobMounted,
    BlobPresent,
    BlobProgress,
    BlobResumed,
    BlobTakenBack,
    CopyEvent,
    ManifestPushed,
    Note,
    Tally,
)
from replication.bulk import insert_rows, update_rows
from replication.counting import COST_COLUMNS, add_costs, costs_of
from replication.models import Execution, LogLine, Task, Transfer, increments
from replication.wording import size_of

FLUSH_SECONDS = 1.0
LINE_COLUMNS = ("execution", "task", "at", "level", "message")
COUNTERS = ("bytes_total", "bytes_done", "bytes_copied", "bytes_mounted", "bytes_present", *COST_COLUMNS)


@dataclass
class TransferProgress:
    """The figures of one attempt at one transfer. Written by engine threads, read by the recorder."""

    transfer: Transfer
    log: Callable[[str, str], None]
    source_tally: Tally = field(default_factory=Tally)
    copied: int = 0
    mounted: int = 0
    present: int = 0
    taken_back: int = 0
    manifests: dict[str, int] = field(default_factory=dict)  # {digest: size}; one digest may get several tags
    is_reading_for_others: bool = False  # the source's side may go on after this transfer has come to its end
    total: int | None = None  # nothing is to be moved for a tag more on what the target has: 0 is known, too

    def __post_init__(self) -> None:
        self.target_tally = Tally(work=self.source_tally)

    def on_event(self, event: CopyEvent) -> None:
        """Take one event of the engine; the engine gives them one at a time."""
        match event:
            case ArtifactSized(size_bytes=size):
                self.total = size
            case BlobProgress(bytes_delta=delta):
                self.copied += delta
            case BlobResumed(bytes_delta=delta):
                self.present += delta
            case BlobTakenBack(bytes_delta=delta):
                self.taken_back += delta
            case BlobCopied(digest=digest, size_bytes=size):
                self.log("info", f"copied blob {digest} ({size_of(size)})")
            case BlobMounted(digest=digest, size_bytes=size):
                self.mounted += size
                self.log("info", f"mounted blob {digest} ({size_of(size)})")
            case BlobPresent(size_bytes=size):
                self.present += size
            case ManifestPushed(digest=digest, reference=reference, size_bytes=size):
                self.manifests[digest] = size
                self.log("info", f"pushed manifest {digest} as {reference}")
            case Note(level=level, message=message):
                self.log(level, message)

    def figures(self) -> dict[str, int]:
        """Return the transfer's counters as they are to be stored; none is lower than what is stored already.

        What an earlier attempt had to move and this one has not is at the target: it counts as done.
        """
        row = self.transfer
        done = self.copied - self.taken_back + self.mounted + self.present + sum(self.manifests.values())
        bytes_total = max(row.bytes_total, self.total or 0)
        if self.total is not None:
            done = min(done, self.total) + bytes_total - self.total
        return {
            "bytes_total": bytes_total,
            "bytes_done": max(row.bytes_done, done),
            "bytes_copied": row.bytes_copied + self.copied,
            "bytes_mounted": max(row.bytes_mounted, self.mounted),
            "bytes_present": max(row.bytes_present, self.present),
            **{column: getattr(row, column) + amount for column, amount in self._costs().items()},
        }

    def _costs(self) -> dict[str, int]:
        costs = costs_of(source=self.source_tally, target=self.target_tally)
        return {column: costs.get(column, 0) for column in COST_COLUMNS}


class Recorder:
    """The batching writer of one drain."""

    def __init__(self, execution_id: int) -> None:
        self._execution_id = execution_id
        self._lock = threading.Lock()
        self._lines: list[tuple[int, int | None, datetime, str, str]] = []
        self._progress: dict[int, TransferProgress] = {}
        self._written: dict[int, dict[str, int]] = {}
        self._left: dict[int, dict[str, int]] = {}
        self._flushed_at = time.monotonic()

    def log(self, message: str, *, level: str = LogLine.Level.INFO, task_id: int | None = None) -> None:
        """Keep a log line for the next flush. Any thread may call."""
        line = (self._execution_id, task_id, timezone.now(), str(level), message)
        with self._lock:
            self._lines.append(line)

    def follow(self, transfer: Transfer) -> TransferProgress:
        """Return where the engine reports about this attempt at a transfer."""
        progress = TransferProgress(
            transfer, lambda level, message: self.log(message, level=level, task_id=transfer.task_id)
        )
        self._progress[transfer.pk] = progress
        self._written[transfer.pk] = {name: getattr(transfer, name) for name in COUNTERS}
        return progress

    def leave(self, transfer: Transfer) -> tuple[dict[str, int], dict[str, int]]:
        """End the following of an attempt; return its figures, and by how much they grew since they were written.

        Whoever records the attempt's end writes both with it, or has it done by `flush` before.
        """
        progress, written = self._progress.pop(transfer.pk, None), self._written.pop(transfer.pk, None)
        if progress is None or written is None:
            return {}, {}
        figures = progress.figures()
        if progress.is_reading_for_others:
            self._left[transfer.pk] = figures
        return figures, {name: value - written[name] for name, value in figures.items() if value != written[name]}

    def count_late(self, progress: TransferProgress) -> None:
        """Add what was read for others since the end of this transfer was recorded, if it was."""
        transfer, left = progress.transfer, self._left.pop(progress.transfer.pk, None)
        progress.is_reading_for_others = False
        if left is None:
            return
        figures = progress.figures()
        late = {column: figures[column] - left[column] for column in COST_COLUMNS}
        if changes := increments(late):
            with transaction.atomic():
                Transfer.objects.filter(pk=transfer.pk).update(**changes)
                add_costs(late, execution_id=transfer.execution_id, task_id=transfer.task_id)

    def tick(self) -> bool:
        """Flush if a second has passed; say whether it did."""
        if time.monotonic() - self._flushed_at < FLUSH_SECONDS:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Write log lines and progress in one short transaction."""
        self._flushed_at = time.monotonic()
        changes = self._changes()
        if not self._lines and not changes:
            return
        with transaction.atomic():
            self.flush_lines()
            self._write(changes)

    def flush_lines(self) -> None:
        """Write the log lines alone."""
        with self._lock:
            lines, self._lines = self._lines, []
        insert_rows(LogLine, LINE_COLUMNS, lines)

    def _changes(self) -> dict[int, dict[str, int]]:
        """Return `{transfer id: figures}` for the transfers whose figures moved."""
        figures = {pk: progress.figures() for pk, progress in self._progress.items()}
        return {pk: values for pk, values in figures.items() if values != self._written[pk]}

    def _write(self, changes: dict[int, dict[str, int]]) -> None:
        tasks: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COUNTERS, 0))
        whole = dict.fromkeys(COUNTERS, 0)
        update_rows(Transfer, COUNTERS, [(pk, *map(changes[pk].__getitem__, COUNTERS)) for pk in sorted(changes)])
        for pk, values in changes.items():
            task = tasks[self._progress[pk].transfer.task_id]
            for name, value in values.items():
                delta = value - self._written[pk][name]
                task[name] += delta
                whole[name] += delta
            self._written[pk] = values
        for task_id, deltas in sorted(tasks.items()):  # one order for all workers: no deadlock
            Task.objects.filter(pk=task_id).update(**increments(deltas))
        if changes:
            Execution.objects.filter(pk=self._execution_id).update(**increments(whole))
