"""Words for what rules and failures carry as numbers and codes."""

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from replication.forms.rows import FLATTEN_CHOICES
from replication.models import Execution, Status
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
