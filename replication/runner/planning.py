"""Planning: from a repository to transfer rows, by looking at both sides."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from registry import RegistryError, Stopped, Tally
from replication import companions, engine
from replication.counting import add_costs, costs_of
from replication.engine import Comparison, Place
from replication.in_step import Memory
from replication.models import Execution, LogLine, Operation, Status, SyncState, Task, Transfer, released
from replication.plan import PlannedTransfer, Scope, plan_copies, plan_deletions, with_companions
from replication.queue import claims, doorbell
from replication.queue.transitions import close_task, count_transfers, finish_task, postpone_task
from replication.referrer_states import recall, remember_referrers
from replication.runner.context import Context
from replication.sync_states import knows_repository, puts_of, remember, with_origins
from replication.wording import count_of

# More transfers than this in one repository are worth calling other workers for.
WORTH_RINGING = 4


def claim_planning(context: Context) -> "PlanningWork | None":
    """Take one repository to plan, with all its targets."""
    tasks = claims.claim_repository(context.execution.pk, worker=context.worker, now=timezone.now())
    return PlanningWork(context, tasks) if tasks else None


@dataclass
class PlanningWork:
    """One repository and its targets. `run` is called in a network thread."""

    context: Context
    tasks: list[Task]
    source_tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._repository = self.tasks[0].source_repository
        spec, is_target = self.context.spec, self.context.is_source_a_target
        self._is_verifying = self.context.execution.verify
        self._origins = puts_of(spec.source_id, self._repository) if is_target else {}
        self._memories = {task.pk: self._memory_of(task) for task in self.tasks}
        self._carried = (
            {task.pk: recall(task, verify=self._is_verifying) for task in self.tasks} if spec.referrers else None
        )
        self._unusable: dict[int, RegistryError] = {}
        self._places: dict[int, Place] = {}
        self._target_tallies = {task.pk: Tally(work=self.source_tally) for task in self.tasks}
        self._source = self._place(
            0, self.context.spec.source_id, self._repository, tally=self.source_tally, is_unheard_of=False
        )
        for task in self.tasks:
            place = self._place(
                task.pk,
                task.target_id,
                task.target_repository,
                tally=self._target_tallies[task.pk],
                is_unheard_of=not knows_repository(task.target_id, task.target_repository),
            )
            if place:
                self._places[task.pk] = place

    def _place(
        self, key: int, endpoint_id: int | None, repository: str, *, tally: Tally, is_unheard_of: bool
    ) -> Place | None:
        reach = self.context.reach
        try:
            client, registry = reach.client(endpoint_id, tally), reach.registry(endpoint_id)
        except RegistryError as error:
            self._unusable[key] = error
            return None
        return Place(client, repository, registry.memory, reach.manifests, is_unheard_of=is_unheard_of)

    def _memory_of(self, task: Task) -> Memory:
        """Return what we know the target to hold: all of it, or what this task's scope is about."""
        meant = None if task.scope is None else self._meant(task, Scope.from_json(task.scope))
        memory = Memory(
            puts_of(task.target_id, task.target_repository, meant),
            self.context.spec.choice,
            self._origins,
            is_fed_by_target=task.target_id in self.context.feeders,
        )
        return memory.doubted() if self._is_verifying else memory

    def _meant(self, task: Task, scope: Scope) -> Q:
        """Return the condition for what a task's scope is about."""
        rows = SyncState.objects.filter(endpoint=task.target_id, repository=task.target_repository)
        meant = Q(tag__in=scope.tags)
        meant |= Q(digest__in=scope.deleted_digests) | Q(source_digest__in=scope.deleted_digests)
        if self.context.spec.deletion:
            # Some registries delete by digest only: a tag that went before had to stay until its siblings go as well.
            meant |= Q(digest__in=rows.filter(tag__in=scope.tags).values("digest"))
        return meant

    def _tags(self) -> list[str] | None:
        """Return the tags to look at: those that events named, and those known with such a digest; None: all."""
        if self.tasks[0].scope is None:
            return None
        scope = Scope.from_json(self.tasks[0].scope)
        return sorted({*scope.tags, *(tag for memory in self._memories.values() for tag in memory.puts)})

    def run(self) -> Comparison:
        """Look at both sides. Raises RegistryError, Stopped."""
        if self._source is None:
            raise self._unusable[0]
        if self._is_verifying:
            for place in self._places.values():
                place.memory.forget(place.repository)  # the copies ask too
        filters, tags = self.context.spec.filters, self._tags()
        # What events named is looked at; of all else what was seen lately is believed.
        known = {key: memory.digests(trusted=tags is None) for key, memory in self._memories.items()}
        if self._carried is not None:
            return companions.compare(
                self._source,
                self._places,
                filters=filters,
                tags=tags,
                known=known,
                memories=self._memories,
                carried=self._carried,
            )
        comparison = engine.compare(self._source, self._places, filters=filters, tags=tags, known=known)
        return replace(comparison, in_step=engine.tags_in_step(self._source, comparison, self._memories))

    def tick(self) -> None:
        """Nothing to write before the end."""

    def settle(self, future: "Future[Comparison]") -> None:
        """Write each target's plan, or what went wrong."""
        error = future.exception()
        self._count()
        for task in self.tasks:
            if error is not None:
                self._fail(task, error)
                continue
            comparison = future.result()
            found = self._unusable.get(task.pk) or comparison.targets[task.pk]
            if isinstance(found, RegistryError):
                self._fail(task, found)
            else:
                self._write(task, comparison, found)

    def give_up(self) -> None:
        """Settle as stopped without waiting for the network thread."""
        self._count()
        for task in self.tasks:
            self._fail(task, Stopped())

    def _count(self) -> None:
        """Count what was asked. The source was asked for all targets at once: that counts for the first of them."""
        for task in self.tasks:
            source = self.source_tally if task is self.tasks[0] else None
            costs = costs_of(source=source, target=self._target_tallies[task.pk])
            add_costs(costs, execution_id=task.execution_id, task_id=task.pk)

    def _fail(self, task: Task, error: BaseException) -> None:
        verdict = self.context.judge(error, attempts=task.attempts, started_at=task.started_at)
        self.context.log_verdict(f"looking at {task}", verdict, error, task_id=task.pk)
        if verdict.status == "pending":
            postpone_task(
                task,
                worker=self.context.worker,
                until=self.context.later(verdict),
                reason_code=verdict.code,
                reason=verdict.message,
            )
        else:
            finish_task(
                task,
                worker=self.context.worker,
                status=Status(verdict.status),
                reason_code=verdict.code,
                reason=verdict.message,
            )

    def _write(self, task: Task, comparison: Comparison, target: Mapping[str, str]) -> None:
        """Turn the comparison into transfer rows, in one transaction, if the task is still ours."""
        spec = self.context.spec
        source, memory, news = comparison.source.digests, self._memories[task.pk], comparison.referrers
        strangers = news.strangers.get(task.pk, frozenset())
        wanted = {tag: digest for tag, digest in source.items() if tag not in strangers}
        plan = plan_copies(wanted, target, override=spec.override, in_step=comparison.in_step[task.pk])
        copies = plan.transfers
        if spec.referrers:
            copies = with_companions(copies, changed=news.changed.get(task.pk, frozenset()))
        deletions: tuple[PlannedTransfer, ...] = ()
        if spec.deletion and task.scope is not None:
            deletions = plan_deletions(comparison.source.missing, memory.digests(trusted=False), target)
        planned = [*copies, *deletions]
        unchanged = plan.unchanged or {}
        with transaction.atomic():
            if not self._release(task, planned, len(unchanged), referrer_tags=news.tags):
                return
            skipped = self._insert(task, planned)
            count_transfers(task.execution_id, task.pk, {Status.SKIPPED: skipped}, added=len(planned))
        self._remember(task, unchanged, source)
        remember_referrers(task, news.seen.get(task.pk, {}))
        self._log(task, planned, unchanged)
        if len(planned) > WORTH_RINGING:
            doorbell.ring(task.execution_id, workers=settings.DRAINS_PER_EXECUTION - 1)
        self.context.recorder.flush()  # before the line that tells of the end
        close_task(task.pk)

    def _remember(self, task: Task, unchanged: Mapping[str, str], source: Mapping[str, str]) -> None:
        """Note what was found in step, on the side that was written to; on the other too, if rules write there."""
        memory = self._memories[task.pk]
        puts = {tag: memory.put(tag, source[tag], digest) for tag, digest in unchanged.items()}
        remember(task.target_id, task.target_repository, puts, known=memory.puts)
        if self.context.is_source_a_target:
            seen = with_origins({tag: source[tag] for tag in unchanged}, self._origins)
            remember(self.context.spec.source_id, task.source_repository, seen, known=self._origins)

    def _release(
        self, task: Task, planned: Iterable[PlannedTransfer], unchanged: int, *, referrer_tags: frozenset[str] | None
    ) -> bool:
        only_deletions = all(p.operation == Operation.DELETION for p in planned) and bool(list(planned))
        changed = Task.objects.filter(pk=task.pk, status=Status.RUNNING, lease_owner=self.context.worker).update(
            planned_at=timezone.now(),
            operation=Operation.DELETION if only_deletions else Operation.COPY,
            tags_unchanged=unchanged,
            referrer_tags=None if referrer_tags is None else sorted(referrer_tags),
            reason_code="",
            reason="",
            **released(),
        )
        if changed and unchanged:
            Execution.objects.filter(pk=task.execution_id).update(tags_unchanged=F("tags_unchanged") + unchanged)
        return bool(changed)

    def _insert(self, task: Task, planned: Iterable[PlannedTransfer]) -> int:
        """Insert the rows; return how many of them are skipped from the start."""
        rows = [_row(task, p) for p in planned]
        Transfer.objects.bulk_create(rows)
        return sum(row.status == Status.SKIPPED for row in rows)

    def _log(self, task: Task, planned: list[PlannedTransfer], unchanged: Mapping[str, str]) -> None:
        log = self.context.recorder.log
        copies = [p for p in planned if p.operation == Operation.COPY and p.tags and not p.reason_code]
        referred = [p for p in planned if not p.tags]
        deletions = [p for p in planned if p.operation == Operation.DELETION and not p.reason_code]
        log(
            f"{task}: {count_of(len(copies), 'artifact', 'artifacts')} to copy, {len(deletions)} to delete, "
            f"{count_of(len(unchanged), 'tag', 'tags')} in step"
            + (f", new referrers of {count_of(len(referred), 'artifact', 'artifacts')}" if referred else ""),
            task_id=task.pk,
        )
        for p in planned:
            if p.reason_code:
                log(f"{', '.join(p.tags)}: {p.reason}", level=LogLine.Level.WARNING, task_id=task.pk)


def _row(task: Task, planned: PlannedTransfer) -> Transfer:
    row = Transfer(
        execution_id=task.execution_id,
        task=task,
        operation=planned.operation,
        digest=planned.digest,
        tags=list(planned.tags),
        is_companion=planned.is_companion,
    )
    if planned.reason_code:
        row.status, row.reason_code, row.reason = Status.SKIPPED, planned.reason_code, planned.reason
        row.started_at = row.ended_at = timezone.now()
    return row
