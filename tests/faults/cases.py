"""One line of the fault matrix: what goes wrong, on which side, and how a run has to end that meets it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from registry.testkit import Fault, MemoryRegistry
from replication.models import Execution, Status
from tests.replication.conftest import Pair

Side = Literal["source", "target"]
BEARER = {"auth": "bearer", "username": "u", "password": "p"}


@dataclass(frozen=True)
class Outcome:
    """How a run ends: all that matters about it is its status and the reasons it gives."""

    name: str
    status: Status = Status.SUCCEEDED
    reason: str = ""
    arrives: bool = False
    skips: str = ""

    def check(self, pair: Pair, execution: Execution) -> None:
        """Compare with how a run did end."""
        assert (execution.status, execution.reason_code) == (self.status, self.reason), execution.status_text
        skipped = execution.transfers.filter(status=Status.SKIPPED)
        assert set(skipped.values_list("reason_code", flat=True)) == ({self.skips} if self.skips else set())
        if self.arrives:
            for repository in pair.source.repositories:
                assert pair.target.tags(repository) == pair.source.tags(repository)


ARRIVES = Outcome("arrives", arrives=True)
FINDS_NOTHING = Outcome("finds_nothing")


def fails(reason: str) -> Outcome:
    """End as failed, for this reason."""
    return Outcome(f"fails_with_{reason}", status=Status.FAILED, reason=reason)


def skips(reason: str) -> Outcome:
    """End well, but leave artifacts out for this reason."""
    return Outcome(f"skips_for_{reason}", skips=reason)


@dataclass(frozen=True)
class Case:
    """A fault on one side.

    `gives_up` ends the patience early, for faults that never end. `leaves_session`: no client could have closed it.
    `older_at_target`: the target has another image under a tag; so the source is asked for the digest, and not read.
    """

    name: str
    side: Side
    outcome: Outcome
    faults: Callable[[], tuple[Fault, ...]]
    options: Mapping[str, Any] = field(default_factory=dict)
    rule: Mapping[str, Any] = field(default_factory=dict)
    gives_up: bool = False
    leaves_session: bool = False
    older_at_target: bool = False

    @property
    def identifier(self) -> str:
        """Name the case as the test's id shows it."""
        how = "_in_chunks" if self.rule.get("copy_by_chunk") else ""
        how += "_with_tokens" if self.options.get("auth") else ""
        return f"{self.name}{how}-{self.side}-{self.outcome.name}"

    def registry(self, pair: Pair) -> MemoryRegistry:
        """Give the registry that misbehaves."""
        return pair.source if self.side == "source" else pair.target


@dataclass(frozen=True)
class Misbehaviour:
    """A named fault, to be put on either side with what is expected there."""

    name: str
    make: Callable[[], Fault | tuple[Fault, ...]]

    def on(self, side: Side, outcome: Outcome, **more: Any) -> Case:
        """Make the case of one side."""
        return Case(self.name, side, outcome, self._faults, **more)

    def on_both(self, outcome: Outcome, **more: Any) -> list[Case]:
        """Make the cases of both sides, where the same is expected."""
        return [self.on("source", outcome, **more), self.on("target", outcome, **more)]

    def _faults(self) -> tuple[Fault, ...]:
        made = self.make()
        return made if isinstance(made, tuple) else (made,)
