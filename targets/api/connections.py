"""What registries can do and whether they answer: ping, info, adapters (API contract, section 9)."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from harborsync.lib.api.answers import empty
from harborsync.lib.api.errors import BadRequest
from harborsync.lib.api.views import ApiView, checked_body, path_id
from harborsync.lib.crypto import SecretUnreadableError
from registry import RegistrySettings
from registry.kinds import KINDS, RegistryKind, find_kind
from registry.reference import normalise_registry_url
from targets.api.registries import new_secret, registry_or_404
from targets.clients import endpoint_settings
from targets.serializers import RegistryInfoSerializer, RegistryPingSerializer
from targets.services import try_connection

# The generic protocol knows no labels, so the label filter is not offered.
FILTERS = (
    {"type": "name", "style": "input"},
    {"type": "tag", "style": "input"},
    {"type": "resource", "style": "radio", "values": ["image", "artifact"]},
)
TRIGGERS = ("manual", "scheduled", "event_based")


class RegistryPingView(ApiView):
    """Does a registry answer, with these credentials?"""

    @extend_schema(
        operation_id="pingRegistry", tags=["registry"], request=RegistryPingSerializer, responses={200: None}
    )
    def post(self, request: Request) -> HttpResponse:
        """Test a connection; 400 tells which step failed and why."""
        body = checked_body(RegistryPingSerializer(data=request.data))
        settings = _new_settings(body) if body.get("id") is None else _stored_settings(body)
        failed = next((step for step in try_connection(settings) if step.status == "failed"), None)
        if failed:
            raise BadRequest(f"the registry is unhealthy: {failed.message}")
        return empty()


def _stored_settings(body: dict[str, Any]) -> RegistrySettings:
    """Return a stored registry's settings with other credentials where given; never with another address."""
    endpoint = registry_or_404(body["id"])
    try:
        settings = endpoint_settings(endpoint)
    except SecretUnreadableError as error:
        raise BadRequest(str(error)) from error
    if body.get("type"):
        settings = replace(settings, kind=_known_kind(body["type"]))
    if body.get("access_key") is not None:
        settings = replace(settings, username=body["access_key"])
    secret = new_secret(body.get("access_secret"))
    return settings if secret is None else replace(settings, password=secret)


def _new_settings(body: dict[str, Any]) -> RegistrySettings:
    """Return the settings that the body spells out. Raises BadRequest."""
    if not (body.get("type") and body.get("url")):
        raise BadRequest("type or url cannot be empty")
    try:
        url = normalise_registry_url(body["url"])
    except ValueError as error:
        raise BadRequest(f"url: {error}") from error
    return RegistrySettings(
        url=url,
        kind=_known_kind(body["type"]),
        username=body.get("access_key") or "",
        password=new_secret(body.get("access_secret")) or "",
        verify_tls=not body.get("insecure"),
        ca_certificate=body.get("ca_certificate") or "",
        proxy_url=body.get("proxy_url") or "",
    )


def _known_kind(name: str) -> str:
    """Return the name when it is one of the adapters. Raises BadRequest."""
    if find_kind(name) is None:
        raise BadRequest(f"unknown registry type: {name}")
    return name


class RegistryInfoView(ApiView):
    """What rules from or to a registry may say. It is the same for all: they speak one protocol."""

    @extend_schema(operation_id="getRegistryInfo", tags=["registry"], responses=RegistryInfoSerializer)
    def get(self, request: Request, registry_id: str) -> Response:
        """Show filters and triggers; any registry can send notifications, so events are always offered."""
        endpoint = registry_or_404(path_id(registry_id, name="registry_id"))
        return Response(
            {
                "type": endpoint.kind,
                "description": "",
                "supported_resource_filters": FILTERS,
                "supported_triggers": TRIGGERS,
                "supported_copy_by_chunk": True,
            }
        )


class AdapterListView(ApiView):
    """The kinds of registries."""

    @extend_schema(
        operation_id="listRegistryProviderTypes",
        tags=["replication"],
        responses={200: {"type": "array", "items": {"type": "string"}}},
    )
    def get(self, request: Request) -> Response:
        """List the names that a registry's type may have."""
        return Response(sorted(kind.name for kind in KINDS))


class AdapterInfoView(ApiView):
    """How forms ask for each kind's address and credential."""

    @extend_schema(operation_id="listRegistryProviderInfos", tags=["replication"], responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Show `{type: {endpoint_pattern, credential_pattern}}`; what is not special is left out."""
        return Response({kind.name: _provider_info(kind) for kind in KINDS})


def _provider_info(kind: RegistryKind) -> dict[str, Any]:
    """Return Harbor's RegistryProviderInfo of a kind."""
    shown: dict[str, Any] = {}
    if kind.endpoint_pattern != "standard":
        pattern = {"fixed": "EndpointPatternTypeFix", "list": "EndpointPatternTypeList"}[kind.endpoint_pattern]
        endpoints = [{"key": label, "value": url} for label, url in kind.endpoints]
        shown["endpoint_pattern"] = {"endpoint_type": pattern, "endpoints": endpoints}
    if kind.fixed_username or kind.has_secret_file:
        shown["credential_pattern"] = {
            "access_key_type": "AccessKeyTypeFix" if kind.fixed_username else "AccessKeyTypeStandard",
            "access_key_data": kind.fixed_username,
            "access_secret_type": "AccessSecretTypeFile" if kind.has_secret_file else "AccessSecretTypePass",
            "access_secret_data": "No Change" if kind.has_secret_file else "",
        }
    return shown
