"""What every page needs around it: the viewer's time zone, and headers that keep pages and fragments apart."""

import zoneinfo
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers, set_response_etag
from django_htmx.http import HttpResponseClientRedirect

from harborsync.lib.htmx import is_htmx

TIME_ZONE_COOKIE = "time_zone"
Handler = Callable[[HttpRequest], HttpResponse]


def time_zone_middleware(get_response: Handler) -> Handler:
    """Show times in the zone that the browser named in its cookie; UTC when there is none or it is unknown."""
    known = zoneinfo.available_timezones()

    def middleware(request: HttpRequest) -> HttpResponse:
        name = request.COOKIES.get(TIME_ZONE_COOKIE, "")
        with timezone.override(zoneinfo.ZoneInfo(name) if name in known else None):
            return get_response(request)

    return middleware


def page_headers_middleware(get_response: Handler) -> Handler:
    """Mark HTML as private and varying by htmx's headers; answer htmx's quiet ticks with 304."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if is_htmx(request) and _leads_to_login(response):
            return HttpResponseClientRedirect(_login_url(request))
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        patch_vary_headers(response, ["HX-Request", "HX-Target"])
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if is_htmx(request) and request.method == "GET" and response.status_code == 200 and not response.streaming:
            set_response_etag(response)
            return get_conditional_response(request, etag=response["ETag"], response=response) or response
        return response

    return middleware


def _leads_to_login(response: HttpResponse) -> bool:
    location = response.headers.get("Location", "")
    return response.status_code == 302 and urlsplit(location).path == resolve_url(settings.LOGIN_URL)


def _login_url(request: HttpRequest) -> str:
    """Return the login page, which leads back to the page that htmx works for, not to the fragment."""
    current = urlsplit(request.headers.get("HX-Current-URL", ""))
    back = f"{current.path}?{current.query}" if current.query else current.path
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}"
