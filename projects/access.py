"""The only place that answers "may this user?".

For now there are three kinds of people: administrators (superusers), who may do everything; members of a project, who
may look at it and at its replication; and outsiders, who see public projects only.
"""

from typing import TypeAlias

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q, QuerySet

from projects.models import Project

AnyUser: TypeAlias = AbstractBaseUser | AnonymousUser


def is_administrator(user: AnyUser) -> bool:
    """Say whether the user runs this installation."""
    return bool(user.is_active and getattr(user, "is_superuser", False))


def visible_projects(user: AnyUser) -> QuerySet[Project]:
    """Return the projects the user may look at: all, or their own and the public ones."""
    if is_administrator(user):
        return Project.objects.all()
    return Project.objects.filter(Q(public=True) | Q(pk__in=_own(user)))


def member_projects(user: AnyUser) -> QuerySet[Project]:
    """Return the projects whose replication the user may look at: all, or those they belong to."""
    if is_administrator(user):
        return Project.objects.all()
    return Project.objects.filter(pk__in=_own(user))


def _own(user: AnyUser) -> QuerySet[Project, int]:
    """Return the ids of the projects the user belongs to."""
    if not user.is_authenticated or not user.is_active:
        return Project.objects.none().values_list("pk", flat=True)
    return Project.objects.filter(memberships__user_id=user.pk).values_list("pk", flat=True)


def may_view_project(user: AnyUser, project: Project) -> bool:
    """Say whether the user may open the project's page."""
    return visible_projects(user).filter(pk=project.pk).exists()


def may_view_replication(user: AnyUser, project: Project | None) -> bool:
    """Say whether the user may see rules, executions and logs of a project (None: system-wide rules)."""
    if project is None:
        return is_administrator(user)
    return member_projects(user).filter(pk=project.pk).exists()


def may_manage_endpoints(user: AnyUser) -> bool:
    """Say whether the user may see and change registries."""
    return is_administrator(user)


def may_create_projects(user: AnyUser) -> bool:
    """Say whether the user may create projects."""
    return is_administrator(user)


def may_manage_project(user: AnyUser, project: Project) -> bool:
    """Say whether the user may change or delete the project."""
    return is_administrator(user)


def may_manage_members(user: AnyUser, project: Project) -> bool:
    """Say whether the user may add, change and remove members."""
    return is_administrator(user)


def may_manage_rules(user: AnyUser, project: Project | None) -> bool:
    """Say whether the user may create, change and delete rules of a project (None: system-wide rules)."""
    return is_administrator(user)


def may_run_rules(user: AnyUser, project: Project | None) -> bool:
    """Say whether the user may start and stop executions of a project's rules (None: system-wide rules)."""
    return is_administrator(user)
