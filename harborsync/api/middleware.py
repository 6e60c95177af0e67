"""What every answer carries: a request id; and for the API Harbor's CSRF check and its indifference to a last slash."""

import re
import secrets
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from django.utils.http import escape_leading_slashes

from harborsync.lib.api.errors import error_response

CSRF_HEADER = "X-Harbor-CSRF-Token"
CSRF_COOKIE = "_gorilla_csrf"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")

Handler = Callable[[HttpRequest], HttpResponse]


def request_id(get_response: Handler) -> Handler:
    """Echo the caller's X-Request-Id, or make one (API contract, section 1)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        response = get_response(request)
        response["X-Request-Id"] = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        return response

    return middleware


def trailing_slash(get_response: Handler) -> Handler:
    """Let `/api/v2.0/registries/` mean `/api/v2.0/registries` (API contract, section 1)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/"):
            request.path_info = escape_leading_slashes(request.path_info.rstrip("/"))
            request.path = request.path.rstrip("/")
        return get_response(request)

    return middleware


def session_csrf(get_response: Handler) -> Handler:
    """Check unsafe API requests that carry the session cookie, and give such clients the token (contract, section 2).

    The token is an HMAC of the session id: no other session's token fits, and nobody without the cookie can make it.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        session = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if not session or not request.path_info.startswith("/api/"):
            return get_response(request)
        token = csrf_token(session)
        refusal = _refusal(request, token)
        response = error_response(403, "FORBIDDEN", f"Forbidden - {refusal}") if refusal else get_response(request)
        response[CSRF_HEADER] = token
        response.set_cookie(
            CSRF_COOKIE, token, path="/", secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Strict"
        )
        return response

    return middleware


def csrf_token(session: str) -> str:
    """Return the token that belongs to a session."""
    return salted_hmac("harborsync.api.csrf", session, algorithm="sha256").hexdigest()


def _refusal(request: HttpRequest, token: str) -> str:
    """Return why an unsafe request is refused, in the words of Harbor's CSRF library; empty when it is not."""
    if request.method in _SAFE_METHODS:
        return ""
    given = request.headers.get(CSRF_HEADER, "")
    if not given:
        return "CSRF token not found in request"
    return "" if secrets.compare_digest(given.encode(), token.encode()) else "CSRF token invalid"
