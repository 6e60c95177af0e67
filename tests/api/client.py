"""A client that logs in by HTTP Basic and speaks JSON, as programs do."""

import base64
import json
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from tests.factories import PASSWORD

BASE = "/api/v2.0"


def basic(username: str, password: str = PASSWORD) -> str:
    """Return the value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class ApiClient:
    """Sends requests below /api/v2.0 as `user`, or as nobody."""

    def __init__(self, user: User | None = None) -> None:
        self._client = Client(raise_request_exception=False)
        self._user = user

    def send(self, method: str, path: str, **options: Any) -> HttpResponse:
        """Send a request; `body` goes as JSON, `headers` are added, `params` become the query."""
        headers = dict(options.pop("headers", {}))
        if self._user:
            headers.setdefault("Authorization", basic(self._user.get_username()))
        if "body" in options:
            options["data"] = json.dumps(options.pop("body"))
            options.setdefault("content_type", "application/json")
        if "params" in options:
            options["query_params"] = options.pop("params")
        return self._client.generic(method, BASE + path, headers=headers, **options)

    def get(self, path: str, **params: Any) -> HttpResponse:
        """Send GET with a query."""
        return self.send("GET", path, params=params)

    def head(self, path: str, **params: Any) -> HttpResponse:
        """Send HEAD with a query."""
        return self.send("HEAD", path, params=params)

    def post(self, path: str, body: Any, **options: Any) -> HttpResponse:
        """Send POST with a JSON body."""
        return self.send("POST", path, body=body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> HttpResponse:
        """Send PUT, with a JSON body if there is one."""
        return self.send("PUT", path, **({} if body is None else {"body": body}), **options)

    def delete(self, path: str, **options: Any) -> HttpResponse:
        """Send DELETE."""
        return self.send("DELETE", path, **options)


def error_of(response: HttpResponse) -> tuple[int, str, str]:
    """Return `(status, code, message)` of a refusal, having looked at its shape."""
    assert response["Content-Type"] == "application/json; charset=utf-8"
    document = json.loads(response.content)
    assert list(document) == ["errors"]
    assert len(document["errors"]) == 1
    assert list(document["errors"][0]) == ["code", "message"]
    return response.status_code, document["errors"][0]["code"], document["errors"][0]["message"]


def assert_empty(response: HttpResponse, status: int = 200) -> None:
    """Look that the answer has this status, no body and no Content-Type (clients try to read a body that has one)."""
    assert response.status_code == status, response.content
    assert response.content == b""
    assert "Content-Type" not in response
    assert response["Content-Length"] == "0"


def id_of(response: HttpResponse) -> int:
    """Return the id at the end of the Location of a 201."""
    assert_empty(response, 201)
    return int(response["Location"].rpartition("/")[2])
