"""The fields of a rule that are not rows, in the order of Harbor's dialog."""

from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from harborsync.lib.forms import WindowsField
from harborsync.lib.timetable.rows import zone_choices
from projects.models import Project
from replication.forms.modes import Mode
from replication.models import PlatformMode, Trigger
from targets.models import Endpoint

UNITS = {"kbps": 1, "mbps": 1024}
# Above what a positive 32-bit column holds.
MAX_KILOBITS = 2**31 - 1


class RuleForm(forms.Form):
    """What a rule is called, where from, when, and how."""

    name = forms.CharField(
        label=_("Name"),
        max_length=255,
        help_text=_("Lower case letters, digits and . _ - between them."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    description = forms.CharField(label=_("Description"), required=False, widget=forms.Textarea(attrs={"rows": 2}))
    mode = forms.ChoiceField(
        label=_("Replication mode"), choices=Mode.choices, initial=Mode.PUSH, widget=forms.RadioSelect
    )
    project = forms.ModelChoiceField(
        label=_("Project"),
        queryset=Project.objects.none(),
        required=False,
        empty_label=_("No project: the whole registry"),
        help_text=_("Only images of this project are taken, and its members see the rule."),
    )
    source = forms.ModelChoiceField(
        label=_("Source registry"),
        queryset=Endpoint.objects.none(),
        required=False,
        empty_label=_("Choose a registry"),
    )
    resource = forms.ChoiceField(
        label=pgettext_lazy("filter", "Resource"),
        required=False,
        choices=[
            ("", pgettext_lazy("resource", "All")),
            ("image", pgettext_lazy("resource", "image")),
            ("artifact", pgettext_lazy("resource", "artifact")),
        ],
    )
    platforms = forms.CharField(
        label=_("Platforms"),
        required=False,
        max_length=2048,
        help_text=_(
            "What is taken of a multi-platform image; empty takes all. Attestations stay with their image, and what is "
            "for one platform only is copied whatever that is."
        ),
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "spellcheck": "false",
                "class": "code",
                "placeholder": "linux/amd64, linux/arm64",
            }
        ),
    )
    platform_mode = forms.ChoiceField(
        label=_("Multi-platform images become"),
        required=False,
        choices=PlatformMode.choices,
        help_text=_(
            "A rewritten index lists these platforms only: it has a new digest, so signatures of the original do not "
            "count for it. A sparse index keeps its digest and signatures, but many registries refuse an index whose "
            "images are not all there. A single image takes one platform, without the index and its signatures."
        ),
        widget=forms.RadioSelect,
    )
    trigger = forms.ChoiceField(
        label=_("Trigger Mode"), choices=Trigger.choices, initial=Trigger.MANUAL, widget=forms.RadioSelect
    )
    cron = forms.CharField(
        label=_("Cron String"),
        required=False,
        max_length=128,
        initial="0 0 2 * * *",
        help_text=_("Six fields: second (always 0), minute, hour, day of month, month, day of week."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "code"}),
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=zone_choices,
        initial="UTC",
        help_text=_("The one that the cron string and the windows of time are meant in."),
    )
    deletion = forms.BooleanField(
        label=_("Delete remote resources when locally deleted"),
        required=False,
        help_text=_("Only what this rule has put there and nobody has changed since."),
    )
    replicate_existing = forms.BooleanField(
        label=_("Replicate existing images now"),
        required=False,
        initial=True,
        help_text=_("Without it only what is pushed from now on is copied."),
    )
    bandwidth = forms.IntegerField(
        label=_("Bandwidth"),
        min_value=-1,
        max_value=MAX_KILOBITS,
        initial=-1,
        help_text=_("Of all copies of this rule together, in all workers; -1 is unlimited."),
    )
    bandwidth_unit = forms.ChoiceField(
        label=_("Unit of the bandwidth"), choices=[("kbps", "Kbps"), ("mbps", "Mbps")], initial="kbps", required=False
    )
    bandwidth_windows = WindowsField()
    override = forms.BooleanField(
        label=pgettext_lazy("rule", "Override"),
        required=False,
        initial=True,
        help_text=_("Replace a different image under the same tag at the destination."),
    )
    copy_by_chunk = forms.BooleanField(
        label=_("Copy by chunk"),
        required=False,
        help_text=_("For destinations behind a proxy that limits the size of requests; takes more requests."),
    )
    referrers = forms.BooleanField(
        label=_("Signatures and attached artifacts"),
        required=False,
        initial=True,
        help_text=_(
            "Take along what refers to an image, such as signatures and SBOMs, whatever the tag filters say, "
            "also when it comes later."
        ),
    )
    enabled = forms.BooleanField(label=_("Enable rule"), required=False, initial=True)
    single_active = forms.BooleanField(
        label=_("Single active replication"),
        required=False,
        help_text=_("Skip a run while the previous one is still under way."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("forms.ModelChoiceField[Project]", self.fields["project"]).queryset = Project.objects.all()
        cast("forms.ModelChoiceField[Endpoint]", self.fields["source"]).queryset = Endpoint.objects.order_by("name")

    def clean(self) -> dict[str, Any]:
        """Find the source that the mode implies, and turn the bandwidth into kbit/s."""
        values = super().clean() or self.cleaned_data
        values["source"] = self._source(values)
        if values["source"] is None and "source" not in self.errors:
            self._refuse_source(values)
        bandwidth = values.get("bandwidth")
        if bandwidth is not None:
            kilobits = max(bandwidth, 0) * UNITS.get(values.get("bandwidth_unit") or "kbps", 1)
            if bandwidth == 0:
                self.add_error("bandwidth", _("Enter -1 for unlimited, or a number above 0."))
            elif kilobits > MAX_KILOBITS:
                self.add_error("bandwidth", _("This is more than any network carries."))
            values["kilobits_per_second"] = kilobits
        return values

    def _source(self, values: dict[str, Any]) -> Endpoint | None:
        if values.get("mode") != Mode.PUSH:
            chosen: Endpoint | None = values.get("source")
            return chosen
        project: Project | None = values.get("project")
        return project.endpoint if project else Endpoint.objects.local()

    def _refuse_source(self, values: dict[str, Any]) -> None:
        if values.get("mode") == Mode.PUSH:
            self.add_error(
                "mode",
                _("There is no local registry yet. Choose a project, or the mode from registry to registry."),
            )
        else:
            self.add_error("source", _("Choose the registry to copy from."))
