"""Members of a project (API contract, section 8.2)."""

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from harborsync.lib.api.answers import created, empty
from harborsync.lib.api.errors import BadRequest, NotFound
from harborsync.lib.api.lists import PAGE_PARAMETERS, answer_list
from harborsync.lib.api.views import ApiView, checked_body, path_id, require
from projects.access import may_manage_members, may_view_replication
from projects.api.lookup import project_or_404
from projects.models import Membership, Project
from projects.serializers import ProjectMemberEntitySerializer, ProjectMemberSerializer, RoleRequestSerializer
from projects.services import add_member, change_member, remove_member


class MemberListView(ApiView):
    """The members of a project."""

    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="listProjectMembers",
        tags=["member"],
        parameters=[OpenApiParameter("entityname", str, description="Part of the user name."), *PAGE_PARAMETERS],
        responses=ProjectMemberEntitySerializer(many=True),
    )
    def get(self, request: Request, project_name_or_id: str) -> Response:
        """List members; only members may."""
        project = project_or_404(request, project_name_or_id)
        require(request, may_view_replication(request.user, project))
        rows = project.memberships.select_related("user").order_by("user__username")
        if name := request.query_params.get("entityname"):
            rows = rows.filter(user__username__icontains=name)
        return answer_list(request, rows, serializer=ProjectMemberEntitySerializer)

    @extend_schema(
        operation_id="createProjectMember", tags=["member"], request=ProjectMemberSerializer, responses={201: None}
    )
    def post(self, request: Request, project_name_or_id: str) -> HttpResponse:
        """Make a user a member."""
        project = project_or_404(request, project_name_or_id)
        require(request, may_manage_members(request.user, project))
        body = checked_body(ProjectMemberSerializer(data=request.data))
        membership = add_member(project, user=_named_user(body), role=body["role_id"])
        return created(request, membership.pk)


def _named_user(body: dict[str, Any]) -> User:
    """Return the user that the body names. Raises BadRequest, NotFound."""
    if body.get("member_group"):
        raise BadRequest("there are no groups here: add the users one by one")
    named = body.get("member_user") or {}
    if named.get("user_id"):
        user = User.objects.filter(pk=named["user_id"]).first()
    elif named.get("username"):
        user = User.objects.filter(username=named["username"]).first()
    else:
        raise BadRequest("member_user needs a user_id or a username")
    if user is None:
        raise NotFound(f"user {named.get('user_id') or named['username']} not found")
    return user


class MemberView(ApiView):
    """One membership."""

    permission_classes = (AllowAny,)

    @extend_schema(operation_id="getProjectMember", tags=["member"], responses=ProjectMemberEntitySerializer)
    def get(self, request: Request, project_name_or_id: str, mid: str) -> Response:
        """Show a member."""
        project = project_or_404(request, project_name_or_id)
        require(request, may_view_replication(request.user, project))
        return Response(ProjectMemberEntitySerializer(_member_or_404(project, mid)).data)

    @extend_schema(
        operation_id="updateProjectMember", tags=["member"], request=RoleRequestSerializer, responses={200: None}
    )
    def put(self, request: Request, project_name_or_id: str, mid: str) -> HttpResponse:
        """Give a member another role."""
        project = project_or_404(request, project_name_or_id)
        require(request, may_manage_members(request.user, project))
        membership = _member_or_404(project, mid)
        change_member(membership, role=checked_body(RoleRequestSerializer(data=request.data))["role_id"])
        return empty()

    @extend_schema(operation_id="deleteProjectMember", tags=["member"], responses={200: None})
    def delete(self, request: Request, project_name_or_id: str, mid: str) -> HttpResponse:
        """End a membership."""
        project = project_or_404(request, project_name_or_id)
        require(request, may_manage_members(request.user, project))
        remove_member(_member_or_404(project, mid))
        return empty()


def _member_or_404(project: Project, text: str) -> Membership:
    """Return the membership of a path. Raises NotFound, Unprocessable."""
    number = path_id(text, name="mid")
    membership = project.memberships.select_related("user").filter(pk=number).first()
    if membership is None:
        raise NotFound(f"project member {number} not found")
    return membership
