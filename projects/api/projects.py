"""Projects: list, create, read, change, delete (API contract, section 8.1)."""

from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from harborsync.lib.api.answers import created, empty
from harborsync.lib.api.errors import BadRequest, Conflict, NotFound, PreconditionFailed
from harborsync.lib.api.lists import QUERY_PARAMETERS, answer_list
from harborsync.lib.api.queries import Column, Kind, filter_rows, sort_rows
from harborsync.lib.api.views import ApiView, checked_body, require
from projects.access import may_create_projects, may_manage_project, visible_projects
from projects.api.lookup import could_be_a_name, project_or_404, shown_projects
from projects.models import Project
from projects.serializers import (
    ProjectReqSerializer,
    ProjectSerializer,
    ProjectSummarySerializer,
)
from projects.services import ProjectInUse, create_project, delete_project, update_project
from targets.identity import endpoint_with_api_id

COLUMNS = {
    "project_id": Column("pk", Kind.NUMBER),
    "id": Column("pk", Kind.NUMBER),
    "name": Column("name"),
    "public": Column("public", Kind.BOOLEAN),
    "owner": Column("owner__username"),
    "owner_id": Column("owner_id", Kind.NUMBER),
    "creation_time": Column("created_at", Kind.TIME),
    "update_time": Column("updated_at", Kind.TIME),
}
# Role number → its field in the summary.
ROLE_COUNTS = {
    1: "project_admin_count",
    4: "maintainer_count",
    2: "developer_count",
    3: "guest_count",
    5: "limited_guest_count",
}
ILLEGAL_NAME = "project name is not in lower case or contains illegal characters"


class ProjectListView(ApiView):
    """The projects that the user may see."""

    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="listProjects",
        tags=["project"],
        parameters=[
            OpenApiParameter("name", str, description="Part of the name."),
            OpenApiParameter("public", bool, description="Only public ones, or only the others."),
            OpenApiParameter("owner", str, description="User name of the owner."),
            *QUERY_PARAMETERS,
        ],
        responses=ProjectSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List projects."""
        asked = request.query_params
        rows = shown_projects(request)
        if asked.get("name"):
            rows = rows.filter(name__icontains=asked["name"])
        if asked.get("owner"):
            rows = rows.filter(owner__username=asked["owner"])
        if asked.get("public"):
            is_public = asked["public"].lower() in ("true", "1")
            if not is_public and not request.user.is_authenticated:
                raise NotAuthenticated
            rows = rows.filter(public=is_public)
        rows = filter_rows(rows, asked.get("q", ""), COLUMNS)
        rows = sort_rows(rows, asked.get("sort", ""), COLUMNS, default=["name"])
        return answer_list(request, rows, serializer=ProjectSerializer)

    @extend_schema(
        operation_id="headProject",
        tags=["project"],
        parameters=[OpenApiParameter("project_name", str, required=True)],
        responses={200: None, 404: None},
    )
    def head(self, request: Request) -> HttpResponse:
        """Say whether there is a project of this name."""
        require(request, request.user.is_authenticated)
        name = request.query_params.get("project_name", "")
        if not (could_be_a_name(name) and visible_projects(request.user).filter(name=name).exists()):
            raise NotFound(f"project {name[:255]} not found")
        return empty()

    @extend_schema(
        operation_id="createProject",
        tags=["project"],
        parameters=[
            OpenApiParameter(
                "X-Resource-Name-In-Location",
                bool,
                OpenApiParameter.HEADER,
                description="End the Location with the name in place of the id.",
            )
        ],
        request=ProjectReqSerializer,
        responses={201: None},
    )
    def post(self, request: Request) -> HttpResponse:
        """Create a project; it becomes a namespace of the local registry, or of the one named by registry_id."""
        require(request, may_create_projects(request.user))
        project = _create(request, checked_body(ProjectReqSerializer(data=request.data)))
        by_name = request.headers.get("X-Resource-Name-In-Location", "").lower() == "true"
        return created(request, project.name if by_name else project.pk)


def _create(request: Request, body: dict[str, Any]) -> Project:
    """Create the project of a request body. Raises BadRequest, NotFound, Conflict."""
    name = body.get("project_name") or ""
    if not could_be_a_name(name):
        raise BadRequest(ILLEGAL_NAME)
    number = body.get("registry_id")
    if number is not None and number <= 0:
        raise BadRequest(f"{number} is invalid value of registry_id, it should be geater than 0")
    endpoint = None if number is None else endpoint_with_api_id(number)
    if number is not None and endpoint is None:
        raise NotFound(f"registry {number} not found")
    if Project.objects.filter(name=name).exists():
        raise Conflict(f"The project named {name} already exists")
    owner = request.user if isinstance(request.user, User) else None
    return create_project(
        name=name,
        owner=owner,
        public=bool(body.get("public")),
        endpoint=endpoint,
        namespace=body.get("namespace") or "",
    )


class ProjectView(ApiView):
    """One project, by its name or id."""

    permission_classes = (AllowAny,)

    @extend_schema(operation_id="getProject", tags=["project"], responses=ProjectSerializer)
    def get(self, request: Request, project_name_or_id: str) -> Response:
        """Show a project."""
        return Response(ProjectSerializer(project_or_404(request, project_name_or_id)).data)

    @extend_schema(operation_id="updateProject", tags=["project"], request=ProjectReqSerializer, responses={200: None})
    def put(self, request: Request, project_name_or_id: str) -> HttpResponse:
        """Make a project public or private; its name and place stay."""
        project = project_or_404(request, project_name_or_id)
        require(request, may_manage_project(request.user, project))
        body = checked_body(ProjectReqSerializer(data=request.data))
        update_project(project, public=body.get("public"))
        return empty()

    @extend_schema(operation_id="deleteProject", tags=["project"], responses={200: None})
    def delete(self, request: Request, project_name_or_id: str) -> HttpResponse:
        """Delete a project that has no rules; images are not touched."""
        project = project_or_404(request, project_name_or_id)
        require(request, may_manage_project(request.user, project))
        try:
            delete_project(project)
        except ProjectInUse as error:
            raise PreconditionFailed(str(error)) from error
        return empty()


class ProjectSummaryView(ApiView):
    """A project's members in numbers."""

    permission_classes = (AllowAny,)

    @extend_schema(operation_id="getProjectSummary", tags=["project"], responses=ProjectSummarySerializer)
    def get(self, request: Request, project_name_or_id: str) -> Response:
        """Count the members by role."""
        project = project_or_404(request, project_name_or_id)
        counts = dict(project.memberships.order_by().values_list("role").annotate(Count("pk")))
        return Response({"repo_count": 0, **{field: counts.get(role, 0) for role, field in ROLE_COUNTS.items()}})
