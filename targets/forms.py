"""The form of an endpoint: Harbor's fields, the proxy that some networks need, and limits."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from harborsync.lib.forms import WindowsField
from harborsync.lib.timetable.rows import zone_choices
from registry import RegistrySettings
from registry.kinds import KINDS
from registry.reference import normalise_registry_url
from targets.clients import endpoint_settings
from targets.models import Endpoint

# What a positive column holds.
MOST = 2**31 - 1


class LimitField(forms.IntegerField):
    """A limit: a positive whole number, or nothing for none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False,
            min_value=1,
            max_value=MOST,
            error_messages={"min_value": _("A limit is at least 1. Leave it empty for no limit.")},
            widget=forms.NumberInput(attrs={"inputmode": "numeric", "step": 1}),
            **options,
        )


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]  # no type arguments at run time
    """A new or changed endpoint. The stored secret is never sent to the browser."""

    secret = forms.CharField(
        label=_("Access secret"),
        required=False,
        strip=False,
        # What was typed comes back with the errors of other fields; a stored one is no value of this field.
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=True),
    )
    max_connections = LimitField(
        label=_("Connections at most"), help_text=_("Of all workers together. Empty: no limit.")
    )
    requests_per_second = LimitField(
        label=_("Requests per second"), help_text=_("Of all workers together. Empty: no limit.")
    )
    kilobits_per_second = LimitField(
        label=_("Bandwidth in kbit/s"), help_text=_("Reading and writing, all workers together. Empty: no limit.")
    )
    bandwidth_windows = WindowsField()
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=zone_choices,
        initial="UTC",
        help_text=_("The one that the windows of time are meant in."),
    )

    class Meta:
        model = Endpoint
        fields = [
            "kind",
            "name",
            "description",
            "url",
            "access_key",
            "secret",
            "verify_tls",
            "ca_certificate",
            "proxy_url",
            "is_local",
            "max_connections",
            "requests_per_second",
            "kilobits_per_second",
            "bandwidth_windows",
            "time_zone",
        ]
        labels = {
            "kind": _("Provider"),
            "name": _("Name"),
            "description": _("Description"),
            "url": _("Endpoint URL"),
            "access_key": _("Access ID"),
            "verify_tls": _("Verify Remote Cert"),
            "ca_certificate": _("CA Certificate"),
            "proxy_url": _("Proxy URL"),
            "is_local": _("Local registry"),
        }
        help_texts = {
            "verify_tls": _("Uncheck it for a registry with a self-signed or untrusted certificate."),
            "ca_certificate": _("PEM text of an authority to trust beside those of the system."),
            "proxy_url": _("Only for a registry that is reached through an HTTP proxy."),
            "is_local": _("Projects are in it, push-based rules copy from it, and the API calls it registry 0."),
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2}),
            "url": forms.TextInput(attrs={"placeholder": "https://registry.example.com", "inputmode": "url"}),
            "access_key": forms.TextInput(attrs={"autocomplete": "off"}),
            "ca_certificate": forms.Textarea(
                attrs={"rows": 4, "class": "code", "placeholder": "-----BEGIN CERTIFICATE-----", "spellcheck": "false"}
            ),
            "proxy_url": forms.TextInput(attrs={"placeholder": "http://proxy.example.com:3128", "inputmode": "url"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"] = forms.ChoiceField(
            label=_("Provider"),
            choices=[(kind.name, kind.title) for kind in KINDS],
            initial=self.instance.kind,
        )
        self.stored_url = self.instance.url
        if self.instance.has_secret:
            self.fields["secret"].help_text = _("Leave it empty to keep the stored secret.")
            self.fields["secret"].widget.attrs["placeholder"] = "••••••••"

    def secret_to_store(self) -> str | None:
        """Return what `save_endpoint` is to do: a new secret, None to keep the stored one, "" for none."""
        given: str = self.cleaned_data.get("secret", "")
        if given:
            return given
        return None if self.instance.has_secret and self.cleaned_data.get("access_key") else ""

    def settings_to_try(self) -> RegistrySettings:
        """Return the values as typed, for a test that stores nothing.

        The stored secret goes along only to the address it was stored for. Raises SecretUnreadableError, and
        ValueError when the URL is none.
        """
        secret = self.secret_to_store()
        tried = Endpoint(**{name: self.cleaned_data.get(name, "") for name in self.Meta.fields if name != "secret"})
        tried.url = normalise_registry_url(tried.url)
        if secret is None and tried.url == self.stored_url:
            tried.secret_encrypted = self.instance.secret_encrypted
        else:
            tried.set_secret(secret or "")
        return endpoint_settings(tried)
