"""Listing: from a rule to task rows, one per source repository and target."""

import queue
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from registry import RegistryClient, RegistryError, Tally
from registry.kinds import find_kind
from replication import engine
from replication.counting import add_costs, costs_of
from replication.mapping import MappingError, check_path, map_repository
from replication.models import Execution, LogLine, Status, Task, released
from replication.plan import Scope, TargetSpec
from replication.queue import claims, doorbell
from replication.queue.transitions import close_execution, fail_execution, postpone_listing, stop_waiting_rows
from replication.runner.context import Context
from replication.runner.reach import EndpointUnusableError
from replication.wording import count_of
from targets.models import Endpoint

BATCH_REPOSITORIES = 200


def claim_listing(context: Context) -> "ListingWork | None":
    """Take the execution's listing, if it is to be done; a scope is turned into tasks at once, without a registry."""
    execution = claims.claim_listing(context.execution.pk, worker=context.worker, now=timezone.now())
    if execution is None:
        return None
    work = ListingWork(context, execution)
    context.recorder.log(work.opening_line())
    if execution.scope is None:
        return work
    work.write_scope()
    return None


@dataclass
class ListingWork:
    """One listing. `run` is called in a network thread; the rest in the thread that owns the database."""

    context: Context
    execution: Execution
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._found: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._listed = set(self.execution.tasks.values_list("source_repository", flat=True))
        self._targets = [
            (spec, Endpoint.objects.filter(pk=spec.endpoint_id).first()) for spec in self.context.spec.targets
        ]
        self._taken: dict[tuple[int, str], str] = {}
        scopes = [Scope.from_json(document) for document in self.execution.scope or ()]
        self._scopes = {scope.repository: scope for scope in scopes} if self.execution.scope is not None else None
        self._client: RegistryClient | None = None
        self._unusable: EndpointUnusableError | None = None
        if self._scopes is None:
            try:
                self._client = self.context.reach.client(self.context.spec.source_id, self.tally)
            except EndpointUnusableError as error:
                self._unusable = error

    def opening_line(self) -> str:
        """Return what the log says when the listing begins."""
        verifying = " The targets are asked for every tag." if self.execution.verify else ""
        if self._scopes is not None:
            return f"Looking at what changed in {count_of(len(self._scopes), 'repository', 'repositories')}.{verifying}"
        return f"Listing the source's repositories.{verifying}"

    def run(self) -> None:
        """Find the repositories, in batches. Raises RegistryError, Stopped."""
        if self._unusable:
            raise self._unusable
        for batch in engine.in_batches(self._names(), BATCH_REPOSITORIES):
            self._found.put(batch)

    def _names(self) -> Iterator[str]:
        if self._scopes is not None:
            yield from self._scopes
        elif self._client is not None:
            spec = self.context.spec
            yield from engine.list_repositories(self._client, spec.filters, namespace=spec.namespace)

    def write_scope(self) -> None:
        """Write the tasks of what events named."""
        self.run()
        self.tick()
        self._finish()

    def tick(self) -> None:
        """Write the tasks of what was found so far, so that they can be worked on while the listing goes on."""
        while not self._found.empty():
            self._insert(self._found.get())

    def _insert(self, repositories: list[str]) -> None:
        new = [name for name in dict.fromkeys(repositories) if name not in self._listed]
        self._listed.update(new)
        rows = [self._task(name, spec, target) for name in new for spec, target in self._targets]
        failed = sum(row.status == Status.FAILED for row in rows)
        with transaction.atomic():
            Task.objects.bulk_create(rows)
            Execution.objects.filter(pk=self.execution.pk).update(
                tasks_total=F("tasks_total") + len(rows), tasks_failed=F("tasks_failed") + failed
            )

    def _task(self, repository: str, spec: TargetSpec, target: Endpoint | None) -> Task:
        scope = self._scopes[repository] if self._scopes is not None else None
        task = Task(
            execution_id=self.execution.pk,
            source_repository=repository,
            target=target,
            target_name=target.name if target else "?",
            scope=scope.to_json() if scope and not scope.is_whole else None,
        )
        try:
            task.target_repository = self._map(repository, spec, target)
        except MappingError as error:
            task.status, task.reason_code, task.reason = Status.FAILED, "mapping", str(error)
            task.started_at = task.ended_at = timezone.now()
            self.context.recorder.log(f"{repository}: {error}", level=LogLine.Level.ERROR)
        return task

    def _map(self, repository: str, spec: TargetSpec, target: Endpoint | None) -> str:
        """Return the repository's place at the target, and warn when two share one. Raises MappingError."""
        if target is None:
            raise MappingError("The target registry was deleted from HarborSync.")
        mapped = map_repository(repository, namespace=spec.namespace, flatten_level=spec.flatten_level)
        check_path(mapped, find_kind(target.kind))
        other = self._taken.setdefault((target.pk, mapped), repository)
        if other != repository:
            self.context.recorder.log(
                f"{other} and {repository} both go to {mapped} at {target.name}: where they have the same tag, "
                "the one copied last stays. Choose a lower flattening level to keep them apart.",
                level=LogLine.Level.WARNING,
            )
        return mapped

    def settle(self, future: "Future[None]") -> None:
        """Record how the listing ended."""
        error = future.exception()
        self._count()
        self.tick()
        if error is None:
            self._finish()
        elif self.context.stop.is_set():
            self._put_back()
        else:
            self._fail(error)

    def _finish(self) -> None:
        held = Execution.objects.filter(pk=self.execution.pk, status=Status.RUNNING, lease_owner=self.context.worker)
        held.update(listed_at=timezone.now(), status_text="", reason_code="", **released())
        count = len(self._listed)
        if count == 0:
            self.context.recorder.log(self._nothing_line(), level=LogLine.Level.WARNING)
        else:
            repositories = count_of(count, "repository", "repositories")
            self.context.recorder.log(f"{repositories} for {count_of(len(self._targets), 'target', 'targets')}.")
        if count > 1:
            doorbell.ring(self.execution.pk, workers=settings.DRAINS_PER_EXECUTION - 1)
        self.context.recorder.flush()  # before the line that tells of the end
        close_execution(self.execution.pk)

    def _nothing_line(self) -> str:
        patterns = ", ".join(f.value for f in self.context.spec.filters if f.kind == "name") or "**"
        inside = f" in {self.context.spec.namespace}/" if self.context.spec.namespace else ""
        return f"No repository of the source matches {patterns}{inside}: nothing to replicate."

    def _fail(self, error: BaseException) -> None:
        verdict = self.context.judge(error, attempts=self.execution.attempts, started_at=self.execution.started_at)
        self.context.log_verdict("listing the source", verdict, error, task_id=None)
        reason = {"worker": self.context.worker, "reason_code": verdict.code, "reason": verdict.message}
        if verdict.status == "pending" and isinstance(error, RegistryError):
            postpone_listing(self.execution, until=self.context.later(verdict), **reason)
        else:
            fail_execution(self.execution, **reason)

    def give_up(self) -> None:
        """Put the listing back without waiting for the network thread."""
        self._count()
        self._put_back()

    def _count(self) -> None:
        add_costs(costs_of(source=self.tally), execution_id=self.execution.pk)

    def _put_back(self) -> None:
        """Leave the listing for another worker, or, after a stop, to be ended with all that waits."""
        Execution.objects.filter(pk=self.execution.pk, status=Status.RUNNING, lease_owner=self.context.worker).update(
            status=Status.PENDING, **released()
        )
        if not self.context.is_handing_over:
            stop_waiting_rows(self.execution.pk)
