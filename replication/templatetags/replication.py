"""Words for what rules, failures and counters carry as numbers and codes."""

from dataclasses import dataclass
from datetime import timedelta

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from harborsync.lib.formats import format_duration
from replication.forms.rows import FLATTEN_CHOICES
from replication.models import Execution, Status, Task
from replication.models.costs import METHODS, OTHER
from replication.queue.transitions import NOTHING_MATCHED

register = template.Library()

# Codes of registry.errors and replication.queue.transitions.
REASONS = {
    "network": pgettext_lazy("failure", "Network"),
    "dns": pgettext_lazy("failure", "Host name not found"),
    "refused": pgettext_lazy("failure", "Connection refused"),
    "timeout": pgettext_lazy("failure", "Time-out"),
    "tls": pgettext_lazy("failure", "Certificate"),
    "unauthorized": pgettext_lazy("failure", "Credentials refused"),
    "denied": pgettext_lazy("failure", "No right"),
    "not_found": pgettext_lazy("failure", "Not found"),
    "rate_limited": pgettext_lazy("failure", "Too many requests"),
    "paused": pgettext_lazy("failure", "Paused by a time window"),
    "server_error": pgettext_lazy("failure", "Error of the registry"),
    "immutable": pgettext_lazy("failure", "Immutable tag"),
    "quota_exceeded": pgettext_lazy("failure", "Quota exceeded"),
    "too_large": pgettext_lazy("failure", "Too large"),
    "unsupported": pgettext_lazy("failure", "Not supported"),
    "digest_mismatch": pgettext_lazy("failure", "Damaged on the way"),
    "protocol": pgettext_lazy("failure", "Not understood"),
    "blob_unknown": pgettext_lazy("failure", "Layer missing"),
    "no_matching_platform": pgettext_lazy("failure", "No matching platform"),
    "ambiguous_platform": pgettext_lazy("failure", "More than one image matches"),
    "sibling_tags": pgettext_lazy("failure", "Other tags share the image"),
    "internal_error": pgettext_lazy("failure", "Internal error"),
    "worker_lost": pgettext_lazy("failure", "Worker lost"),
    "secret_unreadable": pgettext_lazy("failure", "Stored secret unreadable"),
    "not_overridden": pgettext_lazy("failure", "Not overridden"),
    "target_changed": pgettext_lazy("failure", "Changed at the destination"),
}


@register.filter
def reason(code: str) -> str:
    """Show why something failed."""
    return str(REASONS.get(code, code or "–"))


@register.filter
def outcome(execution: Execution) -> str:
    """Say in the viewer's language why an execution ended as it did; what registries said stays as it is."""
    if execution.status == Status.FAILED and execution.tasks_failed:
        return _("%(failed)d of %(total)d repositories failed.") % {
            "failed": execution.tasks_failed,
            "total": execution.tasks_total,
        }
    if execution.status == Status.SKIPPED:
        return _("Skipped, because the previous run is still under way.")
    if execution.reason_code == NOTHING_MATCHED:
        return _("Nothing matched the rule.")
    return execution.status_text


@register.filter
def flattening(level: int) -> str:
    """Show how many levels of the path are flattened."""
    known = dict(FLATTEN_CHOICES)
    return str(known[level]) if level in known else _("Flatten %(level)d Levels") % {"level": level}


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One line of the table of requests."""

    method: str
    source: int
    target: int
    is_total: bool = False


@register.filter
def request_lines(row: Execution | Task) -> list[RequestLine]:
    """Return the requests to both sides by method, their sums last; nothing where no method was counted."""
    source, target = row.requests_by_side["source"], row.requests_by_side["target"]
    lines = [RequestLine(method, source.get(method, 0), target[method]) for method in METHODS["target"]]
    if source[OTHER] or target[OTHER]:
        lines.append(RequestLine(OTHER, source[OTHER], target[OTHER]))
    total = RequestLine("", sum(source.values()), sum(target.values()), is_total=True)
    return [*lines, total] if total.source or total.target else []


@register.filter
def waited(row: Execution | Task) -> str:
    """Show for how long work waited for limits."""
    return format_duration(timedelta(seconds=row.waited_seconds))
