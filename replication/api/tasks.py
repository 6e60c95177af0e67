"""Tasks of a run, and the logs (API contract, section 10.2)."""

from collections.abc import Iterator
from datetime import UTC

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from harborsync.lib.api.lists import PAGE_PARAMETERS, answer_list
from harborsync.lib.api.queries import Column, Kind, sort_rows
from harborsync.lib.api.views import ApiView
from replication.api.lookup import execution_or_404, task_or_404
from replication.models import LogLine, Status
from replication.run_serializers import TASK_STATUS, TASK_WORDS, TaskSerializer, TransferSerializer, statuses_called

COLUMNS = {
    "id": Column("pk", Kind.NUMBER),
    "status": Column("status"),
    "operation": Column("operation"),
    "src_resource": Column("source_repository"),
    "dst_resource": Column("target_repository"),
    "start_time": Column("started_at", Kind.TIME),
    "end_time": Column("ended_at", Kind.TIME),
}
TRANSFER_COLUMNS = {
    "id": Column("pk", Kind.NUMBER),
    "state": Column("status"),
    "requests": Column("requests", Kind.NUMBER),
    "bytes_total": Column("bytes_total", Kind.NUMBER),
    "start_time": Column("started_at", Kind.TIME),
    "end_time": Column("ended_at", Kind.TIME),
}
RESOURCE_TYPE = "image"


class TaskListView(ApiView):
    """The tasks of a run."""

    @extend_schema(
        operation_id="listReplicationTasks",
        tags=["replication"],
        parameters=[
            OpenApiParameter("status", str, enum=TASK_WORDS),
            OpenApiParameter("resource_type", str, enum=[RESOURCE_TYPE]),
            OpenApiParameter("sort", str, description="Fields joined by commas; `-` in front turns the order round."),
            *PAGE_PARAMETERS,
        ],
        responses=TaskSerializer(many=True),
    )
    def get(self, request: Request, execution_id: str) -> Response:
        """List tasks, the latest first."""
        asked = request.query_params
        rows = execution_or_404(request, execution_id).tasks.all()
        if asked.get("status"):
            rows = rows.filter(status__in=statuses_called(asked["status"], TASK_STATUS))
        if asked.get("resource_type", RESOURCE_TYPE) != RESOURCE_TYPE:
            rows = rows.none()
        rows = sort_rows(rows, asked.get("sort", ""), COLUMNS, default=[])
        return answer_list(request, rows, serializer=TaskSerializer)


class TransferListView(ApiView):
    """The artifacts of a task."""

    @extend_schema(
        operation_id="listReplicationTransfers",
        tags=["replication"],
        parameters=[
            OpenApiParameter("state", str, enum=Status.values),
            OpenApiParameter("sort", str, description="Fields joined by commas; `-` in front turns the order round."),
            *PAGE_PARAMETERS,
        ],
        responses=TransferSerializer(many=True),
    )
    def get(self, request: Request, execution_id: str, task_id: str) -> Response:
        """List the artifacts of a task with what each cost, the first first. HarborSync's own call."""
        rows = task_or_404(execution_or_404(request, execution_id), task_id).transfers.all()
        if request.query_params.get("state"):
            rows = rows.filter(status=request.query_params["state"])
        rows = sort_rows(rows, request.query_params.get("sort", ""), TRANSFER_COLUMNS, default=["id"])
        return answer_list(request, rows, serializer=TransferSerializer)


class TaskLogView(ApiView):
    """What happened in a task."""

    @extend_schema(
        operation_id="getReplicationLog",
        tags=["replication"],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request, execution_id: str, task_id: str) -> StreamingHttpResponse:
        """Send the log as text."""
        task = task_or_404(execution_or_404(request, execution_id), task_id)
        return _send(task.log_lines.all())


class ExecutionLogView(ApiView):
    """What happened in a run outside its tasks: the start, the listing, the end."""

    @extend_schema(
        operation_id="getReplicationExecutionLog",
        tags=["replication"],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request, execution_id: str) -> StreamingHttpResponse:
        """Send the log as text. HarborSync's own call."""
        execution = execution_or_404(request, execution_id)
        return _send(execution.log_lines.filter(task__isnull=True))


def _send(lines: QuerySet[LogLine]) -> StreamingHttpResponse:
    """Send log lines as they come from the database: a log may be longer than memory likes."""
    return StreamingHttpResponse(_written(lines), content_type="text/plain; charset=utf-8")


def _written(lines: QuerySet[LogLine]) -> Iterator[str]:
    """Write lines in Harbor's form (replication semantics, section 13); what follows in a message is indented."""
    for line in lines.order_by("id").iterator(chunk_size=500):
        at = line.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        message = line.message.rstrip().replace("\n", "\n    ")
        yield f"{at} [{line.level.upper()}] {message}\n"
