"""What of rules and runs a user gets to see; the answer is projects.access's."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet

from projects.access import is_administrator, member_projects
from replication.models import Execution, Rule


def rules_visible_to(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Rule]:
    """Return the rules, with what lists show of them; three queries however many."""
    rules = Rule.objects.select_related("source", "project").prefetch_related("targets__endpoint", "filters")
    return rules if is_administrator(user) else rules.filter(project__in=member_projects(user))


def executions_visible_to(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Execution]:
    """Return the executions, with what lists show of them; one query."""
    executions = Execution.objects.select_related("rule", "project")
    return executions if is_administrator(user) else executions.filter(project__in=member_projects(user))
