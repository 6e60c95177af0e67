"""What goes in and out of the test kit's registry: recorded requests, answers, and API errors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from registry.testkit.content import Content, StoredContent

EMPTY = StoredContent(())


@dataclass(frozen=True)
class Request:
    """One request as it was answered. `status` is 0 where the connection was cut before an answer.

    `path` has no query; header names are lower case; `body_bytes` counts what was read of the request's body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    body_bytes: int = 0

    @property
    def target(self) -> str:
        """Give path and query as they stood in the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True)
class Response:
    """An answer before it is sent. Content-Length follows from the content unless the headers name it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content = EMPTY

    def with_headers(self, **changes: str | None) -> "Response":
        """Replace headers (`docker_content_digest="…"`), or leave them out (`link=None`)."""
        headers = dict(self.headers)
        for name, value in changes.items():
            wire_name = name.replace("_", "-").title()
            headers.pop(wire_name, None)
            if value is not None:
                headers[wire_name] = value
        return replace(self, headers=headers)


def json_response(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON as registries write it."""
    content = StoredContent((json.dumps(document).encode() + b"\n",))
    return Response(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, content)


def error_response(status: int, code: str, message: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Answer with the error body of the OCI distribution specification ("Error Codes")."""
    text = message or code.lower().replace("_", " ")
    return json_response(status, {"errors": [{"code": code, "message": text, "detail": None}]}, headers)


class ApiError(Exception):
    """A refusal in the registry's own words."""

    def __init__(self, status: int, code: str, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code} {message}")
        self.response = error_response(status, code, message, headers)
