"""Copying and deleting: one artifact, to (or at) each of its targets."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue

from django.utils import timezone

from registry import (
    CopyEvent,
    CopyResult,
    CopySource,
    CopyTarget,
    NotFoundError,
    ProtocolError,
    RegistryError,
    Stopped,
    TargetFinished,
    copy_artifact,
)
from replication import engine
from replication.models import Operation, Status, Task, Transfer
from replication.own_writes import announce
from replication.queue import claims
from replication.queue.transitions import finish_transfer, postpone_transfer
from replication.recorder import TransferProgress
from replication.retries import Verdict
from replication.runner.context import Context
from replication.sync_states import forget, remember
from replication.wording import size_of


class SourceGoneError(NotFoundError):
    """The tag moved or went after planning; the event (or the next run) about that brings the new state."""

    code = "source_gone"


def claim_copy(context: Context) -> "CopyWork | None":
    """Take one artifact, with all its targets that are due."""
    transfers = claims.claim_artifact(context.execution.pk, worker=context.worker, now=timezone.now())
    return CopyWork(context, transfers) if transfers else None


@dataclass(frozen=True, slots=True)
class _Order:
    """What a network thread needs for one target: no row in it is touched there."""

    transfer_id: int
    source: CopySource
    target: CopyTarget
    progress: TransferProgress


Outcome = CopyResult | Exception | None
"""What was copied; what went wrong; None for a deletion that was done."""


@dataclass
class CopyWork:
    """One artifact. `run` is called in a network thread."""

    context: Context
    transfers: list[Transfer]

    def __post_init__(self) -> None:
        tasks = Task.objects.in_bulk([transfer.task_id for transfer in self.transfers])
        self._tasks: dict[int, Task] = {transfer.pk: tasks[transfer.task_id] for transfer in self.transfers}
        self._orders: dict[int, _Order | RegistryError] = {t.pk: self._order(t) for t in self.transfers}
        self._arrived: SimpleQueue[tuple[int, CopyResult]] = SimpleQueue()
        self._settled: set[int] = set()

    def _order(self, transfer: Transfer) -> "_Order | RegistryError":
        task = self._tasks[transfer.pk]
        progress = self.context.recorder.follow(transfer)
        try:
            source = self.context.client(self.context.spec.source_id, progress.tally)
            target = self.context.client(task.target_id, progress.tally)
        except RegistryError as error:
            return error
        tags = tuple(transfer.tags)
        is_in_source_registry = task.target_id == self.context.spec.source_id
        return _Order(
            transfer.pk,
            CopySource(source, task.source_repository, transfer.digest),
            CopyTarget(target, task.target_repository, tags, is_in_source_registry=is_in_source_registry),
            progress,
        )

    def run(self) -> Mapping[int, Outcome]:
        """Do it for all targets; one that fails does not keep the others from theirs. `{transfer id: outcome}`."""
        outcomes: dict[int, Outcome] = {pk: e for pk, e in self._orders.items() if isinstance(e, RegistryError)}
        orders = [order for order in self._orders.values() if isinstance(order, _Order)]
        if self.transfers[0].operation == Operation.DELETION:
            outcomes |= {order.transfer_id: _outcome_of_deletion(order) for order in orders}
        elif orders:
            outcomes |= self._copy(orders)
        return outcomes

    def _copy(self, orders: list[_Order]) -> Mapping[int, Outcome]:
        """Copy to all targets in one go. What the source is asked counts for the first of them."""
        spec = self.context.spec
        options = engine.copy_options(kilobits_per_second=spec.kilobits_per_second, copy_by_chunk=spec.copy_by_chunk)

        def on_event(target_index: int, event: CopyEvent) -> None:
            order = orders[target_index]
            order.progress.on_event(event)
            if isinstance(event, TargetFinished) and isinstance(event.outcome, CopyResult):
                self._arrived.put((order.transfer_id, event.outcome))

        targets = [order.target for order in orders]
        try:
            found = copy_artifact(orders[0].source, targets, options=options, on_event=on_event, stop=self.context.stop)
        except Stopped as stopped:
            return {order.transfer_id: stopped for order in orders}
        return {
            order.transfer_id: _after_not_found(order, outcome) if isinstance(outcome, NotFoundError) else outcome
            for order, outcome in zip(orders, found, strict=True)
        }

    def tick(self) -> None:
        """Record what has arrived at its target, though others are still on their way. Failures wait for the end."""
        while not self._arrived.empty():
            pk, result = self._arrived.get()
            self._settled.add(pk)
            self._succeed(next(transfer for transfer in self.transfers if transfer.pk == pk), result)

    def settle(self, future: "Future[Mapping[int, Outcome]]") -> None:
        """Record each target's outcome."""
        self.tick()
        error = future.exception()
        for transfer in self._unsettled():
            outcome = error if error is not None else future.result()[transfer.pk]
            if isinstance(outcome, BaseException):
                self._fail(transfer, outcome)
            else:
                self._succeed(transfer, outcome)

    def give_up(self) -> None:
        """Settle as stopped without waiting for the network thread."""
        self.tick()
        for transfer in self._unsettled():
            self._fail(transfer, Stopped())

    def _unsettled(self) -> list[Transfer]:
        """End the following of all transfers; return those whose outcome is not recorded yet."""
        for transfer in self.transfers:
            self.context.recorder.leave(transfer)
        return [transfer for transfer in self.transfers if transfer.pk not in self._settled]

    def _succeed(self, transfer: Transfer, result: CopyResult | None) -> None:
        task = self._tasks[transfer.pk]
        tags = ", ".join(transfer.tags)
        if result is None:
            forget(task.target_id, task.target_repository, transfer.tags)
            done = f"deleted {task.target_repository}:{tags} ({transfer.digest}) at {task.target_name}"
        else:
            digests = dict.fromkeys(transfer.tags, transfer.digest)
            remember(task.target_id, task.target_repository, digests)
            if self.context.is_source_a_target:
                remember(self.context.spec.source_id, task.source_repository, digests)
            Transfer.objects.filter(pk=transfer.pk).update(media_type=result.media_type)
            done = f"copied {task.source_repository}:{tags} ({transfer.digest}) to {task.target_name}"
            # What is read for several targets is counted for the first: the sum is what the source sent.
            done += f"; read {size_of(result.bytes_read)} from the source"
        self.context.recorder.log(done, task_id=task.pk)
        self.context.recorder.flush()
        announce(task, transfer, source_id=self.context.spec.source_id)
        finish_transfer(transfer, worker=self.context.worker, status=Status.SUCCEEDED)

    def _fail(self, transfer: Transfer, error: BaseException) -> None:
        task = self._tasks[transfer.pk]
        verdict = self._judge(transfer, error)
        what = f"{task.target_repository}:{', '.join(transfer.tags)}"
        self.context.log_verdict(what, verdict, error, task_id=task.pk)
        self.context.recorder.flush()
        if verdict.status == "pending":
            postpone_transfer(
                transfer,
                worker=self.context.worker,
                until=self.context.later(verdict),
                reason_code=verdict.code,
                reason=verdict.message,
            )
            return
        finish_transfer(
            transfer,
            worker=self.context.worker,
            status=Status(verdict.status),
            reason_code=verdict.code,
            reason=verdict.message,
        )

    def _judge(self, transfer: Transfer, error: BaseException) -> Verdict:
        if isinstance(error, SourceGoneError):
            return Verdict("skipped", error.code, str(error))
        return self.context.judge(error, attempts=transfer.attempts, started_at=transfer.started_at)


def _outcome_of_deletion(order: _Order) -> Exception | None:
    target = order.target
    try:
        target.client.delete_tags(target.repository, target.tags, digest=order.source.digest)
    except NotFoundError as error:
        return _after_not_found(order, error)
    except (RegistryError, Stopped) as error:
        return error
    return None


def _after_not_found(order: _Order, error: NotFoundError) -> Exception:
    """Tell a source that lost the artifact from a target where something is missing, such as the project."""
    try:
        found = order.source.client.head_manifest(order.source.repository, order.source.digest)
    except (RegistryError, Stopped) as other:
        return other
    if found:
        return error
    return _misnamed(order) or SourceGoneError(f"The source no longer has {order.source.digest}.")


def _misnamed(order: _Order) -> Exception | None:
    """Tell a tag that moved on from one whose digest header is wrong: it goes on to name what is not there."""
    source, tag = order.source, order.target.tags[0]
    try:
        is_misnamed = source.client.is_misnamed(source.repository, tag, source.digest)
    except (RegistryError, Stopped) as other:
        return other
    if not is_misnamed:
        return None
    return ProtocolError(f"The source names {source.digest} for {source.repository}:{tag}, but does not have it.")
