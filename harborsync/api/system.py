"""Calls about the installation itself (API contract, section 6)."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from harborsync.api.health import check_health
from harborsync.lib.api.answers import empty
from harborsync.lib.api.errors import NotFound, error_response
from harborsync.lib.api.fields import to_harbor_time
from harborsync.lib.api.views import ApiView
from targets.models import Endpoint

# The Harbor whose API this follows. Clients look at the number before they use a call.
HARBOR_VERSION = "v2.16.0-harborsync"
HEALTH_WORDS = ["healthy", "unhealthy"]


class PingView(ApiView):
    """Is anybody there?"""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="getPing", tags=["ping"], auth=[], responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        """Answer `Pong`."""
        return HttpResponse("Pong", content_type="text/plain; charset=utf-8")


class HealthComponentSerializer(serializers.Serializer[object]):
    """One part."""

    name = serializers.CharField()
    status = serializers.ChoiceField(HEALTH_WORDS)
    error = serializers.CharField(required=False)


class OverallHealthSerializer(serializers.Serializer[object]):
    """All parts, and whether one of them is unhealthy."""

    status = serializers.ChoiceField(HEALTH_WORDS)
    components = HealthComponentSerializer(many=True)


class HealthView(ApiView):
    """How the parts are."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="getHealth", tags=["health"], auth=[], responses=OverallHealthSerializer)
    def get(self, request: Request) -> Response:
        """Return the state of each part, at most ten seconds old; always 200."""
        components = check_health()
        status = "unhealthy" if any(component.error for component in components) else "healthy"
        return Response({"status": status, "components": [component.to_json() for component in components]})


class GeneralInfoSerializer(serializers.Serializer[object]):
    """What a client may know about the installation; those who logged in are told more."""

    auth_mode = serializers.CharField()
    primary_auth_mode = serializers.BooleanField()
    self_registration = serializers.BooleanField()
    banner_message = serializers.CharField(allow_blank=True)
    current_time = serializers.DateTimeField(required=False)
    registry_url = serializers.CharField(required=False, allow_blank=True)
    external_url = serializers.CharField(required=False)
    project_creation_restriction = serializers.CharField(required=False)
    has_ca_root = serializers.BooleanField(required=False)
    harbor_version = serializers.CharField(required=False)
    read_only = serializers.BooleanField(required=False)  # type: ignore[assignment]  # the metaclass takes it away
    notification_enable = serializers.BooleanField(required=False)


class SystemInfoView(ApiView):
    """What kind of installation this is."""

    permission_classes = (AllowAny,)

    @extend_schema(operation_id="getSystemInfo", tags=["systeminfo"], responses=GeneralInfoSerializer)
    def get(self, request: Request) -> Response:
        """Return how to log in, and to those who did the addresses and the version."""
        about = {
            "auth_mode": "db_auth",
            "primary_auth_mode": False,
            "self_registration": False,
            "banner_message": "",
        }
        return Response(about | (_for_known_users() if request.user.is_authenticated else {}))


def _for_known_users() -> dict[str, object]:
    local = Endpoint.objects.local()
    return {
        "current_time": to_harbor_time(timezone.now()),
        "registry_url": urlsplit(local.url).netloc if local else "",
        "external_url": settings.EXTERNAL_URL,
        "project_creation_restriction": "adminonly",
        "has_ca_root": False,
        "harbor_version": HARBOR_VERSION,
        "read_only": False,
        "notification_enable": True,
    }


class UnknownPathView(ApiView):
    """Every path below /api/v2.0 that is no call."""

    permission_classes = (AllowAny,)
    authentication_classes = ()

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Refuse whatever the method."""
        raise NotFound(f"path {request.path[:256]} was not found")


@require_GET
def api_version(request: HttpRequest) -> HttpResponse:
    """Say which versions of the API there are; clients probe it first."""
    return JsonResponse({"version": "v2.0"}, content_type="application/json; charset=utf-8")


@csrf_exempt
@require_POST
def session_login(request: HttpRequest) -> HttpResponse:
    """Start a session for `principal` and `password`: 200 with the cookie `sid`, or 401 (API contract, section 2)."""
    username, password = request.POST.get("principal", ""), request.POST.get("password", "")
    user = authenticate(request, username=username, password=password) if "\x00" not in username else None
    if user is None:
        return error_response(401, "UNAUTHORIZED", "unauthorized")
    login(request, user)
    return empty()


@require_GET
def session_logout(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return empty()
