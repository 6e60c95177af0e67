"""What every tab of a project shares: which project, which tabs, and the question whether the viewer may."""

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from harborsync.lib.viewer import signed_in
from projects import access
from projects.models import Membership, Project


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab of a project's page."""

    name: str
    title: str
    url: str


def visible_project(request: HttpRequest, pk: int) -> Project:
    """Return a project that the viewer may look at. Raises Http404, also when it is not for them to see."""
    return get_object_or_404(access.visible_projects(request.user).select_related("endpoint", "owner"), pk=pk)


def replicated_project(request: HttpRequest, pk: int) -> Project:
    """Return a project whose replication the viewer may look at. Raises Http404."""
    project = visible_project(request, pk)
    if not access.may_view_replication(request.user, project):
        raise Http404
    return project


def project_context(request: HttpRequest, project: Project, *, tab: str) -> dict[str, Any]:
    """Return what the frame of a project's page shows."""
    membership = Membership.objects.filter(project=project, user=signed_in(request)).first()
    return {
        "project": project,
        "tab": tab,
        "tabs": _tabs(request, project),
        "is_administrator": access.is_administrator(request.user),
        "role": membership.get_role_display() if membership else "",
        "may_manage": access.may_manage_project(request.user, project),
    }


def _tabs(request: HttpRequest, project: Project) -> list[Tab]:
    names = [("summary", _("Summary"), "projects:summary")]
    if access.may_view_replication(request.user, project):
        names += [
            ("replication", _("Replication"), "replication:project"),
            ("members", _("Members"), "projects:members"),
        ]
    if access.may_manage_endpoints(request.user):
        names.append(("webhook", _("Webhook"), "projects:webhook"))
    return [Tab(name, title, reverse(view, args=[project.pk])) for name, title, view in names]
