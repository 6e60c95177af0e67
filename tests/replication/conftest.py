"""Two in-memory registries, and a drain that runs in the test itself: its network threads touch no row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from registry.testkit import MemoryRegistry
from replication.models import Execution, Rule, Trigger
from replication.runner import Drain
from replication.services import start_execution
from targets.models import Endpoint
from tests.factories import make_endpoint, make_local_endpoint, make_rule


@dataclass
class Pair:
    """Both registries and their rows."""

    source: MemoryRegistry
    target: MemoryRegistry
    source_endpoint: Endpoint
    target_endpoint: Endpoint

    def make_rule(self, **overrides: Any) -> Rule:
        """Make a rule from the one to the other."""
        return make_rule(**{"source": self.source_endpoint, "targets": [self.target_endpoint], **overrides})


@pytest.fixture
def pair(db: None, source: MemoryRegistry, target: MemoryRegistry, settings: Any) -> Pair:
    """Give both registries with their rows; retries are quick."""
    settings.RETRY_BASE_SECONDS = 0.05
    settings.RETRY_CAP_SECONDS = 0.2
    return Pair(source, target, make_local_endpoint(url=source.url), make_endpoint(name="target", url=target.url))


@pytest.fixture
def run() -> Callable[..., Execution]:
    """Start a rule and work on it once: `run(rule)`."""

    def start_and_drain(rule: Rule, **options: Any) -> Execution:
        execution = start_execution(rule, **{"trigger": Trigger.MANUAL, **options})
        Drain(execution.pk).run()
        execution.refresh_from_db()
        return execution

    return start_and_drain
