"""What a rule must be like before it is stored. The same for the form and the API."""

import re
from collections.abc import Mapping, Sequence

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from harborsync.lib.timetable.rows import normalise_windows
from projects.models import PROJECT_NAME_PATTERN
from registry.kinds import find_kind
from registry.reference import is_repository_name
from replication.filters import FilterSpec, accepts_repository, named_repositories
from replication.mapping import MappingError, check_path, map_repository
from replication.models import Rule, RuleFilter, Trigger
from replication.patterns import PatternError, compile_pattern
from replication.plan import TargetSpec
from replication.schedules import CronError, next_runs, validate_cron, validate_time_zone
from replication.services.platforms import platform_errors
from targets.models import Endpoint

RESOURCES = ("image", "artifact")
MAX_FILTER_LENGTH = 1024
# Harbor's portal offers up to 3; deeper paths exist, so its API's range (int8) is the limit here.
MAX_FLATTEN_LEVEL = 127


def validate_rule(rule: Rule, *, filters: Sequence[FilterSpec], targets: Sequence[TargetSpec]) -> None:
    """Normalise the rule in place and refuse what cannot work. Raises ValidationError by field."""
    errors: dict[str, str] = {}
    rule.name = rule.name.strip()
    if not rule.name:
        errors["name"] = _("Give the rule a name.")
    elif not re.fullmatch(PROJECT_NAME_PATTERN, rule.name):
        errors["name"] = _(
            "Use lower case letters, digits and single . _ or - between them; start and end with a letter or digit."
        )
    errors |= _schedule_errors(rule)
    errors |= _windows_errors(rule)
    if rule.single_active and rule.trigger == Trigger.EVENT_BASED:
        errors["single_active"] = _("An event-based rule gathers its events by itself: leave single active off.")
    errors |= platform_errors(rule, targets)
    if rule.project and rule.source_id and rule.project.endpoint_id != rule.source_id:
        errors["project"] = _("This project is in another registry than the rule's source.")
    filter_errors = _filter_errors(filters, namespace=rule.project.namespace if rule.project else "")
    errors |= filter_errors
    # Patterns that cannot be read name no repositories to try the mapping on.
    errors |= _target_errors(rule, () if filter_errors else filters, targets)
    if errors:
        raise ValidationError(errors)
    rule.full_clean()


def _schedule_errors(rule: Rule) -> dict[str, str]:
    if rule.trigger not in Trigger.values:
        return {"trigger": _("Choose manual, scheduled or event_based.")}
    try:
        validate_time_zone(rule.time_zone)
    except CronError as error:
        return {"time_zone": str(error)}
    if rule.trigger != Trigger.SCHEDULED:
        rule.cron = ""
        return {}
    try:
        rule.cron = validate_cron(rule.cron)
        next_runs(rule.cron, rule.time_zone, now=timezone.now(), count=1)
    except CronError as error:
        return {"cron": str(error)}
    return {}


def _windows_errors(rule: Rule) -> dict[str, str]:
    try:
        rule.bandwidth_windows = normalise_windows(rule.bandwidth_windows)
    except ValidationError as error:
        return {"bandwidth_windows": str(error.message)}
    return {}


def _filter_errors(filters: Sequence[FilterSpec], *, namespace: str) -> dict[str, str]:
    for condition in filters:
        error = _filter_error(condition)
        if error:
            return {"filters": error}
    if namespace and named_repositories(filters, namespace=namespace) == []:
        return {
            "filters": _("No name that this pattern stands for lies in the project: names begin with %(namespace)s/.")
            % {"namespace": namespace}
        }
    return {}


def _filter_error(condition: FilterSpec) -> str:
    if condition.kind not in RuleFilter.Kind.values:
        return _("%(kind)s is not a filter type. Use name, tag or resource.") % {"kind": condition.kind}
    if condition.decoration not in RuleFilter.Decoration.values:
        return _("%(word)s is not a filter decoration. Use matches or excludes.") % {"word": condition.decoration}
    if not condition.value or len(condition.value) > MAX_FILTER_LENGTH:
        return _("A filter's pattern has 1 to %(limit)d characters.") % {"limit": MAX_FILTER_LENGTH}
    if condition.kind == RuleFilter.Kind.RESOURCE:
        if condition.value not in RESOURCES or condition.decoration != RuleFilter.Decoration.MATCHES:
            return _("A resource filter is image or artifact, and matches.")
        return ""
    try:
        compile_pattern(condition.value)
    except PatternError as error:
        return _("Pattern %(pattern)s: %(error)s.") % {"pattern": condition.value, "error": error}
    return ""


def _target_errors(rule: Rule, filters: Sequence[FilterSpec], targets: Sequence[TargetSpec]) -> dict[str, str]:
    if not targets:
        return {"targets": _("Choose at least one destination registry.")}
    places = {(target.endpoint_id, target.namespace) for target in targets}
    if len(places) < len(targets):
        return {"targets": _("Two destinations are the same registry and namespace.")}
    endpoints = Endpoint.objects.in_bulk([target.endpoint_id for target in targets])
    for target in targets:
        errors = _one_target_errors(rule, filters, target, endpoints)
        if errors:
            return errors
    return {}


def _one_target_errors(
    rule: Rule, filters: Sequence[FilterSpec], target: TargetSpec, endpoints: Mapping[int, Endpoint]
) -> dict[str, str]:
    endpoint = endpoints.get(target.endpoint_id)
    if endpoint is None:
        return {"targets": _("This destination registry does not exist.")}
    if target.namespace and not is_repository_name(target.namespace):
        return {
            "namespace": _("A namespace is lower case, as in mirror or mirror/base: %(given)s is not.")
            % {"given": target.namespace}
        }
    if not -1 <= target.flatten_level <= MAX_FLATTEN_LEVEL:
        return {"flatten_level": _("The flattening level is -1 (all levels), 0 (none) or a number of levels.")}
    if _is_same_place(rule.source, endpoint) and not target.namespace:
        return {
            "targets": _("%(target)s is the source itself: choose another registry, or a namespace to copy into.")
            % {"target": endpoint.name}
        }
    if _is_same_place(rule.source, endpoint) and _takes_its_own_copies(rule, filters, target):
        return {
            "targets": _(
                "The rule would take its own copies in %(namespace)s for new images, run after run: flatten more "
                "levels, or leave %(namespace)s out by a filter."
            )
            % {"namespace": target.namespace}
        }
    return _mapping_errors(filters, target, endpoint)


def _takes_its_own_copies(rule: Rule, filters: Sequence[FilterSpec], target: TargetSpec) -> bool:
    """Say whether what the rule wrote would come deeper into its own namespace with each run.

    A level that covers the whole namespace maps a copy onto itself. Filters are tried on one name only: a pattern
    that picks names inside the namespace (`**/app`) is not found out.
    """
    covered = target.flatten_level < 0 or target.flatten_level > target.namespace.count("/")
    namespace = rule.project.namespace if rule.project else ""
    return not covered and accepts_repository(filters, f"{target.namespace}/app", namespace=namespace)


def _is_same_place(source: Endpoint, target: Endpoint) -> bool:
    """Say whether two endpoints are one registry: the same row, or another row with the same address."""
    return source.pk == target.pk or source.url == target.url


def _mapping_errors(filters: Sequence[FilterSpec], target: TargetSpec, endpoint: Endpoint) -> dict[str, str]:
    """Try the mapping on repositories that the rule names outright."""
    kind = find_kind(endpoint.kind)
    for repository in named_repositories(filters) or []:
        try:
            mapped = map_repository(repository, namespace=target.namespace, flatten_level=target.flatten_level)
            check_path(mapped, kind)
        except MappingError as error:
            return {"flatten_level": str(error)}
    return {}
