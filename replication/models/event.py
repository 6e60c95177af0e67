"""What registries told us, and which rules it concerns."""

from django.db import models
from django.db.models import Q

from replication.models.execution import Execution
from replication.models.rule import Rule
from targets.models import Endpoint


class Event(models.Model):
    """One inbound notification about a manifest, stored before it is answered."""

    class Action(models.TextChoices):
        """What is said to have happened. It is looked up at the source, never believed."""

        PUSH = "push"
        DELETE = "delete"

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="events")
    source_id = models.CharField(max_length=128)
    action = models.CharField(max_length=6, choices=Action.choices)
    repository = models.CharField(max_length=255)
    tag = models.CharField(max_length=128, blank=True)
    digest = models.CharField(max_length=160, blank=True)
    raw = models.JSONField(default=dict)
    received_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["endpoint", "source_id"], name="an_event_is_stored_once")]
        indexes = [
            models.Index(fields=["id"], condition=Q(processed_at__isnull=True), name="event_unprocessed"),
            models.Index(fields=["received_at"], name="event_received"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.repository}:{self.tag or self.digest}"


class RuleEvent(models.Model):
    """An event that a rule must act on: waiting until an execution takes it."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="rule_events")
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="rule_events")
    execution = models.ForeignKey(Execution, on_delete=models.SET_NULL, null=True, related_name="rule_events")
    taken_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["rule", "event"], name="an_event_concerns_a_rule_once")]
        indexes = [models.Index(fields=["rule"], condition=Q(taken_at__isnull=True), name="rule_event_waiting")]

    def __str__(self) -> str:
        return f"{self.event} for {self.rule}"
