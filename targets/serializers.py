"""Registries in the shapes of Harbor's API (API contract, section 9). Secrets go in and never come out."""

from typing import Any
from urllib.parse import urlsplit

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from harborsync.lib.api.fields import INT32_MAX, MASKED_SECRET, IdField, TimeField, TimeZoneField, WindowsField
from targets.identity import api_id
from targets.models import Endpoint

# What takes a limit away: null leaves it as it is.
NO_LIMIT = -1
CREDENTIAL_TYPES = Endpoint.CredentialKind.values


class RegistryCredentialSerializer(serializers.Serializer[Endpoint]):
    """How to log in to a registry."""

    type = serializers.ChoiceField(CREDENTIAL_TYPES, required=False, allow_null=True, allow_blank=True)
    access_key = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=255)
    access_secret = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        trim_whitespace=False,
        help_text=f"Shown as `{MASKED_SECRET}` when one is stored; sending that back leaves it as it is.",
    )


class RegistrySerializer(serializers.Serializer[Endpoint]):
    """A registry as it is shown. The local registry has the id 0."""

    id = serializers.SerializerMethodField()
    name = serializers.SerializerMethodField()
    description = serializers.CharField()
    type = serializers.CharField(source="kind", help_text="One of /replication/adapters.")
    url = serializers.CharField()
    credential = serializers.SerializerMethodField()
    insecure = serializers.SerializerMethodField(help_text="Whether the certificate is not verified.")
    ca_certificate = serializers.CharField(help_text="PEM; absent when none is set.")
    status = serializers.CharField(source="health", help_text="healthy, unhealthy or unverified.")
    creation_time = TimeField(source="created_at")
    update_time = TimeField(source="updated_at")
    status_reason = serializers.CharField(
        source="health_reason", help_text="Why it is unhealthy. HarborSync's own field."
    )
    checked_time = TimeField(source="checked_at", help_text="When it was last asked. HarborSync's own field.")
    proxy_url = serializers.CharField(help_text="HTTP proxy on the way to it. HarborSync's own field.")
    max_connections = serializers.IntegerField(
        help_text="Connections of all workers together; null: no limit. HarborSync's own field."
    )
    requests_per_second = serializers.IntegerField(
        help_text="Requests of all workers together; null: no limit. HarborSync's own field."
    )
    kilobits_per_second = serializers.IntegerField(
        help_text="Reading and writing of all workers together; null: no limit. HarborSync's own field."
    )
    bandwidth_windows = serializers.CharField(
        help_text="Windows of time with kbit/s of their own: `08:00-18:00 mon-fri 4096; 22:00-06:00 pause`. "
        "HarborSync's own field."
    )
    time_zone = serializers.CharField(help_text="Zone that the windows are meant in. HarborSync's own field.")
    capabilities = serializers.DictField(
        help_text="What was learned about it while working with it. HarborSync's own field."
    )

    def to_representation(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the registry; a certificate that is not set is left out (API contract, section 5)."""
        shown = dict(super().to_representation(endpoint))
        if not endpoint.ca_certificate:
            del shown["ca_certificate"]
        return shown

    @extend_schema_field(OpenApiTypes.INT64)
    def get_id(self, endpoint: Endpoint) -> int:
        """Return Harbor's number for it."""
        return api_id(endpoint)

    @extend_schema_field(OpenApiTypes.STR)
    def get_name(self, endpoint: Endpoint) -> str:
        """Return the name; clients know the local registry as Local."""
        return "Local" if endpoint.is_local else endpoint.name

    @extend_schema_field(RegistryCredentialSerializer)
    def get_credential(self, endpoint: Endpoint) -> dict[str, str]:
        """Return the credential with its secret masked; an empty object when there is none."""
        if not (endpoint.access_key or endpoint.has_secret):
            return {}
        shown = {"type": endpoint.credential_kind, "access_key": endpoint.access_key}
        return {**shown, "access_secret": MASKED_SECRET} if endpoint.has_secret else shown

    @extend_schema_field(OpenApiTypes.BOOL)
    def get_insecure(self, endpoint: Endpoint) -> bool:
        """Say whether the certificate goes unverified."""
        return not endpoint.verify_tls


class RegistryReferenceSerializer(serializers.Serializer[Endpoint]):
    """A registry inside a request: only its id counts; null, `{}` and 0 mean the local one."""

    id = IdField(required=False, allow_null=True)


class ProxyUrlField(serializers.CharField):
    """The address of an HTTP proxy."""

    def to_internal_value(self, data: Any) -> str:
        """Return the address when it can be one."""
        text = super().to_internal_value(data)
        try:
            parts = urlsplit(text)
            is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # an odd port, a bracket that is not closed
            is_usable = False
        if text and not is_usable:
            raise serializers.ValidationError("a proxy URL looks like http://proxy.example.com:3128")
        return text


class LimitField(serializers.IntegerField):
    """A limit in a request: a positive whole number, or -1 for none (as with Harbor's quotas)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_value=INT32_MAX, required=False, allow_null=True, **options)

    def to_internal_value(self, data: Any) -> int:
        """Return the number. Whoever writes 0 or 2.5 is told what a limit can be."""
        if isinstance(data, bool):
            self.fail("invalid")
        number = super().to_internal_value(data)
        if number != NO_LIMIT and number < 1:
            raise serializers.ValidationError("a limit is a positive whole number, or -1 for none")
        return number


class RegistryCreateSerializer(serializers.Serializer[Endpoint]):
    """A registry to be created. It is stored even when it cannot be reached: its status then says so."""

    name = serializers.CharField(
        max_length=64,
        error_messages={
            "required": "name cannot be empty",
            "null": "name cannot be empty",
            "blank": "name cannot be empty",
            "max_length": "the max length of name is 64",
        },
    )
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    type = serializers.CharField(help_text="One of /replication/adapters.")
    url = serializers.CharField(max_length=512, error_messages={"blank": "url cannot be empty"})
    credential = RegistryCredentialSerializer(required=False, allow_null=True)
    insecure = serializers.BooleanField(required=False, allow_null=True)
    ca_certificate = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    proxy_url = ProxyUrlField(required=False, allow_null=True, allow_blank=True, max_length=512)
    max_connections = LimitField(help_text="Connections of all workers together; -1: no limit. HarborSync's own field.")
    requests_per_second = LimitField(
        help_text="Requests of all workers together; -1: no limit. HarborSync's own field."
    )
    kilobits_per_second = LimitField(
        help_text="Reading and writing of all workers together; -1: no limit. HarborSync's own field."
    )
    bandwidth_windows = WindowsField()
    time_zone = TimeZoneField(help_text="Zone that the windows are meant in. HarborSync's own field.")


class RegistryUpdateSerializer(serializers.Serializer[Endpoint]):
    """Changes to a registry: keys that are absent or null leave things as they are.

    A changed URL without an access secret clears the stored one, so that it cannot be sent to another host.
    """

    name = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=64,
        error_messages={"blank": "name cannot be empty", "max_length": "the max length of name is 64"},
    )
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    url = serializers.CharField(
        required=False, allow_null=True, max_length=512, error_messages={"blank": "url cannot be empty"}
    )
    credential_type = serializers.ChoiceField(CREDENTIAL_TYPES, required=False, allow_null=True, allow_blank=True)
    access_key = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=255)
    access_secret = serializers.CharField(required=False, allow_null=True, allow_blank=True, trim_whitespace=False)
    insecure = serializers.BooleanField(required=False, allow_null=True)
    ca_certificate = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    proxy_url = ProxyUrlField(required=False, allow_null=True, allow_blank=True, max_length=512)
    max_connections = LimitField(help_text="Connections of all workers together; -1: no limit. HarborSync's own field.")
    requests_per_second = LimitField(
        help_text="Requests of all workers together; -1: no limit. HarborSync's own field."
    )
    kilobits_per_second = LimitField(
        help_text="Reading and writing of all workers together; -1: no limit. HarborSync's own field."
    )
    bandwidth_windows = WindowsField()
    time_zone = TimeZoneField(help_text="Zone that the windows are meant in. HarborSync's own field.")


class RegistryPingSerializer(serializers.Serializer[Endpoint]):
    """What to test: a stored registry by its id (whose URL then counts, not the one sent), or values not stored yet."""

    id = IdField(required=False, allow_null=True)
    type = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    url = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=512)
    credential_type = serializers.ChoiceField(CREDENTIAL_TYPES, required=False, allow_null=True, allow_blank=True)
    access_key = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=255)
    access_secret = serializers.CharField(required=False, allow_null=True, allow_blank=True, trim_whitespace=False)
    insecure = serializers.BooleanField(required=False, allow_null=True)
    ca_certificate = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    proxy_url = ProxyUrlField(required=False, allow_null=True, allow_blank=True, max_length=512)


class FilterStyleSerializer(serializers.Serializer[object]):
    """A filter that rules may have, and how a form asks for it."""

    type = serializers.CharField()
    style = serializers.CharField()  # type: ignore[assignment]  # the metaclass takes it away
    values = serializers.ListField(child=serializers.CharField(), required=False)


class RegistryInfoSerializer(serializers.Serializer[object]):
    """What rules from or to a registry may say."""

    type = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    supported_resource_filters = FilterStyleSerializer(many=True)
    supported_triggers = serializers.ListField(child=serializers.CharField())
    supported_copy_by_chunk = serializers.BooleanField(required=False)
