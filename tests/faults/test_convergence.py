"""Whatever happens, in whatever order: the target becomes what the source is."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.convergence import Convergence

# HYPOTHESIS_PROFILE=thorough looks for what nobody thought of; the other repeats what is known to pass.
PROFILES = {
    "thorough": settings(max_examples=400, stateful_step_count=40),
    "": settings(max_examples=25, stateful_step_count=20, derandomize=True),
}


@pytest.mark.slow
@pytest.mark.django_db
def test_after_any_sequence_of_pushes_deletions_and_faults_the_target_becomes_what_the_source_is(quick):
    profile = PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "")]
    checks = list(HealthCheck)
    run_state_machine_as_test(Convergence, settings=settings(profile, deadline=None, suppress_health_check=checks))
