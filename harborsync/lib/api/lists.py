"""Lists as Harbor pages them (API contract, section 4.1): page, page_size, X-Total-Count and Link."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from harborsync.lib.api.errors import Unprocessable
from harborsync.lib.api.views import query_integer

DEFAULT_SIZE = 10
MAX_SIZE = 100
# Printable and harmless in a header and in a URL: Harbor leaves the query readable. The rest is percent-encoded.
_READABLE = "=~[]{}()!*'$@:/,;|^-._?"

Row = TypeVar("Row", bound=Model)

PAGE_PARAMETERS = [
    OpenApiParameter("page", int, description="Number of the page; the first is 1.", default=1),
    OpenApiParameter(
        "page_size", int, description="Rows per page, 100 at most; 0 gives all rows.", default=DEFAULT_SIZE
    ),
]
QUERY_PARAMETERS = [
    OpenApiParameter(
        "q",
        str,
        description="Conditions joined by commas: `k=v` exact, `k=~v` contains, `k=[min~max]` range, "
        "`k={a b}` any of, `k=(a b)` all of.",
    ),
    OpenApiParameter("sort", str, description="Fields joined by commas; `-` in front turns the order round."),
    *PAGE_PARAMETERS,
]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for; size 0 means all of it."""

    number: int
    size: int

    @property
    def start(self) -> int:
        """Return the position of the first row."""
        return (self.number - 1) * self.size

    def neighbours(self, total: int) -> list[tuple[str, int]]:
        """Return `(relation, page number)` of the pages beside this one.

        >>> Page(number=2, size=10).neighbours(35)
        [('prev', 1), ('next', 3)]
        """
        if not self.size:
            return []
        found = []
        if self.number > 1 and self.start < total:
            found.append(("prev", self.number - 1))
        if self.number * self.size < total:
            found.append(("next", self.number + 1))
        return found


def requested_page(request: Request) -> Page:
    """Return the page that the query asks for. Raises Unprocessable for a size out of range."""
    number = query_integer(request, "page")
    size = query_integer(request, "page_size")
    if size is not None and not 0 <= size <= MAX_SIZE:
        bound = f"less than or equal to {MAX_SIZE}" if size > 0 else "greater than or equal to 0"
        raise Unprocessable(f"page_size in query should be {bound}")
    # Harbor's command line sends page=0 for the first page.
    return Page(number=max(number or 1, 1), size=DEFAULT_SIZE if size is None else size)


def answer_list(request: Request, rows: QuerySet[Row], *, serializer: type[BaseSerializer[Any]]) -> Response:
    """Return one page of the rows with the headers that clients page by. Two queries, whatever the length."""
    page = requested_page(request)
    total = rows.count()
    if page.size == 0:
        shown: Sequence[Row] = list(rows)
    else:
        shown = list(rows[page.start : page.start + page.size]) if page.start < total else []
    headers = {"X-Total-Count": str(total)}
    if neighbours := page.neighbours(total):
        # Path-only, or harborapi would glue two addresses together (API contract, section 14.1).
        links = [f'<{_url(request, number, page.size)}>; rel="{relation}"' for relation, number in neighbours]
        headers["Link"] = " , ".join(links)
    return Response(serializer(shown, many=True).data, headers=headers)


def _url(request: Request, number: int, size: int) -> str:
    """Return the request's path and query with another page; keys are sorted, as Go's url.Values are."""
    query = {name: texts for name, texts in request.query_params.lists() if name not in ("page", "page_size")}
    query["page"], query["page_size"] = [str(number)], [str(size)]
    pairs = [f"{_shown(name)}={_shown(text)}" for name in sorted(query) for text in query[name]]
    return f"{quote(request.path)}?{'&'.join(pairs)}"


def _shown(text: str) -> str:
    return quote(text, safe=_READABLE)
