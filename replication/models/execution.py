"""Executions, their tasks and transfers, and what was logged about them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import pgettext_lazy

from projects.models import Project
from replication.models.costs import Costs
from replication.models.progress import Leased, Progress
from replication.models.rule import Rule
from replication.models.status import OPEN, Operation, Status, Trigger
from replication.plan import RuleSpec
from targets.models import Endpoint


class Execution(Progress, Costs, Leased):
    """One run of a rule. The lease is that of whoever lists the source's repositories."""

    rule = models.ForeignKey(Rule, on_delete=models.SET_NULL, null=True, related_name="executions")
    rule_name = models.CharField(max_length=255)
    project = models.ForeignKey(Project, on_delete=models.SET_NULL, null=True, related_name="executions")
    trigger = models.CharField(max_length=16, choices=Trigger.choices)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    requested_by_name = models.CharField(max_length=150, blank=True)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    # A reason code (registry.errors, replication.reasons) and a sentence; while retrying, those of the last attempt.
    reason_code = models.CharField(max_length=32, blank=True)
    status_text = models.TextField(blank=True)
    spec = models.JSONField(default=dict)  # replication.plan.RuleSpec as it was when the run began
    # [replication.plan.Scope, …] for what events named; None: everything the rule matches.
    scope = models.JSONField(null=True)
    # Nothing that is remembered of the targets is believed: they are asked for every tag.
    verify = models.BooleanField(default=False)
    stop_requested_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    listed_at = models.DateTimeField(null=True)  # when every task row was there
    ended_at = models.DateTimeField(null=True)
    rung_at = models.DateTimeField(null=True)  # when workers were last called for it
    # Until when and why work of it was last parked because of a limit, so that lists need not look for it.
    waiting_until = models.DateTimeField(null=True)
    waiting_reason = models.TextField(blank=True)

    tasks_total = models.PositiveIntegerField(default=0)
    tasks_succeeded = models.PositiveIntegerField(default=0)
    tasks_failed = models.PositiveIntegerField(default=0)
    tasks_skipped = models.PositiveIntegerField(default=0)
    tasks_stopped = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["status"], condition=Q(status__in=OPEN), name="execution_open"),
            models.Index(fields=["rule", "-id"], name="execution_of_rule"),
            models.Index(fields=["project", "-id"], name="execution_of_project"),
            models.Index(fields=["status", "-id"], name="execution_by_status"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=OPEN) | Q(ended_at__isnull=False),
                name="a_finished_execution_has_an_end",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_name} #{self.pk}"

    @property
    def is_finished(self) -> bool:
        """Say whether the final status is written."""
        return Status(self.status).is_finished

    @property
    def is_stopping(self) -> bool:
        """Say whether a stop was asked for and is still taking effect."""
        return self.stop_requested_at is not None and not self.is_finished

    @property
    def is_retrying(self) -> bool:
        """Say whether the last attempt at listing failed and the next one waits."""
        return self.status == Status.PENDING and self.attempts > 0

    @property
    def is_waiting(self) -> bool:
        """Say whether some of its work, or the listing, is parked because of a limit."""
        return self.waiting_until is not None and self.waiting_until > timezone.now() and not self.is_finished

    @property
    def tasks_finished(self) -> int:
        """Return how many tasks have come to an end, whichever."""
        return self.tasks_succeeded + self.tasks_failed + self.tasks_skipped + self.tasks_stopped

    @property
    def tasks_open(self) -> int:
        """Return how many tasks wait or run."""
        return self.tasks_total - self.tasks_finished

    def rule_spec(self) -> RuleSpec:
        """Return the rule as it was when the run began."""
        return RuleSpec.from_json(self.spec)


class Task(Progress, Costs, Leased):
    """One source repository to one target inside an execution. The lease is that of whoever plans it."""

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="tasks")
    operation = models.CharField(max_length=8, choices=Operation.choices, default=Operation.COPY)
    source_repository = models.CharField(max_length=255)
    target = models.ForeignKey(Endpoint, on_delete=models.SET_NULL, null=True, related_name="+")
    target_name = models.CharField(max_length=64)
    target_repository = models.CharField(max_length=255, blank=True)
    scope = models.JSONField(null=True)  # replication.plan.Scope of this repository; None: every tag that matches
    referrer_tags = models.JSONField(null=True)  # the source's fallback tags as planning saw them; None: not known
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    reason_code = models.CharField(max_length=32, blank=True)
    reason = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    planned_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["execution", "status", "id"], name="task_by_status"),
            models.Index(fields=["next_attempt_at"], condition=Q(status=Status.PENDING), name="task_due"),
            models.Index(fields=["lease_until"], condition=Q(status=Status.RUNNING), name="task_leased"),
        ]

    def __str__(self) -> str:
        return f"{self.source_repository} → {self.target_name}/{self.target_repository}"

    @property
    def is_finished(self) -> bool:
        """Say whether the final status is written."""
        return Status(self.status).is_finished

    @property
    def is_retrying(self) -> bool:
        """Say whether an attempt at planning failed and the next one waits."""
        return self.status == Status.PENDING and self.attempts > 0


class Transfer(Costs, Leased):
    """One artifact (a digest and its tags) inside a task."""

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="transfers")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="transfers")
    operation = models.CharField(max_length=8, choices=Operation.choices, default=Operation.COPY)
    digest = models.CharField(max_length=160)
    tags = models.JSONField(default=list)  # none: only what refers to the artifact is carried over
    # A signature or the like under a tag of its own (cosign): it goes after what it is about.
    is_companion = models.BooleanField(default=False)
    media_type = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    reason_code = models.CharField(max_length=32, blank=True)
    reason = models.TextField(blank=True)
    bytes_total = models.BigIntegerField(default=0)
    bytes_done = models.BigIntegerField(default=0)
    bytes_copied = models.BigIntegerField(default=0)
    bytes_mounted = models.BigIntegerField(default=0)
    bytes_present = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["execution", "status", "id"], name="transfer_by_status"),
            models.Index(fields=["task", "status"], name="transfer_of_task"),
            models.Index(fields=["next_attempt_at"], condition=Q(status=Status.PENDING), name="transfer_due"),
            models.Index(fields=["lease_until"], condition=Q(status=Status.RUNNING), name="transfer_leased"),
        ]

    def __str__(self) -> str:
        return f"{self.digest[:19]} {','.join(self.tags)}"

    @property
    def is_of_referrers(self) -> bool:
        """Say whether the artifact itself stays as it is, and only what refers to it is carried over."""
        return not self.tags

    @property
    def is_retrying(self) -> bool:
        """Say whether an attempt failed and the next one waits."""
        return self.status == Status.PENDING and self.attempts > 0


class LogLine(models.Model):
    """One line about an execution or one of its tasks. Kept as long as they are."""

    class Level(models.TextChoices):
        """How much it matters."""

        INFO = "info", pgettext_lazy("log level", "Info")
        WARNING = "warning", pgettext_lazy("log level", "Warning")
        ERROR = "error", pgettext_lazy("log level", "Error")

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="log_lines")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, null=True, related_name="log_lines")
    at = models.DateTimeField()
    level = models.CharField(max_length=7, choices=Level.choices, default=Level.INFO)
    message = models.TextField()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["task", "id"], name="log_of_task"),
            models.Index(fields=["execution", "id"], condition=Q(task__isnull=True), name="log_of_execution"),
        ]

    def __str__(self) -> str:
        return self.message
