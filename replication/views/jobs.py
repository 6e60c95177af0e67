"""Every execution of every rule: the list, and the same as CSV."""

import csv
from collections.abc import Iterator

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from harborsync.lib.htmx import render_page
from harborsync.lib.paging import page_size_of, paginate_by_id
from projects import access
from replication.forms import ExecutionSearchForm
from replication.models import Execution
from replication.services import executions_visible_to, rules_visible_to
from replication.views.rules import refresh_seconds
from targets.models import Endpoint

CSV_FIELDS = (
    "id",
    "rule_name",
    "trigger",
    "status",
    "status_text",
    "requested_by_name",
    "created_at",
    "started_at",
    "ended_at",
    "tasks_total",
    "tasks_succeeded",
    "tasks_failed",
    "tasks_skipped",
    "tasks_stopped",
    "transfers_total",
    "bytes_total",
    "bytes_copied",
    "bytes_read",
    "bytes_written",
    "requests",
    "retries",
    "waits",
    "waited_seconds",
)


@require_safe
@login_required
def job_list(request: HttpRequest) -> HttpResponse:
    """Show the executions, newest first; new ones appear by themselves."""
    search = _search(request)
    executions = paginate_by_id(search.narrow(executions_visible_to(request.user)), request)
    context = {
        "search": search,
        "executions": executions,
        "executions_title": _("Jobs"),
        "show_rule": True,
        "page_size": page_size_of(request),
        "may_stop": access.may_run_rules(request.user, None),
        "refresh_seconds": refresh_seconds(executions.rows, is_first=executions.is_first),
    }
    return render_page(
        request, "replication/jobs.html", context, parts={"executions": "replication/executions_grid.html"}
    )


def _search(request: HttpRequest) -> ExecutionSearchForm:
    """Return the search form with what the viewer may choose from."""
    rules = rules_visible_to(request.user).prefetch_related(None)
    return ExecutionSearchForm(
        request.GET,
        rules=rules,
        projects=access.member_projects(request.user),
        targets=Endpoint.objects.filter(target_rules__rule__in=rules.values("pk")).distinct(),
    )


class _Line:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


@require_safe
@login_required
def job_export(request: HttpRequest) -> StreamingHttpResponse:
    """Send the executions that the same search finds, all of them, as CSV."""
    executions = _search(request).narrow(executions_visible_to(request.user))
    response = StreamingHttpResponse(csv_lines(executions), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="harborsync-jobs.csv"'
    return response


def csv_lines(executions: QuerySet[Execution]) -> Iterator[str]:
    """Give the lines of the file, from the newest execution on."""
    writer = csv.writer(_Line())
    yield writer.writerow(CSV_FIELDS)
    for values in executions.order_by("-pk").values_list(*CSV_FIELDS).iterator(chunk_size=1000):
        yield writer.writerow([_cell(value) for value in values])


def _cell(value: object) -> object:
    """Return a value that a spreadsheet does not take for a formula (OWASP: CSV injection)."""
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="seconds")
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
