"""Where the contests take place: one source registry, one product, the rivals, and lanes with fresh targets."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.content import Published, make_tags, publish
from bench.contest import Contestant, Lane, MakeLane, Work, compete
from bench.delay import DelayingProxy
from bench.product import HarborSync
from bench.registries import fresh_registry, verify
from registry.testkit.docker_registry import DockerRegistry

SMALLEST_BLOB_BYTES = 4096
FEWEST_TAGS = 4
WARM_UP_TAGS = 16
# What the largest case needs: the source, one target and its copy, and some air.
WORKSHOP_BYTES = 8 << 30
MEMORY_DIRECTORY = Path("/dev/shm")  # noqa: S108 (a directory with a random name is made in it)


@dataclass(frozen=True)
class Scale:
    """How much of the full size is run; below 1 it is a rehearsal and nothing to claim from."""

    factor: float = 1.0

    def bytes(self, full: int) -> int:
        """Scale a size."""
        return max(round(full * self.factor), SMALLEST_BLOB_BYTES)

    def tags(self, full: int) -> int:
        """Scale a number of tags."""
        return max(round(full * self.factor), FEWEST_TAGS)


@dataclass(frozen=True)
class Arena:
    """What every case gets. `workshop` is where registries keep their storage."""

    workshop: Path
    source: DockerRegistry
    product: HarborSync
    rivals: Sequence[Contestant]
    scale: Scale
    runs: int

    @property
    def contestants(self) -> list[Contestant]:
        """Give the tools in the order in which they run."""
        return [self.product, *self.rivals]

    def fresh_lanes(
        self, published: Published, *, tag: str = "", targets: int = 1, round_trip_seconds: float = 0.0
    ) -> MakeLane:
        """Give lanes whose targets are empty registries, the same for every tool; perhaps behind a slow link."""

        @contextmanager
        def make_lane(contestant: Contestant) -> Iterator[Lane]:
            with ExitStack() as stack:
                registries = [stack.enter_context(fresh_registry(self.workshop)) for _ in range(targets)]
                hosts = [stack.enter_context(_way_to(registry, round_trip_seconds)) for registry in registries]
                yield self._lane(contestant, published, registries, hosts, tag=tag)

        return make_lane

    def warm_up(self) -> None:
        """Have every tool copy a little, so that nobody's first run pays for a worker that still starts."""
        published = publish(self.source.host, "bench/warm-up", make_tags(WARM_UP_TAGS, "warm-up"))
        compete(self.fresh_lanes(published), self.contestants, runs=1)

    @contextmanager
    def kept_lanes(self, published: Published, *, tag: str = "") -> Iterator[dict[str, Lane]]:
        """Give each tool a target that has everything already, and let each look at it once before it counts."""
        with ExitStack() as stack:
            lanes = {}
            for contestant in self.contestants:
                registry = stack.enter_context(fresh_registry(self.workshop, content_of=self.source))
                lanes[contestant.name] = self._lane(contestant, published, [registry], [registry.host], tag=tag)
            for lane in lanes.values():
                lane.measure()
            yield lanes

    def _lane(
        self,
        contestant: Contestant,
        published: Published,
        registries: Sequence[DockerRegistry],
        hosts: Sequence[str],
        *,
        tag: str,
    ) -> Lane:
        work = Work(self.source.host, tuple(hosts), published.repository, tag)

        def check() -> None:
            for registry in registries:
                verify(registry, published)

        return Lane(contestant.prepare(work), self.source, registries, check)


@contextmanager
def _way_to(registry: DockerRegistry, round_trip_seconds: float) -> Iterator[str]:
    """Give the host by which tools reach a registry."""
    if not round_trip_seconds:
        yield registry.host
        return
    with DelayingProxy(target_port=registry.port, round_trip_seconds=round_trip_seconds) as proxy:
        yield proxy.host


def choose_workshop(fallback: Path) -> Path:
    """Choose memory for the registries' storage where there is enough, so that tools are measured and not a disk."""
    if MEMORY_DIRECTORY.is_dir() and shutil.disk_usage(MEMORY_DIRECTORY).free > WORKSHOP_BYTES:
        return MEMORY_DIRECTORY
    return fallback
