"""What a drain owes to the registries: limits as they are now, pauses by the clock, and memory of what they taught.

All of it is done by the thread that owns the database, a little once a second.
"""

import math
import time
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from harborsync.lib.timetable import Timetable
from registry import Pace
from registry.ratelimits import Pause
from replication.models import Execution, LogLine, Rule
from replication.plan import RuleSpec
from replication.queue.parking import park
from replication.recorder import Recorder
from replication.wording import count_of
from targets.clients import keep_what_was_learned
from targets.limits import Bandwidth, gate_for, shared_bandwidth
from targets.models import Endpoint

REFRESH_SECONDS = 1.0


@dataclass
class Manners:
    """Those of one drain."""

    execution: Execution
    spec: RuleSpec
    recorder: Recorder
    _targets: dict[int, Bandwidth] = field(default_factory=dict)
    _source: Bandwidth | None = None

    def __post_init__(self) -> None:
        self._told: set[str] = set()
        self._parked_at: dict[int | None, float] = {}
        self._refresh()

    @property
    def pace(self) -> Pace:
        """Return what the rule's copies share, in all workers."""
        return self._rule

    def tick(self) -> None:
        """Look once a second at what the rows say now, so that copies under way feel an edit; keep what was learned."""
        if time.monotonic() - self._refreshed_at >= REFRESH_SECONDS:
            self._refresh()
            keep_what_was_learned()

    def end(self) -> None:
        """Keep what was learned last."""
        keep_what_was_learned()

    def park(self) -> bool:
        """Put off all that a pause stands in the way of, once a second; say whether that is everything.

        What is under way or slips through is sent away by the gates and the pace, one by one.
        """
        for bandwidth in (self._rule, self._source):
            if bandwidth is not None and (pause := bandwidth.pause()) is not None:
                self._park(pause, None)
                return True
        for endpoint_id, bandwidth in self._targets.items():
            if (pause := bandwidth.pause()) is not None:
                self._park(pause, endpoint_id)
        return False

    def _park(self, pause: Pause, target_id: int | None) -> None:
        """Put off what is due for one target, or for all."""
        if time.monotonic() - self._parked_at.get(target_id, -math.inf) < REFRESH_SECONDS:
            return
        self._parked_at[target_id] = time.monotonic()
        until = timezone.now() + timedelta(seconds=pause.seconds)
        parked = park(self.execution.pk, target_id=target_id, until=until, reason=pause.why)
        if parked and pause.why not in self._told:
            self._told.add(pause.why)
            rows = count_of(parked, "piece of work", "pieces of work")
            self.recorder.log(
                f"{rows} put off until {until:%Y-%m-%d %H:%M} UTC: {pause.why}", level=LogLine.Level.WARNING
            )

    def _refresh(self) -> None:
        self._refreshed_at = time.monotonic()
        self._rule = self._bandwidth_of_the_rule()
        ids = {self.spec.source_id, *(target.endpoint_id for target in self.spec.targets)}
        bandwidths = {endpoint.pk: gate_for(endpoint).bandwidth for endpoint in Endpoint.objects.filter(pk__in=ids)}
        self._source = bandwidths.pop(self.spec.source_id, None)
        self._targets = bandwidths

    def _bandwidth_of_the_rule(self) -> Bandwidth:
        """Return that of the rule as it is now: an edit is about this minute, not about what is copied."""
        rule = Rule.objects.filter(pk=self.execution.rule_id or 0).first()
        if rule is not None:
            return shared_bandwidth(f"rule:{rule.pk}", rule.timetable)
        timetable = Timetable(plain_kilobits_per_second=self.spec.kilobits_per_second)
        return shared_bandwidth(f"execution:{self.execution.pk}", timetable)
