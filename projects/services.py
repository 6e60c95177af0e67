"""What can be done to projects and their members."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from projects.models import Membership, Project
from registry.reference import is_repository_name
from targets.models import Endpoint


class ProjectInUse(Exception):
    """The project cannot go: rules belong to it."""

    def __init__(self, project: Project, rules: Sequence[str]) -> None:
        self.rules = rules
        super().__init__(
            _("Project %(project)s has replication rules: %(rules)s. Delete those first.")
            % {"project": project.name, "rules": ", ".join(rules)}
        )


def create_project(
    *, name: str, owner: User | None, public: bool = False, endpoint: Endpoint | None = None, namespace: str = ""
) -> Project:
    """Create a project in the local registry (or the one given) with its owner as project admin.

    Raises ValidationError by field; a taken name has the code "unique".
    """
    endpoint = endpoint or Endpoint.objects.local()
    if endpoint is None:
        raise ValidationError(
            {
                "endpoint": _(
                    "There is no local registry yet. Name one at start (HARBORSYNC_LOCAL_REGISTRY_URL), "
                    "mark a registry as local, or choose the registry of this project."
                )
            }
        )
    project = Project(name=name, owner=owner, public=public, endpoint=endpoint, namespace=namespace or name)
    if not is_repository_name(project.namespace):
        raise ValidationError({"namespace": _("A namespace is lower case, as in team-a or team-a/base.")})
    project.full_clean()
    with transaction.atomic():
        project.save()
        if owner is not None:
            Membership.objects.create(project=project, user=owner, role=Membership.Role.PROJECT_ADMIN)
    return project


def update_project(project: Project, *, public: bool | None = None) -> Project:
    """Change what is given of a project."""
    if public is not None:
        project.public = public
        project.save(update_fields=["public", "updated_at"])
    return project


def delete_project(project: Project) -> None:
    """Delete a project without rules; images are not touched. Raises ProjectInUse."""
    try:
        with transaction.atomic():
            project.delete()
    except ProtectedError as error:
        raise ProjectInUse(project, sorted(str(row) for row in error.protected_objects)) from error


def add_member(project: Project, *, user: User, role: int) -> Membership:
    """Make a user a member. Raises ValidationError (code "unique" when they are one already)."""
    membership = Membership(project=project, user=user, role=role)
    membership.full_clean(validate_constraints=False)
    if Membership.objects.filter(project=project, user=user).exists():
        raise ValidationError(
            {"user": ValidationError(_("%(user)s is a member already."), code="unique", params={"user": user})}
        )
    membership.save()
    return membership


def change_member(membership: Membership, *, role: int) -> Membership:
    """Give a member another role. Raises ValidationError."""
    membership.role = role
    membership.full_clean(validate_constraints=False, validate_unique=False)
    membership.save(update_fields=["role"])
    return membership


def remove_member(membership: Membership) -> None:
    """End a membership."""
    membership.delete()
