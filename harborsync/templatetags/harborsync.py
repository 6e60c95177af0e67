"""Template tags: icons, states, times and sizes, all shown the same way everywhere."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import pgettext, pgettext_lazy

from harborsync.lib import formats, paging
from registry.kinds import find_kind

register = template.Library()

STEP_TITLES = {
    "dns": pgettext_lazy("connection step", "Host name"),
    "tcp": pgettext_lazy("connection step", "Connection"),
    "tls": pgettext_lazy("connection step", "Certificate"),
    "registry": pgettext_lazy("connection step", "Registry API"),
    "auth": pgettext_lazy("connection step", "Credentials"),
    "catalogue": pgettext_lazy("connection step", "Catalogue"),
    "push": pgettext_lazy("connection step", "Push right"),
}

# status → (class that gives the colour, icon that gives the shape)
STATUS_LOOKS = {
    "pending": ("waiting", "clock"),
    "running": ("active", "spinner"),
    "retrying": ("warning", "retry"),
    "parked": ("warning", "clock"),
    "stopping": ("warning", "spinner"),
    "succeeded": ("success", "check"),
    "failed": ("danger", "cross"),
    "skipped": ("muted", "skip"),
    "stopped": ("muted", "stop"),
    "healthy": ("success", "check"),
    "unhealthy": ("danger", "cross"),
    "unverified": ("muted", "question"),
    "enabled": ("success", "check"),
    "deactivated": ("warning", "pause"),
    "ok": ("success", "check"),
    "warning": ("warning", "warning"),
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Show a picture of the sprite; the text beside it says the same."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', static("icons.svg"), name)


@register.simple_tag
def state(name: str, label: str) -> SafeString:
    """Show a state: word, shape and colour."""
    look, shape = STATUS_LOOKS.get(name, ("muted", "question"))
    return format_html('<span class="state state-{}">{}{}</span>', look, icon(shape), label)


@register.simple_tag
def status(row: Any) -> SafeString:
    """Show the state of an execution, a task or a transfer; stopping, waiting and retrying are told apart."""
    if getattr(row, "is_stopping", False):
        return state("stopping", pgettext("status", "Stopping"))
    if getattr(row, "is_parked", False):
        return state("parked", pgettext("status", "Waiting"))
    if row.is_retrying:
        return state("retrying", pgettext("status", "Retrying"))
    return state(row.status, row.get_status_display())


@register.simple_tag
def when(moment: datetime | None) -> SafeString | str:
    """Show a time in the viewer's zone."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}"><span>{}</span> <span>{}</span></time>',
        moment.isoformat(timespec="seconds"),
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
        f"{local:%Y-%m-%d}",
        f"{local:%H:%M:%S}",
    )


@register.filter
def size(size_bytes: int) -> str:
    """Show a size in binary units."""
    return formats.format_size(size_bytes)


@register.filter
def bandwidth(kilobits_per_second: int) -> str:
    """Show a rule's bandwidth."""
    return formats.format_bandwidth(kilobits_per_second)


@register.filter
def duration(row: Any) -> str:
    """Show how long an execution, a task or a transfer took, or has been running."""
    if row.started_at is None:
        return "–"
    elapsed: timedelta = (row.ended_at or timezone.now()) - row.started_at
    return formats.format_duration(elapsed)


@register.filter
def provider(kind: str) -> str:
    """Show a kind of registry by its product's name."""
    found = find_kind(kind)
    return found.title if found else kind


@register.filter
def step_title(name: str) -> str:
    """Show a step of the connection test in words."""
    return str(STEP_TITLES.get(name, name))


@register.filter
def short_digest(digest: str) -> str:
    """Show the part of a digest by which people tell digests apart."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm}:{encoded[:12]}"


@register.filter
def success_rate(execution: Any) -> str:
    """Show the share of tasks that succeeded, as Harbor does; one that needed none counts as whole."""
    if execution.tasks_total:
        return f"{localize(execution.tasks_succeeded * 100 // execution.tasks_total)}%"
    return "100%" if execution.status == "succeeded" else "–"


@register.inclusion_tag("parts/column.html", takes_context=True)
def column(context: RequestContext, name: str, label: str, default: str = "") -> dict[str, Any]:
    """Head a column that can be sorted by: the link turns the order round."""
    request: HttpRequest = context["request"]
    current = request.GET.get("sort") or default
    ascending = current == name
    query = request.GET.copy()
    query["sort"] = f"-{name}" if ascending else name
    query.pop("page", None)
    order = "ascending" if ascending else "descending" if current == f"-{name}" else ""
    return {"label": label, "url": f"?{query.urlencode()}", "order": order}


@register.simple_tag
def page_sizes() -> tuple[int, ...]:
    """Return the page sizes to choose from."""
    return paging.PAGE_SIZES
