"""Registries: list, create, read, change, delete (API contract, section 9)."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from harborsync.lib.api.answers import created, empty
from harborsync.lib.api.errors import Conflict, NotFound, PreconditionFailed, has_code
from harborsync.lib.api.fields import MASKED_SECRET
from harborsync.lib.api.lists import QUERY_PARAMETERS, answer_list
from harborsync.lib.api.queries import Column, Kind, filter_rows, sort_rows
from harborsync.lib.api.views import ApiView, checked_body, path_id
from targets.identity import LOCAL_ID, endpoint_with_api_id
from targets.models import Endpoint
from targets.serializers import NO_LIMIT, RegistryCreateSerializer, RegistrySerializer, RegistryUpdateSerializer
from targets.services import EndpointInUse, check_endpoint, delete_endpoint, save_endpoint

# Credentials and certificates cannot be asked for (API contract, section 4.2).
COLUMNS = {
    "id": Column("pk", Kind.NUMBER),
    "name": Column("name"),
    "description": Column("description"),
    "type": Column("kind"),
    "url": Column("url"),
    "status": Column("health"),
    "creation_time": Column("created_at", Kind.TIME),
    "update_time": Column("updated_at", Kind.TIME),
}
# Request key → field of the row.
FIELDS = {
    "name": "name",
    "description": "description",
    "type": "kind",
    "url": "url",
    "credential_type": "credential_kind",
    "access_key": "access_key",
    "ca_certificate": "ca_certificate",
    "proxy_url": "proxy_url",
    "bandwidth_windows": "bandwidth_windows",
}
LIMITS = ("max_connections", "requests_per_second", "kilobits_per_second")


def registry_or_404(number: int) -> Endpoint:
    """Return the registry of this id, 0 being the local one. Raises NotFound."""
    endpoint = endpoint_with_api_id(number)
    if endpoint is None:
        raise NotFound(f"registry {number} not found")
    return endpoint


def remote_registry_or_404(number: int) -> Endpoint:
    """Return a registry that may be changed: the local one belongs to the installation. Raises NotFound."""
    if number == LOCAL_ID:
        raise NotFound(f"registry {LOCAL_ID} not found")
    return registry_or_404(number)


def new_secret(given: str | None) -> str | None:
    """Return the secret to store; None leaves the present one. Clients send the mask back untouched."""
    return None if given == MASKED_SECRET else given


def assign(endpoint: Endpoint, body: dict[str, Any]) -> None:
    """Put what a flat body gives into the row's fields; absent and null leave them as they are."""
    for key, field in FIELDS.items():
        if body.get(key) is not None and not (key == "credential_type" and not body[key]):
            setattr(endpoint, field, body[key])
    for limit in LIMITS:
        if body.get(limit) is not None:
            setattr(endpoint, limit, None if body[limit] == NO_LIMIT else body[limit])
    endpoint.time_zone = body.get("time_zone") or endpoint.time_zone
    if body.get("insecure") is not None:
        endpoint.verify_tls = not body["insecure"]


def store(endpoint: Endpoint, *, secret: str | None) -> None:
    """Store the registry and look whether it can be reached. Raises Conflict, ValidationError."""
    try:
        save_endpoint(endpoint, secret=new_secret(secret))
    except ValidationError as error:
        if has_code(error, "unique"):
            raise Conflict(f"registry {endpoint.name} already exists") from error
        raise
    check_endpoint(endpoint)


class RegistryListView(ApiView):
    """All registries but the local one."""

    @extend_schema(
        operation_id="listRegistries",
        tags=["registry"],
        parameters=[OpenApiParameter("name", str, description="Part of the name."), *QUERY_PARAMETERS],
        responses=RegistrySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List registries."""
        rows: QuerySet[Endpoint] = Endpoint.objects.filter(is_local=False)
        if name := request.query_params.get("name"):
            rows = rows.filter(name__icontains=name)
        rows = filter_rows(rows, request.query_params.get("q", ""), COLUMNS)
        rows = sort_rows(rows, request.query_params.get("sort", ""), COLUMNS, default=["name"])
        return answer_list(request, rows, serializer=RegistrySerializer)

    @extend_schema(
        operation_id="createRegistry", tags=["registry"], request=RegistryCreateSerializer, responses={201: None}
    )
    def post(self, request: Request) -> HttpResponse:
        """Create a registry and look whether it can be reached."""
        body = checked_body(RegistryCreateSerializer(data=request.data))
        credential = body.pop("credential", None) or {}
        endpoint = Endpoint()
        assign(endpoint, body | {"access_key": credential.get("access_key"), "credential_type": credential.get("type")})
        store(endpoint, secret=credential.get("access_secret"))
        return created(request, endpoint.pk)


class RegistryView(ApiView):
    """One registry."""

    @extend_schema(operation_id="getRegistry", tags=["registry"], responses=RegistrySerializer)
    def get(self, request: Request, registry_id: str) -> Response:
        """Show a registry; 0 is the local one."""
        return Response(RegistrySerializer(registry_or_404(path_id(registry_id, name="registry_id"))).data)

    @extend_schema(
        operation_id="updateRegistry", tags=["registry"], request=RegistryUpdateSerializer, responses={200: None}
    )
    def put(self, request: Request, registry_id: str) -> HttpResponse:
        """Change what the body names."""
        endpoint = remote_registry_or_404(path_id(registry_id, name="registry_id"))
        body = checked_body(RegistryUpdateSerializer(data=request.data))
        assign(endpoint, body)
        store(endpoint, secret=body.get("access_secret"))
        return empty()

    @extend_schema(operation_id="deleteRegistry", tags=["registry"], responses={200: None})
    def delete(self, request: Request, registry_id: str) -> HttpResponse:
        """Delete a registry that no rule or project uses."""
        endpoint = remote_registry_or_404(path_id(registry_id, name="registry_id"))
        try:
            delete_endpoint(endpoint)
        except EndpointInUse as error:
            raise PreconditionFailed(str(error)) from error
        return empty()
