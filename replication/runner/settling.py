"""Recording what became of artifacts: many at once, in one short transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from registry import CopyResult
from replication.models import Status, Task, Transfer
from replication.own_writes import announce
from replication.queue.settlements import Settlement, settle_transfers
from replication.queue.transitions import close_tasks
from replication.referrer_states import remember_copied
from replication.retries import Verdict
from replication.runner.context import Context
from replication.runner.gone import SourceGoneError
from replication.sync_states import Seen, forget, origins_kept, remember_all
from replication.wording import count_of, size_of

Outcome = CopyResult | BaseException | None
"""What was copied; what went wrong; None for a deletion that was done."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a network thread gave back for one transfer."""

    transfer: Transfer
    outcome: Outcome

    @property
    def task(self) -> Task:
        """The transfer's task, which was read with it."""
        return self.transfer.task

    @property
    def is_news(self) -> bool:
        """Whether the target is another than before as far as others can see."""
        is_changed = isinstance(self.outcome, CopyResult) and self.outcome.referrers_copied > 0
        return bool(self.transfer.tags) or is_changed

    def named_in(self, repository: str) -> str:
        """Name the artifact for people."""
        if self.transfer.is_of_referrers:
            return f"what refers to {repository}@{self.transfer.digest}"
        return f"{repository}:{', '.join(self.transfer.tags)}"


def settle(context: Context, results: Sequence[Result]) -> None:
    """Record results: first what the targets hold now, then the rows, then what follows from them.

    All of it is one transaction, so that a worker that dies leaves nothing half done; what it leaves between that and
    the closing of tasks is found by the sweep.
    """
    if not results:
        return
    done = [result for result in results if not isinstance(result.outcome, BaseException)]
    with transaction.atomic():
        _remember(context, done)
        settlements = [_settlement(context, result) for result in results]
        announce([result.transfer for result in done if result.is_news], source_id=context.spec.source_id)
        context.recorder.flush_lines()  # before the line that tells of the end
        ended = settle_transfers(settlements, worker=context.worker)
    close_tasks(ended)


def _remember(context: Context, done: Sequence[Result]) -> None:
    """Note what was put or deleted; on the source's side too, if rules write there."""
    seen: list[Seen] = []
    at_source: list[Seen] = []
    for result in done:
        task, transfer = result.task, result.transfer
        if not isinstance(result.outcome, CopyResult):
            forget(task.target_id, task.target_repository, transfer.tags)
            continue
        digest, choice = result.outcome.digest, str(context.spec.choice or "")
        origin = transfer.digest if transfer.digest != digest else ""
        if task.target_id is not None:
            place = (task.target_id, task.target_repository)
            seen += [Seen(*place, tag, digest, origin, choice) for tag in transfer.tags]
        if context.is_source_a_target:
            place = (context.spec.source_id, task.source_repository)
            at_source += [Seen(*place, tag, transfer.digest) for tag in transfer.tags]
    remember_all([*seen, *origins_kept(at_source)])
    copied = ((result.transfer, result.outcome) for result in done if isinstance(result.outcome, CopyResult))
    remember_copied(copied)


def _settlement(context: Context, result: Result) -> Settlement:
    """Return what is to be written, and log it."""
    figures, increments = context.recorder.leave(result.transfer)
    if isinstance(result.outcome, BaseException):
        verdict = _judge(context, result.transfer, result.outcome)
        what = result.named_in(result.task.target_repository)
        context.log_verdict(what, verdict, result.outcome, task_id=result.task.pk)
        return Settlement(
            result.transfer,
            Status(verdict.status),
            verdict.code,
            verdict.message,
            until=context.later(verdict) if verdict.status == "pending" else None,
            figures=figures,
            increments=increments,
        )
    context.recorder.log(_done_line(result), task_id=result.task.pk)
    return Settlement(
        result.transfer,
        Status.SUCCEEDED,
        media_type=result.outcome.media_type if result.outcome else "",
        figures=figures,
        increments=increments,
    )


def _done_line(result: Result) -> str:
    task, digest = result.task, f" ({result.transfer.digest})" if result.transfer.tags else ""
    if result.outcome is None:
        return f"deleted {result.named_in(task.target_repository)}{digest} at {task.target_name}"
    assert isinstance(result.outcome, CopyResult)  # noqa: S101 (errors have another line)
    # What is read for several targets is counted for the first: the sum is what the source sent.
    read = f"read {size_of(result.outcome.bytes_read)} from the source"
    count = result.outcome.referrers_copied
    referrers = f", with {count_of(count, 'referrer', 'referrers')}" if count else ""
    return f"copied {result.named_in(task.source_repository)}{digest} to {task.target_name}{referrers}; {read}"


def _judge(context: Context, transfer: Transfer, error: BaseException) -> Verdict:
    if isinstance(error, SourceGoneError):
        return Verdict("skipped", error.code, str(error))
    return context.judge(error, attempts=transfer.attempts, started_at=transfer.started_at)
