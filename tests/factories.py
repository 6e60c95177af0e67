"""Rows for tests: every maker takes keyword overrides, so that a test spells out only what matters."""

import itertools
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from projects.models import Membership, Project
from replication.models import FINISHED, Execution, LogLine, Rule, RuleFilter, RuleTarget, Status, Task, Transfer
from replication.plan import FilterSpec, TargetSpec
from targets.models import Endpoint

PASSWORD = "Correct-Horse-9"

_numbers = itertools.count(1)


def make_user(**overrides: Any) -> User:
    """Make a person without rights; `password` (PASSWORD unless given) is in clear."""
    password = overrides.pop("password", PASSWORD)
    fields = {"username": f"user-{next(_numbers)}", **overrides}
    return User.objects.create_user(password=password, **fields)


def make_admin(**overrides: Any) -> User:
    """Make an administrator."""
    return make_user(**{"username": f"admin-{next(_numbers)}", "is_superuser": True, "is_staff": True, **overrides})


def make_endpoint(**overrides: Any) -> Endpoint:
    """Make an endpoint; `secret` and `notification_token` are in clear."""
    number = next(_numbers)
    secret = overrides.pop("secret", "")
    token = overrides.pop("notification_token", f"token-{number}")
    endpoint = Endpoint(**{"name": f"registry-{number}", "url": f"http://registry-{number}.example.com", **overrides})
    endpoint.set_secret(secret)
    endpoint.set_notification_token(token)
    endpoint.save()
    return endpoint


def make_local_endpoint(**overrides: Any) -> Endpoint:
    """Return the local endpoint, made when there is none; overrides count only then."""
    return Endpoint.objects.local() or make_endpoint(**{"name": "Local", "is_local": True, **overrides})


def make_project(**overrides: Any) -> Project:
    """Make a project of the local endpoint; `members` is {user: role} or a list of users (guests)."""
    members = overrides.pop("members", {})
    fields = {"name": f"project-{next(_numbers)}", **overrides}
    fields.setdefault("namespace", fields["name"])
    if "endpoint" not in fields:
        fields["endpoint"] = make_local_endpoint()
    project = Project.objects.create(**fields)
    roles = members if isinstance(members, dict) else dict.fromkeys(members, Membership.Role.GUEST)
    for user, role in roles.items():
        Membership.objects.create(project=project, user=user, role=role)
    return project


def make_rule(**overrides: Any) -> Rule:
    """Make a rule: `filters` (FilterSpec …) and `targets` (TargetSpec, Endpoint …; one new endpoint unless given).

    Without a `source` it is the registry of the project, or the local one.
    """
    filters = overrides.pop("filters", ())
    targets = overrides.pop("targets", None)
    fields = {"name": f"rule-{next(_numbers)}", **overrides}
    if "source" not in fields:
        project = fields.get("project")
        fields["source"] = project.endpoint if project else make_local_endpoint()
    rule = Rule.objects.create(**fields)
    for position, condition in enumerate(filters):
        _add_filter(rule, condition, position)
    for position, target in enumerate([make_endpoint()] if targets is None else targets):
        _add_target(rule, target, position)
    return rule


def _add_filter(rule: Rule, condition: FilterSpec, position: int) -> None:
    RuleFilter.objects.create(
        rule=rule, position=position, kind=condition.kind, value=condition.value, decoration=condition.decoration
    )


def _add_target(rule: Rule, target: TargetSpec | Endpoint, position: int) -> None:
    spec = TargetSpec(endpoint_id=target.pk) if isinstance(target, Endpoint) else target
    RuleTarget.objects.create(
        rule=rule,
        position=position,
        endpoint_id=spec.endpoint_id,
        namespace=spec.namespace,
        flatten_level=spec.flatten_level,
    )


def make_execution(**overrides: Any) -> Execution:
    """Make an execution of `rule` (a new one unless given); a finished one began a minute before its end."""
    rule = overrides.pop("rule", None) or make_rule()
    fields = {
        "rule": rule,
        "rule_name": rule.name,
        "project": rule.project,
        "trigger": rule.trigger,
        "spec": rule.to_spec().to_json(),
        **_times(overrides.get("status", Status.PENDING)),
        **overrides,
    }
    return Execution.objects.create(**fields)


def make_task(**overrides: Any) -> Task:
    """Make a task of `execution` (a new one unless given); the execution's counters are left as they are."""
    execution = overrides.pop("execution", None) or make_execution()
    target = overrides.pop("target", None) or Endpoint.objects.get(pk=execution.spec["targets"][0]["endpoint_id"])
    number = next(_numbers)
    fields = {
        "execution": execution,
        "source_repository": f"library/image-{number}",
        "target": target,
        "target_name": target.name,
        **_times(overrides.get("status", Status.PENDING)),
        **overrides,
    }
    fields.setdefault("target_repository", fields["source_repository"])
    return Task.objects.create(**fields)


def make_transfer(**overrides: Any) -> Transfer:
    """Make a transfer of `task` (a new one unless given); the task's counters are left as they are."""
    task = overrides.pop("task", None) or make_task()
    fields = {
        "task": task,
        "execution": task.execution,
        "digest": f"sha256:{next(_numbers):064x}",
        "tags": ["latest"],
        "bytes_total": 1024,
        **_times(overrides.get("status", Status.PENDING)),
        **overrides,
    }
    return Transfer.objects.create(**fields)


def make_log_line(**overrides: Any) -> LogLine:
    """Make a log line of `task` or of `execution` (a new one unless given)."""
    task = overrides.pop("task", None)
    execution = overrides.pop("execution", None) or (task.execution if task else make_execution())
    fields = {"execution": execution, "task": task, "at": timezone.now(), "message": f"line {next(_numbers)}"}
    return LogLine.objects.create(**{**fields, **overrides})


def _times(status: str) -> dict[str, Any]:
    """Return the times that go with a status, as the constraints want them."""
    now = timezone.now()
    if status == Status.PENDING:
        return {}
    if status in FINISHED:
        return {"started_at": now - timedelta(minutes=1), "ended_at": now}
    return {"started_at": now - timedelta(minutes=1)}
