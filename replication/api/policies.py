"""Rules: list, create, read, replace, delete (API contract, section 10.1)."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from harborsync.lib.api.answers import created, empty
from harborsync.lib.api.errors import Conflict, PreconditionFailed, has_code
from harborsync.lib.api.lists import QUERY_PARAMETERS, answer_list
from harborsync.lib.api.queries import Column, Kind, filter_rows, sort_rows
from harborsync.lib.api.views import ApiView, checked_body
from projects.access import visible_projects
from replication.api.lookup import policy_or_404
from replication.api.policy_bodies import fill_rule, requested_filters, requested_targets
from replication.models import Rule
from replication.plan import TargetSpec
from replication.serializers import PolicyRequestSerializer, PolicySerializer
from replication.services import RuleIsActive, delete_rule, rules_visible_to, save_rule

COLUMNS = {
    "id": Column("pk", Kind.NUMBER),
    "name": Column("name"),
    "description": Column("description"),
    "enabled": Column("enabled", Kind.BOOLEAN),
    "override": Column("override", Kind.BOOLEAN),
    "project_id": Column("project_id", Kind.NUMBER),
    "creation_time": Column("created_at", Kind.TIME),
    "update_time": Column("updated_at", Kind.TIME),
}


class PolicyListView(ApiView):
    """All rules."""

    @extend_schema(
        operation_id="listReplicationPolicies",
        tags=["replication"],
        parameters=[OpenApiParameter("name", str, description="Part of the name."), *QUERY_PARAMETERS],
        responses=PolicySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List rules."""
        rows = rules_visible_to(request.user)
        if name := request.query_params.get("name"):
            rows = rows.filter(name__icontains=name)
        rows = filter_rows(rows, request.query_params.get("q", ""), COLUMNS)
        rows = sort_rows(rows, request.query_params.get("sort", ""), COLUMNS, default=["-created_at"])
        return answer_list(request, rows, serializer=PolicySerializer)

    @extend_schema(
        operation_id="createReplicationPolicy",
        tags=["replication"],
        request=PolicyRequestSerializer,
        responses={201: None},
    )
    def post(self, request: Request) -> HttpResponse:
        """Create a rule from any registry to one or several others."""
        return created(request, _store(request, Rule(), present=()).pk)


class PolicyView(ApiView):
    """One rule."""

    @extend_schema(operation_id="getReplicationPolicy", tags=["replication"], responses=PolicySerializer)
    def get(self, request: Request, policy_id: str) -> Response:
        """Show a rule."""
        return Response(PolicySerializer(policy_or_404(request, policy_id)).data)

    @extend_schema(
        operation_id="updateReplicationPolicy",
        tags=["replication"],
        request=PolicyRequestSerializer,
        responses={200: None},
    )
    def put(self, request: Request, policy_id: str) -> HttpResponse:
        """Replace a rule. Runs under way go on as they began."""
        rule = policy_or_404(request, policy_id)
        _store(request, rule, present=[target.to_spec() for target in rule.targets.all()])
        return empty()

    @extend_schema(operation_id="deleteReplicationPolicy", tags=["replication"], responses={200: None})
    def delete(self, request: Request, policy_id: str) -> HttpResponse:
        """Delete a rule that has no run under way; its history stays."""
        rule = policy_or_404(request, policy_id)
        try:
            delete_rule(rule)
        except RuleIsActive as error:
            raise PreconditionFailed(str(error)) from error
        return empty()


def _store(request: Request, rule: Rule, *, present: Sequence[TargetSpec]) -> Rule:
    """Store what the request's body says of the rule. Raises BadRequest, NotFound, Conflict, ValidationError."""
    body = checked_body(PolicyRequestSerializer(data=request.data))
    fill_rule(rule, body, projects=visible_projects(request.user))
    try:
        return save_rule(
            rule,
            filters=requested_filters(body.get("filters")),
            targets=requested_targets(body, present=present),
            by=request.user if isinstance(request.user, User) else None,
            replicate_existing=bool(body.get("replicate_existing_image_now")),
        )
    except ValidationError as error:
        if has_code(error, "unique"):
            raise Conflict(f"replication policy {rule.name} already exists") from error
        raise
