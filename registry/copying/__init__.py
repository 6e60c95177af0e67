"""Copying an artifact from one repository to others, between registries or inside one.

Order for each target (as regclient and Harbor have it): blobs, child manifests, the root, and the tags last. So a copy
that is stopped or breaks never leaves a tag that points at a hole. With several targets each goes its own way
(``lane``), while the source is asked for each manifest (``source``) and each blob (``sharing``, ``reading``) once.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from registry.client import StopFlag
from registry.copying.events import (
    ArtifactSized,
    BlobCopied,
    BlobMounted,
    BlobPresent,
    BlobProgress,
    BlobRead,
    BlobResumed,
    BlobStarted,
    BlobTakenBack,
    CopyEvent,
    ManifestPushed,
    Note,
    OnEvent,
    TargetFinished,
    Teller,
    ignore_event,
)
from registry.copying.halt import AnyFlag, Halt, raise_first_failure
from registry.copying.lane import Lane, Shared
from registry.copying.memory import (
    NO_MANIFESTS,
    NO_MEMORY,
    BlobMemory,
    Found,
    ManifestMemory,
    Standing,
)
from registry.copying.order import CopyOptions, CopyOutcome, CopyResult, CopySource, CopyTarget
from registry.copying.throttle import Pace, Throttle

__all__ = [
    "NO_MANIFESTS",
    "NO_MEMORY",
    "ArtifactSized",
    "BlobCopied",
    "BlobMemory",
    "BlobMounted",
    "BlobPresent",
    "BlobProgress",
    "BlobRead",
    "BlobResumed",
    "BlobStarted",
    "BlobTakenBack",
    "CopyEvent",
    "CopyOptions",
    "CopyOutcome",
    "CopyResult",
    "CopySource",
    "CopyTarget",
    "Found",
    "ManifestMemory",
    "ManifestPushed",
    "Note",
    "Pace",
    "Standing",
    "TargetFinished",
    "Throttle",
    "copy_artifact",
]

_DEFAULT_OPTIONS = CopyOptions()


def copy_artifact(
    source: CopySource,
    targets: Sequence[CopyTarget],
    *,
    options: CopyOptions = _DEFAULT_OPTIONS,
    on_event: OnEvent = ignore_event,
    stop: StopFlag | None = None,
) -> list[CopyOutcome]:
    """Copy an artifact byte for byte to all targets; return for each what was done or the RegistryError that ended it.

    Each manifest and each blob is read from the source once and written to every target that lacks it, with at most
    4 MiB waiting per blob. A target that fails does not touch the others. One that lags may hold them up for
    ``options.stall_seconds`` per blob, then it goes on alone (``registry.copying.reading`` has the rule).

    ``on_event`` is called from several threads, one at a time, with the target's place in ``targets``. Raise Stopped
    when ``stop`` (or the flag of a client) was set. The tags of a
    target that was not finished are set last, so they never point at a hole.
    """
    if not targets:
        return []
    halt = Halt(AnyFlag((stop, source.client.stop, *(target.client.stop for target in targets))))
    shared = Shared(source, stall_seconds=options.stall_seconds, halt=halt)
    telling = threading.Lock()
    lanes = [
        Lane(shared, target, options=options, teller=Teller(on_event, index, telling))
        for index, target in enumerate(targets)
    ]
    return _run_all(lanes, halt)


def _run_all(lanes: Sequence[Lane], halt: Halt) -> list[CopyOutcome]:
    """Run the lanes beside each other. What is raised in one ends all: a stop, or a bug of ours."""
    if len(lanes) == 1:
        return [lanes[0].run()]
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="target") as pool:
        futures = [pool.submit(lane.run) for lane in lanes]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        if any(future.exception() is not None for future in done):
            halt.set()
    raise_first_failure(futures)
    return [future.result() for future in futures]
