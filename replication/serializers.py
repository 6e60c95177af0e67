"""Rules and runs in the shapes of Harbor's API (API contract, section 10), with HarborSync's own fields beside them."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from harborsync.lib.api.fields import INT32_MAX, IdField, TimeField, TimeZoneField, WindowsField
from replication.models import Rule, RuleFilter, RuleTarget, Trigger
from targets.serializers import RegistryReferenceSerializer, RegistrySerializer

PLATFORM_MODE_HELP = (
    "`rewritten`: an index of these platforms with a new digest, for which signatures of the original do not count. "
    "`sparse`: the index keeps its digest, but many registries refuse one whose images are not all there. "
    "`single`: the image for the one platform, without an index."
)


class TriggerSettingsSerializer(serializers.Serializer[Rule]):
    """When a scheduled rule runs."""

    cron = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=128,
        help_text="Six fields, seconds first: `0 30 2 * * *`.",
    )
    time_zone = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=64,
        help_text="Zone that the cron string is meant in; UTC unless given. HarborSync's own field.",
    )


class TriggerSerializer(serializers.Serializer[Rule]):
    """What starts a rule."""

    type = serializers.CharField(max_length=16, allow_blank=True, help_text=f"One of: {', '.join(Trigger.values)}.")
    trigger_settings = TriggerSettingsSerializer(required=False, allow_null=True)


class PatternField(serializers.CharField):
    """A filter's value: a string, and nothing that only looks like one."""

    def to_internal_value(self, data: Any) -> str:
        """Return the pattern."""
        if not isinstance(data, str):
            raise serializers.ValidationError("the type of filter value isn't string")
        return super().to_internal_value(data)


class FilterSerializer(serializers.Serializer[RuleFilter]):
    """A condition on what is replicated; all conditions of a rule must agree."""

    type = serializers.CharField(
        source="kind", required=False, allow_null=True, allow_blank=True, help_text="One of: name, tag, resource."
    )
    value = PatternField(
        required=False, allow_null=True, allow_blank=True, max_length=1024, help_text="A doublestar pattern."
    )
    decoration = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, help_text="`matches`, the default, or `excludes`."
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the fields; Harbor's label filters (a list of names) are refused with the reason."""
        if isinstance(data, Mapping) and data.get("type") == "label":
            raise serializers.ValidationError("label filters are not supported: the registry protocol has no labels")
        return dict(super().to_internal_value(data))


class TargetSerializer(serializers.Serializer[RuleTarget]):
    """One destination of a rule."""

    registry = RegistrySerializer(source="endpoint")
    dest_namespace = serializers.CharField(source="namespace")
    dest_namespace_replace_count = serializers.IntegerField(source="flatten_level")


class PolicySerializer(serializers.Serializer[Rule]):
    """A rule as it is shown."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    description = serializers.CharField()
    src_registry = RegistrySerializer(source="source")
    dest_registry = serializers.SerializerMethodField(help_text="The first destination.")
    dest_namespace = serializers.SerializerMethodField()
    dest_namespace_replace_count = serializers.SerializerMethodField()
    dest_registries = TargetSerializer(
        source="targets", many=True, help_text="Every destination. HarborSync's own field."
    )
    trigger = serializers.SerializerMethodField()
    filters = serializers.SerializerMethodField()
    replicate_deletion = serializers.BooleanField(source="deletion")
    deletion = serializers.BooleanField()
    override = serializers.BooleanField()
    enabled = serializers.BooleanField()
    speed = serializers.IntegerField(source="kilobits_per_second", help_text="In kbit/s; 0 is unlimited.")
    bandwidth_windows = serializers.CharField(
        help_text="Windows of time with kbit/s of their own: `08:00-18:00 mon-fri 4096; 22:00-06:00 pause`. "
        "HarborSync's own field."
    )
    time_zone = serializers.CharField(
        help_text="Zone that the windows and the cron string are meant in. HarborSync's own field."
    )
    copy_by_chunk = serializers.BooleanField()
    single_active_replication = serializers.BooleanField(source="single_active")
    referrers = serializers.BooleanField(
        help_text="Whether signatures and other attached artifacts travel with their subject. HarborSync's own field."
    )
    creation_time = TimeField(source="created_at")
    update_time = TimeField(source="updated_at")
    platforms = serializers.ListField(
        source="platform_list",
        child=serializers.CharField(),
        help_text="Platforms that are taken of an index, as in `linux/amd64`; empty: all. HarborSync's own field.",
    )
    platform_mode = serializers.CharField(help_text=f"{PLATFORM_MODE_HELP} HarborSync's own field.")
    project_id = serializers.IntegerField(
        allow_null=True, help_text="Project that the rule is limited to. HarborSync's own field."
    )
    next_run_time = TimeField(source="next_run_at", help_text="When it runs next. HarborSync's own field.")

    @extend_schema_field(RegistrySerializer)
    def get_dest_registry(self, rule: Rule) -> dict[str, Any]:
        """Return the first destination's registry."""
        return dict(RegistrySerializer(_first_target(rule).endpoint).data)

    @extend_schema_field(OpenApiTypes.STR)
    def get_dest_namespace(self, rule: Rule) -> str:
        """Return the first destination's namespace."""
        return _first_target(rule).namespace

    @extend_schema_field(OpenApiTypes.INT)
    def get_dest_namespace_replace_count(self, rule: Rule) -> int:
        """Return the first destination's flattening."""
        return _first_target(rule).flatten_level

    @extend_schema_field(TriggerSerializer)
    def get_trigger(self, rule: Rule) -> dict[str, Any]:
        """Return what starts the rule; never null, as harbor-cli looks inside without asking."""
        settings = {"cron": rule.cron, "time_zone": rule.time_zone} if rule.trigger == Trigger.SCHEDULED else {}
        return {"type": rule.trigger, "trigger_settings": settings}

    @extend_schema_field(FilterSerializer(many=True))
    def get_filters(self, rule: Rule) -> list[dict[str, str]]:
        """Return the conditions; Harbor decorates tag filters only, so others show it when it says something."""
        return [_shown_filter(condition) for condition in rule.filters.all()]


def _first_target(rule: Rule) -> RuleTarget:
    """Return a rule's first target; the lists of targets are prefetched, and a rule is never stored without one."""
    return rule.targets.all()[0]


def _shown_filter(condition: RuleFilter) -> dict[str, str]:
    shown = {"type": condition.kind, "value": condition.value}
    if condition.kind == RuleFilter.Kind.TAG or condition.decoration != RuleFilter.Decoration.MATCHES:
        shown["decoration"] = condition.decoration
    return shown


class TargetRequestSerializer(serializers.Serializer[RuleTarget]):
    """One destination of a rule to be stored."""

    registry = RegistryReferenceSerializer(required=False, allow_null=True)
    dest_namespace = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=255)
    dest_namespace_replace_count = serializers.IntegerField(
        required=False, allow_null=True, min_value=-128, max_value=127
    )


class PolicyRequestSerializer(serializers.Serializer[Rule]):
    """A rule to be stored. On PUT what is absent takes its default, except for HarborSync's own fields: they stay."""

    name = serializers.CharField(
        max_length=255,
        error_messages={"required": "empty name", "null": "empty name", "blank": "empty name"},
    )
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    src_registry = RegistryReferenceSerializer(
        required=False, allow_null=True, help_text="null, {} and the id 0 mean the local registry."
    )
    dest_registry = RegistryReferenceSerializer(
        required=False, allow_null=True, help_text="null, {} and the id 0 mean the local registry."
    )
    dest_namespace = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=255)
    dest_namespace_replace_count = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=-128,
        max_value=127,
        help_text="How many leading path components the namespace stands for; absent or negative: all of them.",
    )
    dest_registries = serializers.ListField(
        child=TargetRequestSerializer(),
        required=False,
        allow_null=True,
        max_length=100,
        help_text="Every destination, in place of the three fields above. HarborSync's own field. A PUT without it "
        "changes the first destination only.",
    )
    trigger = TriggerSerializer(required=False, allow_null=True)
    filters = serializers.ListField(child=FilterSerializer(), required=False, allow_null=True, max_length=100)
    replicate_deletion = serializers.BooleanField(required=False, allow_null=True)
    deletion = serializers.BooleanField(
        required=False, allow_null=True, help_text="Same as replicate_deletion; one of them is enough."
    )
    override = serializers.BooleanField(required=False, allow_null=True)
    enabled = serializers.BooleanField(required=False, allow_null=True)
    speed = serializers.IntegerField(
        required=False, allow_null=True, min_value=-INT32_MAX, max_value=INT32_MAX, help_text="In kbit/s."
    )
    bandwidth_windows = WindowsField()
    time_zone = TimeZoneField(
        help_text="Zone that the windows and the cron string are meant in, as trigger_settings.time_zone. HarborSync's "
        "own field."
    )
    copy_by_chunk = serializers.BooleanField(required=False, allow_null=True)
    single_active_replication = serializers.BooleanField(required=False, allow_null=True)
    referrers = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="Whether signatures and other attached artifacts travel with their subject; true unless given. "
        "HarborSync's own field.",
    )
    replicate_existing_image_now = serializers.BooleanField(
        required=False, allow_null=True, help_text="Start a run at once when the rule is enabled (Harbor 1.x)."
    )
    platforms = serializers.ListField(
        child=serializers.CharField(max_length=128),
        required=False,
        allow_null=True,
        max_length=50,
        help_text="Platforms to take of an index: `os/arch` or `os/arch/variant`, with `:os.version` behind it where "
        "that matters; null or empty: all. Attestations stay with their image. HarborSync's own field.",
    )
    platform_mode = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=16,
        help_text=f"Required with platforms. {PLATFORM_MODE_HELP} HarborSync's own field.",
    )
    project_id = IdField(
        required=False,
        allow_null=True,
        help_text="Project that the rule is limited to; null for none. HarborSync's own field.",
    )
