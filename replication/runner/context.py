"""What all pieces of work of one drain share."""

import logging
import threading
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone

from registry import Stopped
from replication.models import Execution, LogLine, Rule, RuleTarget
from replication.plan import RuleSpec
from replication.queue.claims import TaskMemory
from replication.recorder import Recorder
from replication.retries import RetryPolicy, Verdict, judge
from replication.runner.manners import Manners
from replication.runner.reach import Reach

logger = logging.getLogger(__name__)


@dataclass
class Context:
    """One drain's execution, identity and tools. Used by the thread that owns the database only."""

    execution: Execution
    worker: str
    recorder: Recorder
    stop: threading.Event
    policy: RetryPolicy
    spec: RuleSpec
    # The worker is ending: what was stopped is put back for others instead of being recorded as stopped.
    is_handing_over: bool = False

    @cached_property
    def reach(self) -> Reach:
        """The registries within reach, for the thread that owns the database."""
        return Reach(self.stop)

    @cached_property
    def tasks(self) -> TaskMemory:
        """Return the tasks that were met so far."""
        return TaskMemory(has_one_target=len(self.spec.targets) == 1)

    @cached_property
    def manners(self) -> Manners:
        """Return what this drain owes to the registries."""
        return Manners(self.execution, self.spec, self.recorder)

    @cached_property
    def is_source_a_target(self) -> bool:
        """Say whether some rule writes to this execution's source: then what it holds is worth remembering."""
        return RuleTarget.objects.filter(endpoint_id=self.spec.source_id).exists()

    @cached_property
    def feeders(self) -> frozenset[int]:
        """Return the endpoints from which enabled rules copy some platforms only to this execution's source."""
        limited = Rule.objects.filter(enabled=True, targets__endpoint_id=self.spec.source_id).exclude(platforms="")
        return frozenset(limited.values_list("source_id", flat=True))

    def judge(self, error: BaseException, *, attempts: int, started_at: datetime | None) -> Verdict:
        """Decide what becomes of failed work; a bug of ours is logged with its traceback."""
        elapsed = (timezone.now() - started_at).total_seconds() if started_at else 0.0
        if isinstance(error, Stopped) and self.is_handing_over:
            return Verdict("pending", "", "handed over: the worker is ending")
        verdict = judge(error, attempts=attempts, elapsed_seconds=elapsed, policy=self.policy)
        if verdict.code == "internal_error":
            logger.error("drain.bug execution=%s", self.execution.pk, exc_info=error)
        return verdict

    def log_verdict(self, what: str, verdict: Verdict, error: BaseException, *, task_id: int | None) -> None:
        """Write the line that tells what went wrong and what follows."""
        if verdict.status == "pending":
            message = f"{what}: {verdict.message} (next attempt in {verdict.delay_seconds:.0f} s)"
            self.recorder.log(message, level=LogLine.Level.WARNING, task_id=task_id)
        elif verdict.status == "stopped":
            self.recorder.log(f"{what}: stopped", level=LogLine.Level.WARNING, task_id=task_id)
        else:
            level = LogLine.Level.WARNING if verdict.status == "skipped" else LogLine.Level.ERROR
            detail = verdict.message
            if verdict.code == "internal_error":
                detail = "".join(traceback.format_exception(error))
            self.recorder.log(f"{what}: {detail}", level=level, task_id=task_id)

    def later(self, verdict: Verdict) -> datetime:
        """Return when the next attempt is due."""
        return timezone.now() + timedelta(seconds=verdict.delay_seconds)
