"""Copying and deleting: one artifact, to (or at) each of its targets."""

import time
from collections.abc import Mapping, Sequence
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
    RegistryError,
    Stopped,
    TargetFinished,
    copy_artifact,
)
from replication import engine
from replication.models import Operation, Transfer
from replication.queue import claims
from replication.recorder import TransferProgress
from replication.referrer_states import known_tags
from replication.runner.context import Context
from replication.runner.gone import after_not_found
from replication.runner.settling import Outcome, Result


def claim_copies(context: Context, *, at_most: int) -> "list[CopyWork]":
    """Take some artifacts, each with all its targets that are due."""
    claimed = claims.claim_artifacts(
        context.execution.pk, worker=context.worker, now=timezone.now(), at_most=at_most, tasks=context.tasks
    )
    return [CopyWork(context, transfers) for transfers in claimed]


@dataclass(frozen=True, slots=True)
class _Order:
    """What a network thread needs for one target: no row in it is touched there."""

    transfer_id: int
    source: CopySource
    target: CopyTarget
    progress: TransferProgress


@dataclass
class CopyWork:
    """One artifact. `run` is called in a network thread, the rest in the thread that owns the database."""

    context: Context
    transfers: Sequence[Transfer]

    def __post_init__(self) -> None:
        self._orders: dict[int, _Order | RegistryError] = {}
        self._arrived: SimpleQueue[tuple[int, CopyResult]] = SimpleQueue()
        self._open = {transfer.pk: transfer for transfer in self.transfers}

    def prepare(self) -> None:
        """Get ready for `run`: with the credentials of this moment, so as late as possible."""
        self._began_at = time.monotonic()
        self._pace = self.context.manners.pace
        self._orders = {transfer.pk: self._order(transfer) for transfer in self.transfers}

    @property
    def seconds(self) -> float:
        """Return for how long it has been under way."""
        return time.monotonic() - self._began_at

    def _order(self, transfer: Transfer) -> "_Order | RegistryError":
        task, spec, reach = transfer.task, self.context.spec, self.context.reach
        progress = self.context.recorder.follow(transfer)
        try:
            source = reach.client(spec.source_id, progress.source_tally)
            target, registry = reach.client(task.target_id, progress.target_tally), reach.registry(task.target_id)
        except RegistryError as error:
            return error
        return _Order(
            transfer.pk,
            CopySource(
                source,
                task.source_repository,
                transfer.digest,
                manifests=reach.manifests,
                platforms=spec.choice,
                referrer_tags=known_tags(task),
            ),
            CopyTarget(
                target,
                task.target_repository,
                tuple(transfer.tags),
                is_in_source_registry=task.target_id == spec.source_id,
                memory=registry.memory,
                shelf=registry.sessions,
            ),
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
        options = engine.copy_options(copy_by_chunk=spec.copy_by_chunk, referrers=spec.referrers, pace=self._pace)

        def on_event(target_index: int, event: CopyEvent) -> None:
            order = orders[target_index]
            order.progress.on_event(event)
            if len(orders) > 1 and isinstance(event, TargetFinished) and isinstance(event.outcome, CopyResult):
                self._arrived.put((order.transfer_id, event.outcome))

        targets = [order.target for order in orders]
        orders[0].progress.is_reading_for_others = len(orders) > 1
        try:
            found = copy_artifact(orders[0].source, targets, options=options, on_event=on_event, stop=self.context.stop)
        except Stopped as stopped:
            return {order.transfer_id: stopped for order in orders}
        return {
            order.transfer_id: after_not_found(order.source, order.target, outcome)
            if isinstance(outcome, NotFoundError)
            else outcome
            for order, outcome in zip(orders, found, strict=True)
        }

    def arrived(self) -> list[Result]:
        """Return what has arrived at its target though others are still on their way. Failures wait for the end."""
        results = []
        while not self._arrived.empty():
            pk, outcome = self._arrived.get()
            results.append(Result(self._open.pop(pk), outcome))
        return results

    def results(self, future: "Future[Mapping[int, Outcome]]") -> list[Result]:
        """Return how it went, for each target that `arrived` did not tell of."""
        results, error = self.arrived(), future.exception()
        for pk, transfer in self._open.items():
            results.append(Result(transfer, error if error is not None else future.result()[pk]))
        self._open = {}
        self._count_late()
        return results

    def given_up(self) -> list[Result]:
        """Return what is left as stopped, without waiting for the network thread."""
        results = self.arrived()
        results += [Result(transfer, Stopped()) for transfer in self._open.values()]
        self._open = {}
        self._count_late()
        return results

    def _count_late(self) -> None:
        """Count what was read for the other targets since one of them was recorded as done."""
        for order in self._orders.values():
            if isinstance(order, _Order) and order.progress.is_reading_for_others:
                self.context.recorder.count_late(order.progress)


def _outcome_of_deletion(order: _Order) -> Exception | None:
    target = order.target
    try:
        target.client.delete_tags(target.repository, target.tags, digest=order.source.digest)
    except NotFoundError as error:
        return after_not_found(order.source, target, error)
    except (RegistryError, Stopped) as error:
        return error
    target.memory.forget(target.repository)
    return None
