"""What the OpenAPI document says beyond the views: the ways to log in, and the one shape of all refusals."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class BasicScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """HTTP Basic."""

    target_class = "harborsync.api.authentication.BasicAuthentication"
    name = "basic"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        return {"type": "http", "scheme": "basic"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The session cookie."""

    target_class = "harborsync.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "From POST /c/login. Unsafe requests then carry X-Harbor-CSRF-Token too.",
        }


ERRORS = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string", "example": "NOT_FOUND"},
                    "message": {"type": "string", "example": "replication policy 7 not found"},
                },
            },
        }
    },
}


def describe_operations(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Give every operation a heading and its refusals. It is one of SPECTACULAR_SETTINGS' POSTPROCESSING_HOOKS."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Errors"] = ERRORS
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}
    components["responses"] = {"Refused": {"description": "Refused; the message says why.", "content": content}}
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["summary"] = operation.pop("description").removesuffix(".")
            operation["responses"]["default"] = {"$ref": "#/components/responses/Refused"}
    return result
