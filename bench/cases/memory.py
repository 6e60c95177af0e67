"""What a worker needs in memory, for a large blob and for a small one.

Both registries make or drop their bytes as they go, so that nothing but the worker holds any.
"""

from statistics import median

from bench.arena import Arena
from bench.contest import Work
from bench.processes import peak_bytes
from bench.product import running_product
from bench.registries import WrongContentError
from bench.results import Outcome, Row
from registry.testkit import MemoryRegistry

CASE = "memory"
LARGE_BYTES = 8 << 30
SMALL_BYTES = 80 << 20
REPOSITORY = "bench/memory"
LIMIT = 1.1


def large_blob(arena: Arena) -> Outcome:
    """A blob of 8 GiB against one of 80 MiB, each through a product that has done nothing before."""
    ratios, small_peaks = [], []
    for _ in range(arena.runs):
        small = _peak(arena, arena.scale.bytes(SMALL_BYTES))
        large = _peak(arena, arena.scale.bytes(LARGE_BYTES))
        ratios.append(large / small)
        small_peaks.append(small / (1 << 20))
    rows = [
        Row(CASE, "worker's peak with 8 GiB, of that with 80 MiB", median(ratios), LIMIT),
        Row(CASE, "worker's peak with 80 MiB", median(small_peaks), unit="MiB"),
    ]
    return Outcome(rows)


def _peak(arena: Arena, size_bytes: int) -> float:
    """Copy one image and give the highest peak among the worker's processes."""
    with MemoryRegistry() as source, MemoryRegistry(discard_uploads=True) as target:
        digest = source.add_image(REPOSITORY, "v1", layer_sizes=[size_bytes])
        with running_product(arena.source.url) as product:
            work = Work("", (target.url.removeprefix("http://"),), REPOSITORY)
            product.prepare(work, source_id=product.create_registry(source.url))()
            peak = max(peak_bytes(pid) for pid in product.worker_pids())
        if target.tags(REPOSITORY) != {"v1": digest}:
            raise WrongContentError(f"{REPOSITORY} is not at the target")
    return peak
