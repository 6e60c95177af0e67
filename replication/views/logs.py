"""Logs of executions and tasks: shown, followed, searched and sent as text."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from harborsync.lib.paging import number_of
from replication.forms import LogSearchForm
from replication.models import LogLine
from replication.views.permission import visible_execution, visible_task

SHOWN_LINES = 500


def log_context(request: HttpRequest, lines: QuerySet[LogLine], *, is_over: bool) -> dict[str, Any]:
    """Return the last lines that the search finds, and from where to follow."""
    search = LogSearchForm(request.GET, prefix="log")
    newest = list(search.narrow(lines).order_by("-pk")[: SHOWN_LINES + 1])
    shown = newest[:SHOWN_LINES][::-1]
    return {
        "log_search": search,
        "log_lines": shown,
        "log_is_cut": len(newest) > SHOWN_LINES,
        "log_last": shown[-1].pk if shown else 0,
        "log_is_over": is_over,
        "log_query": search_query(request),
    }


def search_query(request: HttpRequest) -> str:
    """Return the log's part of the URL, to go along when it is followed."""
    query = request.GET.copy()
    for key in [key for key in query if not key.startswith("log-")]:
        del query[key]
    return query.urlencode()


@require_safe
@login_required
def execution_log(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the lines of an execution's own log after `?after=`."""
    execution = visible_execution(request, pk)
    lines = execution.log_lines.filter(task=None)
    return _follow(request, lines, is_over=execution.is_finished, url=reverse("replication:execution-log", args=[pk]))


@require_safe
@login_required
def task_log(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the lines of a task's log after `?after=`."""
    task = visible_task(request, pk)
    url = reverse("replication:task-log", args=[pk])
    return _follow(request, task.log_lines.all(), is_over=task.is_finished, url=url)


def _follow(request: HttpRequest, lines: QuerySet[LogLine], *, is_over: bool, url: str) -> HttpResponse:
    """Answer a tick: the new lines and the next tick; nothing (204) while there is nothing."""
    after = number_of(request, "after") or 0
    search = LogSearchForm(request.GET, prefix="log")
    found = list(search.narrow(lines.filter(pk__gt=after)).order_by("pk")[:SHOWN_LINES])
    if not found and not is_over:
        return HttpResponse(status=204)
    context = {
        "log_lines": found,
        "log_last": found[-1].pk if found else after,
        "log_is_over": is_over and not found,
        "log_query": search_query(request),
        "log_url": url,
    }
    return render(request, "replication/log_lines.html", context)


@require_safe
@login_required
def execution_log_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send an execution's whole log, with those of its tasks."""
    execution = visible_execution(request, pk)
    return _as_text(execution.log_lines.all(), name=f"execution-{pk}.log")


@require_safe
@login_required
def task_log_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send a task's whole log."""
    return _as_text(visible_task(request, pk).log_lines.all(), name=f"task-{pk}.log")


def _as_text(lines: QuerySet[LogLine], *, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(_text_lines(lines), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _text_lines(lines: QuerySet[LogLine]) -> Iterator[str]:
    """Give the lines as Harbor writes them, times in UTC."""
    for line in lines.order_by("pk").iterator(chunk_size=1000):
        at = line.at.astimezone(UTC)
        yield f"{at:%Y-%m-%dT%H:%M:%SZ} [{line.level.upper()}] {line.message}\n"
