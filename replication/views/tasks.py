"""One task: its transfers and its log."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from harborsync.lib.htmx import render_page, wants_part
from harborsync.lib.paging import paginate
from replication.views.logs import log_context
from replication.views.permission import visible_task
from replication.views.progress import report_progress

PARTS = {
    "task": "replication/task_state.html",
    "transfers": "replication/transfers_grid.html",
    "log": "replication/log.html",
}


@require_safe
@login_required
def task_detail(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show a task; its parts ask for news while it moves."""
    task = visible_task(request, pk)
    context: dict[str, Any] = {
        "task": task,
        "execution": task.execution,
        "progress": report_progress(task, now=timezone.now()),
        "refresh_seconds": 0 if task.is_finished else 2,
        "log_url": reverse("replication:task-log", args=[pk]),
        "log_download_url": reverse("replication:task-log-download", args=[pk]),
    }
    if wants_part(request, "transfers"):
        context["page"] = paginate(task.transfers.order_by("pk"), request)
    if wants_part(request, "log"):
        context |= log_context(request, task.log_lines.all(), is_over=task.is_finished)
    return render_page(request, "replication/task.html", context, parts=PARTS)
