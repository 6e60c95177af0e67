"""From the body of a policy to a rule: what absent keys mean, and refusals in Harbor's words (semantics, 1 and 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from harborsync.lib.api.errors import BadRequest, NotFound
from projects.models import Project
from replication.filters import FilterSpec
from replication.models import Rule, RuleFilter, Trigger
from replication.plan import TargetSpec
from targets.identity import LOCAL_ID, endpoint_with_api_id
from targets.models import Endpoint

# Harbor before 2.3 knew one way to flatten, and that is what a missing count still means.
FLATTEN_ALL = -1
# What Harbor calls the destination: of several, the first.
FIRST_DESTINATION = {"dest_registry", "dest_namespace", "dest_namespace_replace_count"}
RESOURCES = ("image", "artifact")


def fill_rule(rule: Rule, body: Mapping[str, Any], *, projects: QuerySet[Project]) -> None:
    """Put what the body says into the rule: a full replacement, except for fields that only HarborSync has.

    Those stay when the body has no such key, so that Harbor's clients do not undo what they cannot see. Raises
    BadRequest, NotFound.
    """
    rule.name = body["name"]
    rule.description = body.get("description") or ""
    rule.source = _registry(body.get("src_registry"))
    if _registry_id(body.get("src_registry")) == LOCAL_ID == _registry_id(body.get("dest_registry")):
        _refuse_local_to_local(body)
    _fill_trigger(rule, body.get("trigger"))
    _fill_time_zone(rule, body)
    rule.deletion = bool(body.get("deletion") or body.get("replicate_deletion"))
    rule.override = bool(body.get("override"))
    rule.enabled = bool(body.get("enabled"))
    rule.kilobits_per_second = max(body.get("speed") or 0, 0)
    rule.copy_by_chunk = bool(body.get("copy_by_chunk"))
    rule.single_active = bool(body.get("single_active_replication"))
    _fill_platforms(rule, body)
    if body.get("bandwidth_windows") is not None:
        rule.bandwidth_windows = body["bandwidth_windows"]
    if body.get("referrers") is not None:
        rule.referrers = body["referrers"]
    if "project_id" in body:
        rule.project = _project(projects, body["project_id"])


def _fill_platforms(rule: Rule, body: Mapping[str, Any]) -> None:
    """Put the platforms into the rule; without any, a mode that was stored with others goes as well."""
    if "platforms" in body:
        rule.platforms = ",".join(body["platforms"] or ())
        rule.platform_mode = rule.platform_mode if rule.platforms else ""
    if "platform_mode" in body:
        rule.platform_mode = body["platform_mode"] or ""


def _refuse_local_to_local(body: Mapping[str, Any]) -> None:
    """Refuse a rule of which neither side is named, unless it lists its destinations."""
    if not body.get("dest_registries"):
        raise BadRequest("either src_registry or dest_registry should be empty and the other one shouldn't be empty")


def _fill_trigger(rule: Rule, trigger: Mapping[str, Any] | None) -> None:
    """Put the trigger into the rule; without one it is started by hand. Raises BadRequest."""
    trigger = trigger or {"type": Trigger.MANUAL}
    if trigger["type"] not in Trigger.values:
        raise BadRequest("invalid trigger type")
    settings = trigger.get("trigger_settings") or {}
    rule.trigger = trigger["type"]
    rule.cron = settings.get("cron") or ""
    if rule.trigger == Trigger.SCHEDULED and not rule.cron.strip():
        raise BadRequest("the cron string cannot be empty when the trigger type is scheduled")


def _fill_time_zone(rule: Rule, body: Mapping[str, Any]) -> None:
    """Put the zone into the rule. It has two places; the one that says something new counts. Raises BadRequest."""
    settings = (body.get("trigger") or {}).get("trigger_settings") or {}
    zones: set[str] = {settings.get("time_zone") or rule.time_zone, body.get("time_zone") or rule.time_zone}
    given = zones - {rule.time_zone}
    if len(given) > 1:
        raise BadRequest("time_zone and trigger_settings.time_zone differ: give one of them, or the same twice")
    if given:
        rule.time_zone = given.pop()


def requested_targets(body: Mapping[str, Any], *, present: Sequence[TargetSpec]) -> list[TargetSpec]:
    """Return where the rule writes to. Harbor's fields tell of the first place, so the others of `present` stay.

    Clients such as harborapi send back the whole of what GET gave with the fields changed that they know: a list
    that says nothing new then stands back behind those.
    """
    listed = [_target(item, registry_key="registry") for item in body.get("dest_registries") or ()]
    if listed and not (listed == list(present) and body.keys() >= FIRST_DESTINATION):
        return listed
    return [_target(body, registry_key="dest_registry"), *present[1:]]


def _target(item: Mapping[str, Any], *, registry_key: str) -> TargetSpec:
    """Return one destination. Raises NotFound."""
    count = item.get("dest_namespace_replace_count")
    return TargetSpec(
        endpoint_id=_registry(item.get(registry_key)).pk,
        namespace=item.get("dest_namespace") or "",
        flatten_level=FLATTEN_ALL if count is None else max(count, FLATTEN_ALL),
    )


def requested_filters(items: Sequence[Mapping[str, Any]] | None) -> list[FilterSpec]:
    """Return the conditions; an empty one matches everything and is left out, as in Harbor. Raises BadRequest."""
    filters = [_filter(item) for item in items or () if any(item.values())]
    return [condition for condition in filters if condition.value]


def _filter(item: Mapping[str, Any]) -> FilterSpec:
    """Return one condition. Raises BadRequest in Harbor's words."""
    kind, value, decoration = item.get("kind") or "", item.get("value") or "", item.get("decoration") or ""
    if kind not in RuleFilter.Kind.values:
        raise BadRequest("invalid filter type")
    if decoration not in ("", *RuleFilter.Decoration.values):
        raise BadRequest(f"invalid filter decoration, :{decoration}")
    if kind == RuleFilter.Kind.RESOURCE:
        if decoration:
            raise BadRequest("only tag and label filter support decoration")
        if value not in RESOURCES:
            raise BadRequest(f"invalid resource filter: {value}")
    return FilterSpec(kind=kind, value=value, decoration=decoration or RuleFilter.Decoration.MATCHES.value)


def _registry_id(reference: Mapping[str, Any] | None) -> int:
    """Return the id that a reference names; null, {} and 0 mean the local registry."""
    return int((reference or {}).get("id") or LOCAL_ID)


def _registry(reference: Mapping[str, Any] | None) -> Endpoint:
    """Return the registry of a reference. Raises NotFound."""
    number = _registry_id(reference)
    endpoint = endpoint_with_api_id(number)
    if endpoint is None:
        raise NotFound(f"registry {number} not found")
    return endpoint


def _project(projects: QuerySet[Project], number: int | None) -> Project | None:
    """Return the project of this id, None for none. Raises NotFound."""
    if number is None:
        return None
    project = projects.filter(pk=number).first()
    if project is None:
        raise NotFound(f"project {number} not found")
    return project
