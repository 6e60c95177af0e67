"""Answers without a body. Harbor's clients choke on an empty body that calls itself JSON (API contract, section 1)."""

from django.http import HttpResponse
from django.utils.encoding import escape_uri_path
from rest_framework.request import Request


def empty(status: int = 200) -> HttpResponse:
    """Return an answer with neither body nor Content-Type."""
    response = HttpResponse(status=status)
    del response["Content-Type"]
    return response


def created(request: Request, identifier: int | str) -> HttpResponse:
    """Return 201 with a path-only Location below the request's own path: clients take the id from its end."""
    response = empty(201)
    response["Location"] = f"{escape_uri_path(request.path.rstrip('/'))}/{identifier}"
    return response
