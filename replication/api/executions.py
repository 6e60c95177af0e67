"""Runs: list, start, read, stop (API contract, section 10.2)."""

from django.contrib.auth.models import User
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from harborsync.lib.api.answers import created, empty
from harborsync.lib.api.errors import NotFound, PreconditionFailed
from harborsync.lib.api.lists import PAGE_PARAMETERS, answer_list
from harborsync.lib.api.queries import Column, Kind, sort_rows
from harborsync.lib.api.views import ApiView, checked_body, query_integer
from replication.api.lookup import execution_or_404, policy_with_id
from replication.models import Rule, Trigger
from replication.run_serializers import (
    EXECUTION_STATUS,
    EXECUTION_WORDS,
    ExecutionSerializer,
    StartExecutionSerializer,
    statuses_called,
)
from replication.services import RuleDisabled, executions_visible_to, start_execution, stop_execution

# Runs are numbered in the order they are asked for, so sorting by start is sorting by the indexed id.
COLUMNS = {
    "id": Column("pk", Kind.NUMBER),
    "policy_id": Column("rule_id", Kind.NUMBER),
    "status": Column("status"),
    "trigger": Column("trigger"),
    "start_time": Column("pk", Kind.NUMBER),
    "end_time": Column("ended_at", Kind.TIME),
}


class ExecutionListView(ApiView):
    """All runs."""

    @extend_schema(
        operation_id="listReplicationExecutions",
        tags=["replication"],
        parameters=[
            OpenApiParameter("policy_id", int, description="Runs of this rule."),
            OpenApiParameter("status", str, enum=EXECUTION_WORDS),
            OpenApiParameter("trigger", str, enum=Trigger.values),
            OpenApiParameter("sort", str, description="Fields joined by commas; `-` in front turns the order round."),
            *PAGE_PARAMETERS,
        ],
        responses=ExecutionSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List runs, the latest first."""
        asked = request.query_params
        rows = executions_visible_to(request.user)
        policy_id = query_integer(request, "policy_id")
        if policy_id is not None:
            rows = rows.filter(rule_id=policy_id)
        if asked.get("status"):
            rows = rows.filter(status__in=statuses_called(asked["status"], EXECUTION_STATUS))
        if asked.get("trigger"):
            rows = rows.filter(trigger=asked["trigger"])
        rows = sort_rows(rows, asked.get("sort", ""), COLUMNS, default=[])
        return answer_list(request, rows, serializer=ExecutionSerializer)

    @extend_schema(
        operation_id="startReplication",
        tags=["replication"],
        parameters=[
            OpenApiParameter("trigger", str, description="`scheduled` records the run as one of the schedule.")
        ],
        request=StartExecutionSerializer,
        responses={201: None},
    )
    def post(self, request: Request) -> HttpResponse:
        """Run a rule now, whatever its trigger."""
        wanted = checked_body(StartExecutionSerializer(data=request.data))
        rule = policy_with_id(request, wanted["policy_id"])
        is_scheduled = request.query_params.get("trigger") == Trigger.SCHEDULED
        trigger = Trigger.SCHEDULED if is_scheduled else Trigger.MANUAL
        by = request.user if isinstance(request.user, User) else None
        try:
            execution = start_execution(rule, trigger=trigger, by=by, verify=bool(wanted.get("verify")))
        except RuleDisabled as error:
            raise PreconditionFailed(f"the policy {rule.pk} is disabled") from error
        except Rule.DoesNotExist as error:
            raise NotFound(f"replication policy {rule.pk} not found") from error
        return created(request, execution.pk)


class ExecutionView(ApiView):
    """One run."""

    @extend_schema(operation_id="getReplicationExecution", tags=["replication"], responses=ExecutionSerializer)
    def get(self, request: Request, execution_id: str) -> Response:
        """Show a run."""
        return Response(ExecutionSerializer(execution_or_404(request, execution_id)).data)

    @extend_schema(operation_id="stopReplication", tags=["replication"], request=None, responses={200: None})
    def put(self, request: Request, execution_id: str) -> HttpResponse:
        """Stop a run; one that is over is left as it is."""
        by = request.user if isinstance(request.user, User) else None
        stop_execution(execution_or_404(request, execution_id), by=by)
        return empty()
