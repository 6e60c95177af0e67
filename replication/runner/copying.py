"""Copying and deleting: one artifact, to (or at) each of its targets."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from django.utils import timezone

from registry import CopyResult, CopySource, CopyTarget, NotFoundError, RegistryError, Stopped, copy_artifact
from replication import engine
from replication.models import Operation, Status, Task, Transfer
from replication.own_writes import announce
from replication.queue import claims
from replication.queue.transitions import finish_transfer, postpone_transfer
from replication.recorder import TransferProgress
from replication.retries import Verdict
from replication.runner.context import Context
from replication.sync_states import forget, remember


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

    source: CopySource
    target: CopyTarget
    progress: TransferProgress
    same_registry: bool


@dataclass
class CopyWork:
    """One artifact. `run` is called in a network thread."""

    context: Context
    transfers: list[Transfer]

    def __post_init__(self) -> None:
        tasks = Task.objects.in_bulk([transfer.task_id for transfer in self.transfers])
        self._tasks: dict[int, Task] = {transfer.pk: tasks[transfer.task_id] for transfer in self.transfers}
        self._orders: dict[int, _Order | RegistryError] = {t.pk: self._order(t) for t in self.transfers}

    def _order(self, transfer: Transfer) -> "_Order | RegistryError":
        task = self._tasks[transfer.pk]
        progress = self.context.recorder.follow(transfer)
        try:
            source = self.context.client(self.context.spec.source_id, progress.tally)
            target = self.context.client(task.target_id, progress.tally)
        except RegistryError as error:
            return error
        return _Order(
            CopySource(source, task.source_repository, transfer.digest),
            CopyTarget(target, task.target_repository, tuple(transfer.tags)),
            progress,
            same_registry=task.target_id == self.context.spec.source_id,
        )

    def run(self) -> Mapping[int, CopyResult | Exception | None]:
        """Do it for each target; one that fails does not keep the others from theirs. `{transfer id: outcome}`."""
        return {transfer.pk: self._attempt(transfer) for transfer in self.transfers}

    def _attempt(self, transfer: Transfer) -> CopyResult | Exception | None:
        order = self._orders[transfer.pk]
        if isinstance(order, RegistryError):
            return order
        try:
            if transfer.operation == Operation.DELETION:
                order.target.client.delete_tags(order.target.repository, order.target.tags, digest=transfer.digest)
                return None
            return self._copy(order)
        except NotFoundError as error:
            return _after_not_found(order, error)
        except (RegistryError, Stopped) as error:
            return error

    def _copy(self, order: _Order) -> CopyResult:
        spec = self.context.spec
        options = engine.copy_options(
            kilobits_per_second=spec.kilobits_per_second,
            copy_by_chunk=spec.copy_by_chunk,
            same_registry=order.same_registry,
        )
        return copy_artifact(
            order.source, order.target, options=options, on_event=order.progress.on_event, stop=self.context.stop
        )

    def tick(self) -> None:
        """The recorder follows the progress; nothing to do here."""

    def settle(self, future: "Future[Mapping[int, CopyResult | Exception | None]]") -> None:
        """Record each target's outcome."""
        error = future.exception()
        for transfer in self.transfers:
            outcome = error if error is not None else future.result()[transfer.pk]
            self.context.recorder.leave(transfer)
            if isinstance(outcome, BaseException):
                self._fail(transfer, outcome)
            else:
                self._succeed(transfer, outcome)

    def give_up(self) -> None:
        """Settle as stopped without waiting for the network thread."""
        for transfer in self.transfers:
            self.context.recorder.leave(transfer)
            self._fail(transfer, Stopped())

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


def _after_not_found(order: _Order, error: NotFoundError) -> Exception:
    """Tell a source that lost the artifact from a target where something is missing, such as the project."""
    try:
        found = order.source.client.head_manifest(order.source.repository, order.source.digest)
    except (RegistryError, Stopped) as other:
        return other
    return error if found else SourceGoneError(f"The source no longer has {order.source.digest}.")
