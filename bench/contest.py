"""A contest: several tools do the same work in turn, and what each costs is noted."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from bench.processes import cpu_seconds
from bench.registries import Wire, WireMeter
from registry.testkit.docker_registry import DockerRegistry


@dataclass(frozen=True)
class Work:
    """What every tool has to do: one tag of a repository, or all of them, to each target. Hosts are `name:port`."""

    source: str
    targets: tuple[str, ...]
    repository: str
    tag: str = ""


@dataclass(frozen=True)
class Effort:
    """What one run took. `told_requests` is the tool's own count, where it has one."""

    seconds: float
    cpu_seconds: float
    told_requests: int | None = None


class Contestant(Protocol):
    """A tool."""

    name: str
    version: str

    def prepare(self, work: Work) -> Callable[[], Effort]:
        """Do what does not count, and give what does. It may be called again: to find nothing new."""


@dataclass(frozen=True)
class Measurement:
    """One run, seen from the tool and from the registries."""

    effort: Effort
    source: Wire
    target: Wire
    registries_cpu_seconds: float = 0.0

    @property
    def requests(self) -> int:
        """Count the requests to both sides."""
        return self.source.total_requests + self.target.total_requests


@dataclass(frozen=True)
class Lane:
    """A tool's place in the contest: the work made ready, the registries it goes between, and the check at the end."""

    run: Callable[[], Effort]
    source: DockerRegistry
    targets: Sequence[DockerRegistry]
    check: Callable[[], None]

    def measure(self) -> Measurement:
        """Run once and make sure that the work was done."""
        source_meter = WireMeter(self.source)
        target_meters = [WireMeter(target) for target in self.targets]
        registries = [registry.pid for registry in (self.source, *self.targets)]
        cpu_before = cpu_seconds(registries)
        effort = self.run()
        cpu_after = cpu_seconds(registries)
        target = sum((meter.read() for meter in target_meters), Wire())
        measurement = Measurement(effort, source_meter.read(), target, cpu_after - cpu_before)
        self.check()
        return measurement


@dataclass
class Scores:
    """The runs of one contest: `{tool: [measurement]}`."""

    runs: dict[str, list[Measurement]] = field(default_factory=dict)

    def add(self, name: str, measurement: Measurement) -> None:
        """Note a run."""
        self.runs.setdefault(name, []).append(measurement)

    def median(self, name: str, read: Callable[[Measurement], float]) -> float | None:
        """Give the median of what `read` finds in a tool's runs; None where the tool did not run."""
        found = self.runs.get(name)
        return median(read(measurement) for measurement in found) if found else None


MakeLane = Callable[[Contestant], AbstractContextManager[Lane]]


def compete(make_lane: MakeLane, contestants: Iterable[Contestant], *, runs: int) -> Scores:
    """Let the tools run in turn (A B C A B C …), each time in a lane of its own."""
    scores = Scores()
    entrants = list(contestants)
    for _ in range(runs):
        for contestant in entrants:
            with make_lane(contestant) as lane:
                scores.add(contestant.name, lane.measure())
    return scores


def compete_in_kept_lanes(lanes: dict[str, Lane], *, runs: int) -> Scores:
    """Let the tools run in turn, each in the lane that it has had from the beginning."""
    scores = Scores()
    for _ in range(runs):
        for name, lane in lanes.items():
            scores.add(name, lane.measure())
    return scores
