"""The fault matrix: each known misbehaviour, on the source or the target, through a whole run.

A run ends with the right content at the target or with the right reason, and always soundly (`assert_sound`).
"""

import pytest

from registry.testkit import MemoryRegistry
from tests.faults.matrix import CASES
from tests.faults.soundness import assert_sound, replicate

pytestmark = pytest.mark.django_db

LAYERS = (60_000, 400_000)


def add_small_images(registry: MemoryRegistry) -> None:
    """Add tags enough for the target to be listed rather than asked for each (engine.FEW_TAGS)."""
    for tag in ("v2", "v3", "v4"):
        registry.add_image("test/app", tag)


@pytest.mark.parametrize("case", CASES, ids=[case.identifier for case in CASES])
def test_a_run_that_meets_a_fault_ends_in_the_right_content_or_the_right_reason(make_pair, settings, case):
    pair = make_pair(**{case.side: case.options})
    pair.source.add_image("test/app", "v1", layer_sizes=LAYERS)
    add_small_images(pair.source)
    pair.source.add_index("test/multi", "v1", ["linux/amd64", "linux/arm64"])
    if case.older_at_target:
        pair.target.add_image("test/app", "v1", layer_sizes=[7])
    if case.gives_up:
        settings.RETRY_GIVE_UP_SECONDS = 0.3
    faulty = case.registry(pair)
    faults = [faulty.faults.add(fault) for fault in case.faults()]

    execution = replicate(pair.make_rule(**case.rule))

    for fault in faults:
        assert faulty.faults.times_taken(fault), "the fault met no request"
    case.outcome.check(pair, execution)
    assert_sound(pair, execution, open_uploads=int(case.leaves_session))
