"""Projects (namespaces of a registry) and who belongs to them."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from targets.models import Endpoint

# Harbor's rule for project names (harbor API contract, ProjectReq).
PROJECT_NAME_PATTERN = r"^[a-z0-9]+(?:[._\-][a-z0-9]+)*$"
validate_project_name = RegexValidator(
    PROJECT_NAME_PATTERN,
    _(
        "Use lower case letters, digits and single . _ or - between them; start and end with a letter or digit. "
        "For example: team-a."
    ),
)


class Project(models.Model):
    """A namespace in a registry, with members and rules."""

    name = models.CharField(_("project name"), max_length=255, unique=True, validators=[validate_project_name])
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.PROTECT, related_name="projects", verbose_name=_("registry")
    )
    namespace = models.CharField(_("namespace"), max_length=255, blank=True)
    public = models.BooleanField(pgettext_lazy("project access level", "public"), default=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="projects")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=~models.Q(namespace=""), name="project_has_a_namespace")]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One user's role in one project. The numbers are Harbor's role ids."""

    class Role(models.IntegerChoices):
        """Harbor's project roles."""

        PROJECT_ADMIN = 1, _("Project Admin")
        DEVELOPER = 2, _("Developer")
        GUEST = 3, _("Guest")
        MAINTAINER = 4, _("Maintainer")
        LIMITED_GUEST = 5, _("Limited Guest")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.PositiveSmallIntegerField(_("role"), choices=Role.choices, default=Role.GUEST)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="one_membership_per_user_and_project"),
            models.CheckConstraint(condition=models.Q(role__in=[1, 2, 3, 4, 5]), name="membership_role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.project}"
