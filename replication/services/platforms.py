"""What a rule may say of platforms, and what to know about it."""

import re
from collections.abc import Sequence

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from registry.platforms import PlatformTextError, format_platform, parse_platform
from replication.models import PlatformMode, Rule
from replication.plan import TargetSpec
from targets.capabilities import refuses_sparse_indexes
from targets.models import Endpoint

MAX_LENGTH = 1024


def platform_errors(rule: Rule, targets: Sequence[TargetSpec]) -> dict[str, str]:
    """Write the rule's platforms as they are stored, and return what is wrong with them, by field."""
    try:
        platforms = read_platforms(rule.platforms)
    except PlatformTextError as error:
        return {"platforms": explain(error)}
    rule.platforms = ",".join(platforms)
    if len(rule.platforms) > MAX_LENGTH:
        return {"platforms": _("These are too many platforms: leave the field empty to take all of them.")}
    error_text = _mode_error(rule, platforms, targets)
    return {"platform_mode": error_text} if error_text else {}


def read_platforms(text: str) -> list[str]:
    """Return the platforms of a list with commas or spaces, each once, as they are stored. Raises PlatformTextError."""
    items = [item for item in re.split(r"[,;\s]+", text) if item]
    return list(dict.fromkeys(format_platform(parse_platform(item)) for item in items))


def explain(error: PlatformTextError) -> str:
    """Say in the viewer's language what is no platform, and what would be."""
    if error.suggestion:
        return _("%(text)s is not a platform: write %(suggestion)s.") % {
            "text": error.text,
            "suggestion": error.suggestion,
        }
    return _("%(text)s is not a platform: write os/arch or os/arch/variant, as in linux/amd64 or linux/arm/v7.") % {
        "text": error.text
    }


def _mode_error(rule: Rule, platforms: Sequence[str], targets: Sequence[TargetSpec]) -> str:
    if not platforms:
        return _("Name the platforms that the platform mode is about.") if rule.platform_mode else ""
    if rule.platform_mode not in PlatformMode.values:
        return _("Choose how the platforms are taken: rewritten, sparse or single.")
    if rule.platform_mode == PlatformMode.SINGLE and len(platforms) != 1:
        return _("A single image is for one platform: name one, or choose the rewritten index.")
    if rule.platform_mode == PlatformMode.SPARSE:
        return _sparse_error(targets)
    return ""


def _sparse_error(targets: Sequence[TargetSpec]) -> str:
    endpoints = Endpoint.objects.filter(pk__in=[target.endpoint_id for target in targets]).order_by("name")
    refusing = [endpoint.name for endpoint in endpoints if refuses_sparse_indexes(endpoint)]
    if not refusing:
        return ""
    return _(
        "%(registries)s was found to refuse sparse indexes: choose the rewritten index. If it takes them by now, save "
        "that registry's settings once more first."
    ) % {"registries": ", ".join(refusing)}


def opposite_rules(rule: Rule) -> QuerySet[Rule]:
    """Return the enabled rules that copy the other way, if platforms are left out with a new digest on either way."""
    targets = rule.targets.values("endpoint")
    opposite = Rule.objects.filter(enabled=True, source__in=targets, targets__endpoint=rule.source).exclude(pk=rule.pk)
    changes_digests = {PlatformMode.REWRITTEN, PlatformMode.SINGLE}
    if rule.platform_mode not in changes_digests:
        opposite = opposite.filter(platform_mode__in=changes_digests)
    return opposite.distinct()
