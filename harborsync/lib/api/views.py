"""The view that every call of the API builds on, and how parameters are read."""

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from harborsync.lib.api.errors import BadRequest, Unprocessable

INT64_MAX = 2**63 - 1


class ApiView(APIView):
    """A call in Harbor's manner. Who may use it: administrators, unless the view or its route says otherwise."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer in English whatever the client's language (scripts compare messages), and for this client only."""
        with translation.override("en"):
            response = super().dispatch(request, *args, **kwargs)
        # The same address shows different things to different people.
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what no column can hold (PostgreSQL has no NUL characters) before anything is looked up."""
        super().initial(request, *args, **kwargs)
        if any("\x00" in text for texts in request.query_params.lists() for text in [texts[0], *texts[1]]):
            raise BadRequest("a query parameter contains a NUL character")


def require(request: Request, allowed: bool) -> None:
    """Let the request go on when allowed; else 401 for the anonymous and 403 for everybody else."""
    if allowed:
        return
    raise PermissionDenied if request.user.is_authenticated else NotAuthenticated


def checked_body(serializer: BaseSerializer[Any]) -> dict[str, Any]:
    """Return the validated fields of a request body. Raises REST framework's ValidationError (400)."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def path_id(text: str, *, name: str) -> int:
    """Return an id from the path. Raises Unprocessable (422) for anything but a 64-bit number."""
    return _integer(text, where=f"{name} in path")


def query_integer(request: Request, name: str) -> int | None:
    """Return a number from the query, None when absent. Raises Unprocessable (422)."""
    text = request.query_params.get(name, "")
    return _integer(text, where=f"{name} in query") if text else None


def _integer(text: str, *, where: str) -> int:
    # int() alone would take "1_0", " 1" and Arabic digits too.
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and abs(int(digits)) <= INT64_MAX):
        raise Unprocessable(f'{where} must be of type int64: "{text[:64]}"')
    return int(text)
