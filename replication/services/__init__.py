"""What can be done to rules and runs: each function is one transaction, with keyword arguments."""

from replication.schedules import CronError, next_runs, validate_cron
from replication.services.events import process_events, start_waiting
from replication.services.executions import RuleDisabled, retry_failed, start_execution, stop_execution
from replication.services.notifications import Acceptance, EnvelopeError, accept_notification
from replication.services.rules import RuleIsActive, delete_rule, save_rule, set_rule_enabled
from replication.services.visibility import executions_visible_to, rules_visible_to

__all__ = [
    "Acceptance",
    "CronError",
    "EnvelopeError",
    "RuleDisabled",
    "RuleIsActive",
    "accept_notification",
    "delete_rule",
    "executions_visible_to",
    "next_runs",
    "process_events",
    "retry_failed",
    "rules_visible_to",
    "save_rule",
    "set_rule_enabled",
    "start_execution",
    "start_waiting",
    "stop_execution",
    "validate_cron",
]
