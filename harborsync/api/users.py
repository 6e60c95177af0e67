"""Calls about people (API contract, section 7)."""

from django.contrib.auth.models import User
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from harborsync.lib.api.fields import TimeField
from harborsync.lib.api.views import ApiView
from projects.access import is_administrator


class UserRespSerializer(serializers.Serializer[User]):
    """A user as Harbor shows one."""

    user_id = serializers.IntegerField(source="pk", read_only=True)
    username = serializers.CharField(read_only=True)
    email = serializers.CharField(read_only=True)
    realname = serializers.CharField(source="get_full_name", read_only=True)
    sysadmin_flag = serializers.SerializerMethodField()
    admin_role_in_auth = serializers.SerializerMethodField(help_text="Always false: no directory gives roles here.")
    creation_time = TimeField(source="date_joined")
    update_time = TimeField(source="date_joined")

    @extend_schema_field(OpenApiTypes.BOOL)
    def get_sysadmin_flag(self, user: User) -> bool:
        """Say whether the user is an administrator."""
        return is_administrator(user)

    @extend_schema_field(OpenApiTypes.BOOL)
    def get_admin_role_in_auth(self, user: User) -> bool:
        """Say that no directory made them one."""
        return False


class CurrentUserView(ApiView):
    """The user who is asking."""

    permission_classes = (AllowAny,)

    @extend_schema(operation_id="getCurrentUserInfo", tags=["user"], responses=UserRespSerializer)
    def get(self, request: Request) -> Response:
        """Return who the credentials belong to; 401 without any."""
        if not isinstance(request.user, User):
            raise NotAuthenticated
        return Response(UserRespSerializer(request.user).data)
