"""Errors as Harbor sends them: `{"errors":[{"code":"NOT_FOUND","message":"…"}]}` (API contract, section 3)."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from django.core import exceptions as django_errors
from django.db import IntegrityError
from django.http import Http404, HttpResponse
from rest_framework import exceptions as framework_errors

logger = logging.getLogger(__name__)


class ApiError(Exception):
    """A refusal with Harbor's code; its text is the message that the client reads."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "BAD_REQUEST"


class BadRequest(ApiError):
    """The request makes no sense."""


class NotFound(ApiError):
    """What the request is about does not exist, or is not shown to this user."""

    status = 404
    code = "NOT_FOUND"


class Conflict(ApiError):
    """Something with this name is there already."""

    status = 409
    code = "CONFLICT"


class PreconditionFailed(ApiError):
    """The state of things forbids it for now: in use, disabled, still running."""

    status = 412
    code = "PRECONDITION"


class TooLarge(ApiError):
    """The body is larger than any sensible request."""

    status = 413
    code = "REQUEST_ENTITY_TOO_LARGE"


class Unprocessable(ApiError):
    """A path or query parameter has the wrong type or is out of range."""

    status = 422
    code = "UNPROCESSABLE_ENTITY"


def error_response(status: int, code: str, message: str) -> HttpResponse:
    """Return the one body that every refusal has."""
    document = {"errors": [{"code": code, "message": message}]}
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
    # A lone surrogate from the request must not break the answer that complains about it.
    return HttpResponse(body.encode(errors="replace"), status=status, content_type="application/json; charset=utf-8")


def answer_exception(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Turn what a view raised into Harbor's body. It is REST framework's EXCEPTION_HANDLER."""
    if isinstance(error, ApiError):
        return error_response(error.status, error.code, str(error))
    if isinstance(error, framework_errors.APIException):
        return _answer_framework(error, context)
    if isinstance(error, django_errors.ValidationError):
        return _answer_validation(error)
    if isinstance(error, Http404):
        return error_response(404, "NOT_FOUND", "not found")
    if isinstance(error, IntegrityError):
        # Another request was faster, after ours had been validated.
        return error_response(409, "CONFLICT", "the request collides with another change, please look again")
    logger.error("api.errored view=%s", type(context.get("view")).__name__, exc_info=error)
    return error_response(500, "UNKNOWN", "internal server error")


def _answer_framework(error: framework_errors.APIException, context: Mapping[str, Any]) -> HttpResponse:
    """Answer REST framework's own exceptions; their code is the upper-cased HTTP status text, as in Harbor."""
    if isinstance(error, framework_errors.NotAuthenticated | framework_errors.AuthenticationFailed):
        return error_response(401, "UNAUTHORIZED", "unauthorized")
    if isinstance(error, framework_errors.PermissionDenied):
        # Harbor names the caller, nothing else (API contract, section 2).
        return error_response(403, "FORBIDDEN", context["request"].user.get_username())
    code = HTTPStatus(error.status_code).phrase.upper().replace(" ", "_")
    response = error_response(error.status_code, code, "; ".join(flatten(error.detail)))
    if isinstance(error, framework_errors.MethodNotAllowed):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def _answer_validation(error: django_errors.ValidationError) -> HttpResponse:
    """Answer a service's complaint: 409 when a name is taken, else 400 with the fields named."""
    message = "; ".join(flatten(error.message_dict if hasattr(error, "error_dict") else error.messages))
    if has_code(error, "unique"):
        return error_response(409, "CONFLICT", message)
    return error_response(400, "BAD_REQUEST", message)


def has_code(error: django_errors.ValidationError, code: str) -> bool:
    """Say whether one of the complaints has this code."""
    fields = error.error_dict.values() if hasattr(error, "error_dict") else [error.error_list]
    return any(complaint.code == code for complaints in fields for complaint in complaints)


def flatten(detail: Any, path: str = "") -> list[str]:
    """Return the complaints of a nested error as sentences; the field goes in front unless the sentence names it.

    >>> flatten({"name": ["name cannot be empty"], "trigger": {"type": ["Not a valid string."]}})
    ['name cannot be empty', 'trigger.type: Not a valid string.']
    """
    if isinstance(detail, Mapping):
        return [
            sentence
            for field, complaints in detail.items()
            for sentence in flatten(complaints, _joined(path, str(field)))
        ]
    if isinstance(detail, list | tuple):
        return [sentence for complaint in detail for sentence in flatten(complaint, path)]
    return [f"{path}: {detail}" if path and path not in str(detail) else str(detail)]


def _joined(path: str, field: str) -> str:
    if field in ("__all__", "non_field_errors"):
        return path
    return f"{path}.{field}" if path else field
