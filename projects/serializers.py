"""Projects and members in the shapes of Harbor's API (API contract, sections 8.1 and 8.2)."""

from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from harborsync.lib.api.fields import IdField, TimeField
from projects.models import Membership, Project
from targets.identity import api_id

# Harbor's role names; the numbers are those of Membership.Role.
ROLE_NAMES = {1: "projectAdmin", 2: "developer", 3: "guest", 4: "maintainer", 5: "limitedGuest"}
# From most to least; Harbor's numbers are in no such order.
ROLES_BY_RANK = (1, 4, 2, 3, 5)


class ProjectMetadataSerializer(serializers.Serializer[Project]):
    """Harbor keeps all metadata as strings."""

    public = serializers.ChoiceField(["true", "false"])


class ProjectSerializer(serializers.Serializer[Project]):
    """A project as it is shown; `asking_roles` on the row holds the memberships of the user who asks."""

    project_id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    owner_id = serializers.IntegerField(help_text="0 when the owner is gone.")
    owner_name = serializers.SerializerMethodField()
    registry_id = serializers.SerializerMethodField(
        help_text="Registry that the project lies in; absent for the local one, as clients take it for a proxy cache."
    )
    namespace = serializers.CharField(help_text="First part of its repositories' names. HarborSync's own field.")
    repo_count = serializers.SerializerMethodField(help_text="Always 0: repositories are counted by their registry.")
    current_user_role_id = serializers.SerializerMethodField()
    current_user_role_ids = serializers.SerializerMethodField()
    metadata = serializers.SerializerMethodField()
    creation_time = TimeField(source="created_at")
    update_time = TimeField(source="updated_at")

    def to_representation(self, project: Project) -> dict[str, Any]:
        """Return the project, without the registry when it is the local one (API contract, section 15, line 13)."""
        shown = dict(super().to_representation(project))
        shown["owner_id"] = shown["owner_id"] or 0
        if project.endpoint.is_local:
            del shown["registry_id"]
        return shown

    @extend_schema_field(OpenApiTypes.STR)
    def get_owner_name(self, project: Project) -> str:
        """Return the owner's user name."""
        return project.owner.get_username() if project.owner else ""

    @extend_schema_field(OpenApiTypes.INT64)
    def get_registry_id(self, project: Project) -> int:
        """Return the registry's number."""
        return api_id(project.endpoint)

    @extend_schema_field(OpenApiTypes.INT64)
    def get_repo_count(self, project: Project) -> int:
        """Return the field that Harbor's clients expect."""
        return 0

    @extend_schema_field(OpenApiTypes.INT)
    def get_current_user_role_id(self, project: Project) -> int:
        """Return the highest role of the user who asks; 0 for none."""
        roles = self.get_current_user_role_ids(project)
        return min(roles, key=ROLES_BY_RANK.index) if roles else 0

    @extend_schema_field({"type": "array", "items": {"type": "integer"}})
    def get_current_user_role_ids(self, project: Project) -> list[int]:
        """Return the roles of the user who asks."""
        return [membership.role for membership in getattr(project, "asking_roles", [])]

    @extend_schema_field(ProjectMetadataSerializer)
    def get_metadata(self, project: Project) -> dict[str, str]:
        """Return the metadata; every value is a string."""
        return {"public": "true" if project.public else "false"}


class ProjectReqSerializer(serializers.Serializer[Project]):
    """A project to be created or changed."""

    project_name = serializers.CharField(required=False, allow_null=True, allow_blank=True, trim_whitespace=False)
    public = serializers.BooleanField(required=False, allow_null=True, help_text="Old form of metadata.public.")
    metadata = serializers.DictField(
        child=serializers.CharField(allow_null=True, allow_blank=True),
        required=False,
        allow_null=True,
        help_text="Only `public` counts: `true` or `false`, as a string.",
    )
    registry_id = serializers.IntegerField(
        required=False,
        allow_null=True,
        max_value=2**63 - 1,
        help_text="Registry that the project lies in; absent or null for the local one.",
    )
    namespace = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=255,
        help_text="First part of its repositories' names, unless it is the project's name. HarborSync's own field.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Turn both ways to say "public" into one; null means not said."""
        said = (attrs.pop("metadata", None) or {}).get("public")
        if said is not None:
            if said not in ("true", "false"):
                raise serializers.ValidationError(
                    f"metadata.public should only be 'true' or 'false', but got: '{said}'"
                )
            attrs["public"] = said == "true"
        return attrs


class ProjectSummarySerializer(serializers.Serializer[object]):
    """Members of a project by role."""

    repo_count = serializers.IntegerField(help_text="Always 0: repositories are counted by their registry.")
    project_admin_count = serializers.IntegerField()
    maintainer_count = serializers.IntegerField()
    developer_count = serializers.IntegerField()
    guest_count = serializers.IntegerField()
    limited_guest_count = serializers.IntegerField()


class ProjectMemberEntitySerializer(serializers.Serializer[Membership]):
    """A member as it is shown."""

    id = serializers.IntegerField(source="pk")
    project_id = serializers.IntegerField()
    entity_id = serializers.IntegerField(source="user_id")
    entity_name = serializers.CharField(source="user.username")
    entity_type = serializers.SerializerMethodField(help_text="Always `u`, a user.")
    role_id = serializers.IntegerField(source="role")
    role_name = serializers.SerializerMethodField()

    @extend_schema_field(OpenApiTypes.STR)
    def get_entity_type(self, membership: Membership) -> str:
        """Return Harbor's letter for users."""
        return "u"

    @extend_schema_field(OpenApiTypes.STR)
    def get_role_name(self, membership: Membership) -> str:
        """Return Harbor's name of the role."""
        return ROLE_NAMES[membership.role]


class RoleRequestSerializer(serializers.Serializer[Membership]):
    """A role: 1 project admin, 2 developer, 3 guest, 4 maintainer, 5 limited guest."""

    role_id = serializers.ChoiceField(sorted(ROLE_NAMES))


class UserEntitySerializer(serializers.Serializer[User]):
    """A user by id or by name."""

    user_id = IdField(required=False, allow_null=True)
    username = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=150)


class ProjectMemberSerializer(RoleRequestSerializer):
    """A member to be added."""

    member_user = UserEntitySerializer(required=False, allow_null=True)
    member_group = serializers.DictField(
        required=False, allow_null=True, help_text="Refused: there are no groups in HarborSync."
    )
