"""The rows of a replication: the truth that pages show and workers act on."""

from replication.models.event import Event, RuleEvent
from replication.models.execution import Execution, LogLine, Task, Transfer
from replication.models.progress import Leased, Progress, increments, released
from replication.models.referrer_state import ReferrerState
from replication.models.rule import PlatformMode, Rule, RuleFilter, RuleTarget
from replication.models.status import FINISHED, OPEN, Operation, Status, Trigger
from replication.models.sync_state import SyncState

__all__ = [
    "FINISHED",
    "OPEN",
    "Event",
    "Execution",
    "Leased",
    "LogLine",
    "Operation",
    "PlatformMode",
    "Progress",
    "ReferrerState",
    "Rule",
    "RuleEvent",
    "RuleFilter",
    "RuleTarget",
    "Status",
    "SyncState",
    "Task",
    "Transfer",
    "Trigger",
    "increments",
    "released",
]
