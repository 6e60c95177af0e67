"""What a drain works on next: what it has claimed already, else what there is to claim.

It does not look for what cannot be there: the database's thread has other things to do.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from statistics import median

from django.conf import settings

from replication.queue import claims
from replication.runner.context import Context
from replication.runner.copying import CopyWork, claim_copies
from replication.runner.listing import ListingWork, claim_listing
from replication.runner.planning import PlanningWork, claim_planning
from replication.runner.settling import Result

SLOTS = 8
# What others make due (a listing that goes on, a retry, a worker that died) is found so soon.
LOOK_SECONDS = 0.25
# Small artifacts are claimed ahead, as many as are copied in so many seconds, but never more than this.
CLAIM_AHEAD_SECONDS = 0.5
CLAIMS_AT_MOST = 64

Work = ListingWork | PlanningWork | CopyWork


@dataclass
class Supply:
    """The work of one drain. It claims when it is asked and has nothing left."""

    context: Context
    # How many transfers of the execution were not over a moment ago: the last are left for all drains to share.
    open_transfers: int | None = None
    _claimed: deque[CopyWork] = field(default_factory=deque)
    # How long each of the last artifacts took.
    _durations: deque[float] = field(default_factory=lambda: deque(maxlen=SLOTS))
    _nothing_to_claim_until: float = 0.0
    _nothing_to_plan_until: float = 0.0
    _is_planned: bool = False

    def __post_init__(self) -> None:
        self._is_listed = self.context.execution.listed_at is not None

    def take(self, *, free: int) -> Work | None:
        """Return claimed work, else claim for the free slots: the listing, or repositories, or artifacts."""
        if not self._claimed:
            if time.monotonic() < self._nothing_to_claim_until or self.context.manners.park():
                return None
            if (looking := self._claim_looking()) is not None:
                return looking
            self._claimed.extend(claim_copies(self.context, at_most=self._claims_at_once(free)))
        if self._claimed:
            return self._claimed.popleft()
        self._nothing_to_claim_until = time.monotonic() + LOOK_SECONDS
        return None

    @property
    def is_held(self) -> bool:
        """Say whether something is claimed and not begun."""
        return bool(self._claimed)

    def expect_more(self) -> None:
        """Look at once: what just ended may have made new work."""
        self._nothing_to_claim_until = self._nothing_to_plan_until = 0.0

    def note_copied(self, seconds: float) -> None:
        """Learn from an artifact how many may be claimed ahead."""
        self._durations.append(seconds)

    def give_up(self) -> list[Result]:
        """Return what is claimed and not begun, as given up."""
        results = [result for work in self._claimed for result in work.given_up()]
        self._claimed.clear()
        return results

    def _claim_looking(self) -> ListingWork | PlanningWork | None:
        """Claim the listing or a repository. Once listed or planned an execution stays so, and is not asked again."""
        if self._is_planned or time.monotonic() < self._nothing_to_plan_until:
            return None
        listing = None if self._is_listed else claim_listing(self.context)
        looking = listing or claim_planning(self.context)
        if looking is None:
            execution_id = self.context.execution.pk
            # In this order: a listing that ends between the two has written its tasks before.
            self._is_listed = self._is_listed or claims.is_listed(execution_id)
            self._is_planned = self._is_listed and claims.is_planned(execution_id)
            self._nothing_to_plan_until = time.monotonic() + LOOK_SECONDS
        return looking

    def _claims_at_once(self, free: int) -> int:
        """Return how many artifacts to claim: one for each free slot; more where they are so small that it pays."""
        if not self._durations:
            return free
        ahead = int(SLOTS * CLAIM_AHEAD_SECONDS / max(median(self._durations), 0.001))
        if self.open_transfers is not None:
            ahead = min(ahead, self.open_transfers // (2 * settings.DRAINS_PER_EXECUTION))
        return min(max(free, ahead), CLAIMS_AT_MOST)
