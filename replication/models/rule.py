"""Rules: what to replicate, from where, to which targets, when."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from harborsync.lib.timetable import Timetable
from harborsync.lib.timetable.rows import MAX_LENGTH, validate_windows, windows_are_written_right
from projects.models import Project
from replication.filters import FilterSpec
from replication.models.status import Trigger
from replication.plan import RuleSpec, TargetSpec
from targets.models import Endpoint


class PlatformMode(models.TextChoices):
    """How a multi-platform image is copied of which only some platforms are wanted (`registry.platforms.Mode`)."""

    REWRITTEN = "rewritten", pgettext_lazy("platform mode", "Rewritten index")
    SPARSE = "sparse", pgettext_lazy("platform mode", "Sparse index")
    SINGLE = "single", pgettext_lazy("platform mode", "Single image")


class Rule(models.Model):
    """A replication rule (Harbor: replication policy)."""

    name = models.CharField(_("name"), max_length=255, unique=True)
    description = models.TextField(_("description"), blank=True)
    project = models.ForeignKey(
        Project,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="rules",
        verbose_name=_("project"),
    )
    source = models.ForeignKey(
        Endpoint, on_delete=models.PROTECT, related_name="source_rules", verbose_name=_("source registry")
    )
    trigger = models.CharField(_("trigger mode"), max_length=16, choices=Trigger.choices, default=Trigger.MANUAL)
    cron = models.CharField(_("cron string"), max_length=128, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    next_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    enabled = models.BooleanField(pgettext_lazy("rule", "enabled"), default=True)
    override = models.BooleanField(pgettext_lazy("rule", "override"), default=True)
    deletion = models.BooleanField(_("delete remote resources when locally deleted"), default=False)
    kilobits_per_second = models.PositiveIntegerField(_("bandwidth in kbit/s"), default=0)  # 0: unlimited
    # harborsync.lib.timetable, in the rule's time zone; outside its windows kilobits_per_second holds.
    bandwidth_windows = models.CharField(
        _("bandwidth by time"), max_length=MAX_LENGTH, blank=True, default="", validators=[validate_windows]
    )
    copy_by_chunk = models.BooleanField(_("copy by chunk"), default=False)
    referrers = models.BooleanField(_("signatures and attached artifacts"), default=True)
    single_active = models.BooleanField(_("single active replication"), default=False)
    # Comma separated, as `registry.platforms.format_platform` writes them; "": all.
    platforms = models.CharField(_("platforms"), max_length=1024, blank=True)
    platform_mode = models.CharField(_("platform mode"), max_length=9, choices=PlatformMode.choices, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="rule_name_is_not_empty"),
            models.CheckConstraint(
                condition=~Q(trigger=Trigger.SCHEDULED) | ~Q(cron=""), name="scheduled_rule_has_a_cron"
            ),
            models.CheckConstraint(
                condition=~Q(trigger=Trigger.EVENT_BASED, single_active=True),
                name="event_rule_is_not_single_active",
            ),
            models.CheckConstraint(
                condition=Q(platforms="", platform_mode="")
                | (~Q(platforms="") & Q(platform_mode__in=PlatformMode.values)),
                name="platforms_have_a_mode",
            ),
            models.CheckConstraint(
                condition=~Q(platform_mode=PlatformMode.SINGLE) | ~Q(platforms__contains=","),
                name="a_single_image_has_one_platform",
            ),
            windows_are_written_right("bandwidth_windows", name="rule_windows_are_written_right"),
        ]
        indexes = [models.Index(fields=["next_run_at"], condition=Q(next_run_at__isnull=False), name="rule_due")]

    def __str__(self) -> str:
        return self.name

    @property
    def timetable(self) -> Timetable:
        """Return the bandwidth by time, of all its copies together."""
        return Timetable.parse(
            self.bandwidth_windows,
            time_zone=self.time_zone,
            plain_kilobits_per_second=self.kilobits_per_second,
        )

    def to_spec(self) -> RuleSpec:
        """Return the rule as the value that planning and copying work from."""
        return RuleSpec(
            source_id=self.source_id,
            namespace=self.project.namespace if self.project else "",
            filters=tuple(f.to_spec() for f in self.filters.all()),
            targets=tuple(t.to_spec() for t in self.targets.all()),
            override=self.override,
            deletion=self.deletion,
            kilobits_per_second=self.kilobits_per_second,
            copy_by_chunk=self.copy_by_chunk,
            platforms=self.platform_list,
            platform_mode=self.platform_mode,
            referrers=self.referrers,
        )

    @property
    def platform_list(self) -> tuple[str, ...]:
        """Return the platforms that are taken; none: all."""
        return tuple(self.platforms.split(",")) if self.platforms else ()


class RuleFilter(models.Model):
    """One condition on what a rule takes; all of a rule's filters must agree."""

    class Kind(models.TextChoices):
        """Harbor's filter types."""

        NAME = "name", pgettext_lazy("filter", "Name")
        TAG = "tag", pgettext_lazy("filter", "Tag")
        RESOURCE = "resource", pgettext_lazy("filter", "Resource")

    class Decoration(models.TextChoices):
        """Whether the pattern lets through or keeps out."""

        MATCHES = "matches", pgettext_lazy("filter", "matching")
        EXCLUDES = "excludes", pgettext_lazy("filter", "excluding")

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="filters")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=8, choices=Kind.choices)
    value = models.CharField(max_length=1024)
    decoration = models.CharField(max_length=8, choices=Decoration.choices, default=Decoration.MATCHES)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "position"], name="one_filter_per_position"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.decoration} {self.value}"

    def to_spec(self) -> FilterSpec:
        """Return the filter as a value."""
        return FilterSpec(kind=self.kind, value=self.value, decoration=self.decoration)


class RuleTarget(models.Model):
    """One place a rule writes to."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="targets")
    position = models.PositiveSmallIntegerField()
    endpoint = models.ForeignKey(
        Endpoint,
        on_delete=models.PROTECT,
        related_name="target_rules",
        verbose_name=_("destination registry"),
    )
    namespace = models.CharField(_("namespace"), max_length=255, blank=True)
    # Harbor's dest_namespace_replace_count: how many leading path components the namespace stands for; -1: all.
    flatten_level = models.SmallIntegerField(_("flattening"), default=1)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "position"], name="one_target_per_position"),
            models.UniqueConstraint(fields=["rule", "endpoint", "namespace"], name="a_rule_writes_once_to_a_place"),
            models.CheckConstraint(condition=Q(flatten_level__gte=-1), name="flatten_level_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint}:{self.namespace or '-'}"

    def to_spec(self) -> TargetSpec:
        """Return the target as a value."""
        return TargetSpec(endpoint_id=self.endpoint_id, namespace=self.namespace, flatten_level=self.flatten_level)
