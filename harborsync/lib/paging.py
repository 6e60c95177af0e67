"""Pages of a list. Short lists are counted; histories are walked by id, so that page 10,000 costs what page 1 costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

PAGE_SIZES = (15, 25, 50, 100)
# Harbor's ids are 64 bit; a larger number in a URL would overflow in the database.
LARGEST_ID = 2**63 - 1

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class KeysetPage(Generic[Row]):
    """Some rows in descending id; `newer` and `older` are the ids to ask on from, None at that end."""

    rows: list[Row]
    newer: int | None
    older: int | None

    @property
    def is_first(self) -> bool:
        """Say whether the newest row is on this page, so that later ones would show up on it."""
        return self.newer is None


def page_size_of(request: HttpRequest) -> int:
    """Return the page size that the URL asks for: one of PAGE_SIZES."""
    wanted = number_of(request, "page_size")
    return wanted if wanted in PAGE_SIZES else PAGE_SIZES[0]


def number_of(request: HttpRequest, name: str) -> int | None:
    """Return a whole number from the URL, None when it is missing or is none."""
    text = request.GET.get(name, "")
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text) if len(text) <= 19 else LARGEST_ID + 1
    return number if number <= LARGEST_ID else None


def text_of(request: HttpRequest, name: str = "q") -> str:
    """Return a text from the URL, without NUL, which PostgreSQL refuses."""
    return request.GET.get(name, "").replace("\0", "").strip()[:200]


def paginate(rows: QuerySet[Row], request: HttpRequest) -> "Page[Row]":
    """Return the page that the URL names, the nearest one when there is no such page. Costs two queries."""
    return Paginator(rows, page_size_of(request)).get_page(number_of(request, "page") or 1)


def paginate_by_id(rows: QuerySet[Row], request: HttpRequest) -> KeysetPage[Row]:
    """Return the rows before `?before=` or after `?after=`, newest first. Costs one query."""
    size = page_size_of(request)
    after, before = number_of(request, "after"), number_of(request, "before")
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        more, shown = len(found) > size, found[:size][::-1]
        newer = shown[0].pk if more and shown else None
        return KeysetPage(shown, newer=newer, older=shown[-1].pk if shown else None)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: size + 1])
    more, shown = len(found) > size, found[:size]
    newer = shown[0].pk if before is not None and shown else None
    return KeysetPage(shown, newer=newer, older=shown[-1].pk if more else None)


def sort_by(rows: QuerySet[Row], request: HttpRequest, columns: Mapping[str, Any], *, default: str) -> QuerySet[Row]:
    """Order by `?sort=name` or `?sort=-name`, where `columns` maps the names that are allowed to fields."""
    wanted = request.GET.get("sort", "")
    name = wanted.removeprefix("-")
    if name not in columns:
        wanted, name = default, default.removeprefix("-")
    direction = "-" if wanted.startswith("-") else ""
    return rows.order_by(f"{direction}{columns[name]}", f"{direction}pk")
