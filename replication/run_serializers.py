"""Executions and tasks in the shapes of Harbor's API (API contract, section 10.2).

Harbor's words for states are made here and nowhere else.
"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from harborsync.lib.api.fields import IdField, TimeField, to_harbor_time
from replication.models import Execution, Status, Task, Transfer
from replication.statistics_serializers import StatisticsSerializer

# Harbor has no word for a run that was not begun: it shows Failed, and clients look at the beginning of the text.
EXECUTION_STATUS = {
    Status.PENDING: "InProgress",
    Status.RUNNING: "InProgress",
    Status.SUCCEEDED: "Succeed",
    Status.FAILED: "Failed",
    Status.SKIPPED: "Failed",
    Status.STOPPED: "Stopped",
}
TASK_STATUS = {
    Status.PENDING: "Pending",
    Status.RUNNING: "InProgress",
    Status.SUCCEEDED: "Succeed",
    Status.FAILED: "Failed",
    Status.SKIPPED: "Succeed",
    Status.STOPPED: "Stopped",
}
EXECUTION_WORDS = sorted(set(EXECUTION_STATUS.values()))
TASK_WORDS = sorted(set(TASK_STATUS.values()))
OWN = "HarborSync's own field."
WAITING = f"Parked because of a registry's limit; reason says why. {OWN}"
SKIPPED_PREFIX = "Execution skipped"


def statuses_called(word: str, words: dict[Status, str]) -> list[Status]:
    """Return our states for Harbor's word; none for a word that Harbor does not have.

    >>> [str(status) for status in statuses_called("InProgress", EXECUTION_STATUS)]
    ['pending', 'running']
    """
    return [status for status, shown in words.items() if shown == word]


class StartExecutionSerializer(serializers.Serializer[Execution]):
    """Which rule to run, and how."""

    policy_id = IdField()
    verify = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text=f"Ask the targets for every tag, whatever is remembered of them; else false. {OWN}",
    )


class ProgressSerializer(serializers.Serializer[Any]):
    """The counters that executions and tasks have in common; all of HarborSync's own."""

    transfers_total = serializers.IntegerField(help_text=f"Artifacts to copy or delete. {OWN}")
    transfers_succeeded = serializers.IntegerField(help_text=OWN)
    transfers_failed = serializers.IntegerField(help_text=OWN)
    transfers_skipped = serializers.IntegerField(help_text=OWN)
    transfers_stopped = serializers.IntegerField(help_text=OWN)
    tags_unchanged = serializers.IntegerField(help_text=f"Tags that were in step already. {OWN}")
    bytes_total = serializers.IntegerField(help_text=OWN)
    bytes_done = serializers.IntegerField(help_text=f"Of bytes_total; never goes back. {OWN}")
    bytes_copied = serializers.IntegerField(help_text=f"What really travelled. {OWN}")
    bytes_mounted = serializers.IntegerField(help_text=OWN)
    bytes_present = serializers.IntegerField(help_text=OWN)
    requests = serializers.IntegerField(help_text=f"HTTP requests to both registries. {OWN}")
    statistics = StatisticsSerializer(source="*", help_text=f"What it cost so far. {OWN}")


class ExecutionSerializer(ProgressSerializer):
    """A run as it is shown. The counters without prefix count tasks, that is repositories."""

    id = serializers.IntegerField(source="pk")
    policy_id = serializers.SerializerMethodField(help_text="0 when the rule was deleted.")
    status = serializers.SerializerMethodField()
    status_text = serializers.SerializerMethodField()
    trigger = serializers.CharField()
    total = serializers.IntegerField(source="tasks_total")
    succeed = serializers.SerializerMethodField(help_text="Succeeded, or left alone as the rule wants.")
    failed = serializers.IntegerField(source="tasks_failed")
    in_progress = serializers.IntegerField(source="tasks_open")
    stopped = serializers.IntegerField(source="tasks_stopped")
    start_time = serializers.SerializerMethodField()
    end_time = TimeField(source="ended_at")
    policy_name = serializers.CharField(source="rule_name", help_text=OWN)
    state = serializers.CharField(source="status", help_text=f"In HarborSync's words. {OWN}")
    reason_code = serializers.CharField(help_text=f"Why it failed or is being retried. {OWN}")
    verify = serializers.BooleanField(help_text=f"The targets are asked for every tag. {OWN}")
    operator = serializers.CharField(source="requested_by_name", help_text=OWN)
    is_stopping = serializers.BooleanField(help_text=OWN)
    is_retrying = serializers.BooleanField(help_text=OWN)
    attempts = serializers.IntegerField(help_text=f"Attempts at listing the source. {OWN}")
    is_waiting = serializers.BooleanField(help_text=f"Work of it is parked because of a registry's limit. {OWN}")
    waiting_until = TimeField(help_text=f"Until when work was last parked. {OWN}")
    waiting_reason = serializers.CharField(help_text=f"Why. {OWN}")

    @extend_schema_field(OpenApiTypes.INT64)
    def get_policy_id(self, execution: Execution) -> int:
        """Return the rule's id."""
        return execution.rule_id or 0

    @extend_schema_field({"type": "string", "enum": EXECUTION_WORDS})
    def get_status(self, execution: Execution) -> str:
        """Return Harbor's word."""
        return EXECUTION_STATUS[Status(execution.status)]

    @extend_schema_field(OpenApiTypes.STR)
    def get_status_text(self, execution: Execution) -> str:
        """Return the sentence; that of a skipped run begins as clients expect."""
        text = execution.status_text
        if execution.status == Status.SKIPPED and not text.startswith(SKIPPED_PREFIX):
            return f"{SKIPPED_PREFIX}: {text}".removesuffix(": ")
        return text

    @extend_schema_field(OpenApiTypes.INT)
    def get_succeed(self, execution: Execution) -> int:
        """Return how many tasks ended well."""
        return execution.tasks_succeeded + execution.tasks_skipped

    @extend_schema_field(OpenApiTypes.DATETIME)
    def get_start_time(self, execution: Execution) -> str:
        """Return when it was asked for: Harbor has no queue that one would see."""
        return to_harbor_time(execution.created_at)


class TaskSerializer(ProgressSerializer):
    """One source repository to one destination."""

    id = serializers.IntegerField(source="pk")
    execution_id = serializers.IntegerField()
    status = serializers.SerializerMethodField()
    job_id = serializers.SerializerMethodField(help_text="The task's id in the form that Harbor's job ids have.")
    operation = serializers.CharField()
    resource_type = serializers.SerializerMethodField()
    src_resource = serializers.SerializerMethodField()
    dst_resource = serializers.SerializerMethodField()
    start_time = TimeField(source="started_at")
    end_time = TimeField(source="ended_at")
    dest_registry_name = serializers.CharField(source="target_name", help_text=OWN)
    state = serializers.CharField(source="status", help_text=f"In HarborSync's words. {OWN}")
    reason_code = serializers.CharField(help_text=f"Why it failed or is being retried. {OWN}")
    reason = serializers.CharField(help_text=f"The same as a sentence. {OWN}")
    is_retrying = serializers.BooleanField(help_text=OWN)
    attempts = serializers.IntegerField(help_text=f"Attempts at planning. {OWN}")
    is_waiting = serializers.BooleanField(source="is_parked", help_text=WAITING)
    next_attempt_at = TimeField(help_text=f"When a task that is retried or waits is due. {OWN}")

    @extend_schema_field({"type": "string", "enum": TASK_WORDS})
    def get_status(self, task: Task) -> str:
        """Return Harbor's word."""
        return TASK_STATUS[Status(task.status)]

    @extend_schema_field(OpenApiTypes.STR)
    def get_job_id(self, task: Task) -> str:
        """Return 24 hexadecimal digits."""
        return f"{task.pk:024x}"

    @extend_schema_field({"type": "string", "enum": ["image"]})
    def get_resource_type(self, task: Task) -> str:
        """Return Harbor's word for what is in an OCI registry."""
        return "image"

    @extend_schema_field(OpenApiTypes.STR)
    def get_src_resource(self, task: Task) -> str:
        """Return the repository, and once it is planned how many items it has."""
        return _with_count(task.source_repository, task)

    @extend_schema_field(OpenApiTypes.STR)
    def get_dst_resource(self, task: Task) -> str:
        """Return the destination's repository, and once it is planned how many items it gets."""
        return _with_count(task.target_repository, task)


class TransferSerializer(serializers.Serializer[Transfer]):
    """One artifact of a task."""

    id = serializers.IntegerField(source="pk")
    task_id = serializers.IntegerField()
    execution_id = serializers.IntegerField()
    operation = serializers.CharField()
    digest = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    media_type = serializers.CharField()
    state = serializers.CharField(source="status", help_text="In HarborSync's words.")
    reason_code = serializers.CharField(help_text="Why it failed, is being retried, or waits.")
    reason = serializers.CharField(help_text="The same as a sentence.")
    is_retrying = serializers.BooleanField()
    is_waiting = serializers.BooleanField(source="is_parked", help_text=WAITING)
    next_attempt_at = TimeField(help_text="When a transfer that is retried or waits is due.")
    attempts = serializers.IntegerField()
    bytes_total = serializers.IntegerField()
    bytes_done = serializers.IntegerField(help_text="Of bytes_total; never goes back.")
    requests = serializers.IntegerField(help_text="HTTP requests to both registries.")
    statistics = StatisticsSerializer(source="*", help_text="What it cost so far.")
    start_time = TimeField(source="started_at")
    end_time = TimeField(source="ended_at")


def _with_count(repository: str, task: Task) -> str:
    """Return Harbor's display name (replication semantics, section 1.3)."""
    if task.planned_at is None:
        return repository
    return f"{repository} [{task.transfers_total + task.tags_unchanged} item(s) in total]"
