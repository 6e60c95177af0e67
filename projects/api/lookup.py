"""Finding the project that a path names, as far as the user may see it."""

import re

from django.db.models import Prefetch, QuerySet
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from harborsync.lib.api.errors import NotFound
from harborsync.lib.api.views import INT64_MAX
from projects.access import visible_projects
from projects.models import PROJECT_NAME_PATTERN, Membership, Project


def shown_projects(request: Request) -> QuerySet[Project]:
    """Return the projects that the user may see, with what the API shows of them: two queries however many."""
    own = Membership.objects.filter(user_id=request.user.pk) if request.user.pk else Membership.objects.none()
    roles = Prefetch("memberships", queryset=own, to_attr="asking_roles")
    return visible_projects(request.user).select_related("owner", "endpoint").prefetch_related(roles)


def project_or_404(request: Request, name_or_id: str) -> Project:
    """Return the project of a path.

    A number is an id unless X-Is-Resource-Name says otherwise (API contract, section 1). What the user may not see does
    not exist for them; the anonymous are asked to log in first. Raises NotFound, NotAuthenticated.
    """
    is_name = request.headers.get("X-Is-Resource-Name", "").lower() == "true"
    is_id = not is_name and name_or_id.isascii() and name_or_id.isdigit()
    project = None
    if is_id:
        project = shown_projects(request).filter(pk=int(name_or_id)).first() if _fits(name_or_id) else None
    elif could_be_a_name(name_or_id):
        project = shown_projects(request).filter(name=name_or_id).first()
    if project is not None:
        return project
    if not request.user.is_authenticated:
        raise NotAuthenticated
    raise NotFound(f"project {name_or_id[:255]} not found")


def _fits(digits: str) -> bool:
    return len(digits) < 20 and int(digits) <= INT64_MAX


def could_be_a_name(text: str) -> bool:
    """Say whether a project may have this name; the database is not asked for what it cannot even compare."""
    return len(text) <= 255 and re.fullmatch(PROJECT_NAME_PATTERN, text) is not None
