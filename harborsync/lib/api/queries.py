"""Harbor's `q=` and `sort=` (API contract, sections 4.2 and 4.3) as conditions on a QuerySet.

A view says which names may be asked for: `{"creation_time": Column("created_at", Kind.TIME)}`. Names it does not list
are ignored, as Harbor does; a value that cannot be of the column's kind matches nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from django.db.models import Model, Q, QuerySet

from harborsync.lib.api.errors import BadRequest
from harborsync.lib.api.views import INT64_MAX

Row = TypeVar("Row", bound=Model)
_NOTHING = Q(pk__in=[])
_ITEM = re.compile(r"\"[^\"]*\"|'[^']*'|\S+")
_SUFFIX_LOOKUPS = {"icontains", "in", "gte", "lte", "gt", "lt", "exact"}


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """A field that clients may filter and sort by: its path for the ORM, and what it holds."""

    path: str
    kind: Kind = Kind.TEXT


Columns = Mapping[str, Column]


class _UnfitValue(ValueError):
    """The text cannot be a value of the column."""


def filter_rows(rows: QuerySet[Row], query: str, columns: Columns) -> QuerySet[Row]:
    """Return the rows that meet every condition of `query`. Raises BadRequest when it cannot be read."""
    if not query:
        return rows
    # Harbor decodes once more than HTTP does, and some clients encode twice because of it.
    for part in unquote_plus(query).split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (equals and name and value):
            raise BadRequest('the query string must contain "=" and the key/value cannot be empty')
        if "\x00" in value:
            raise BadRequest("the query string contains a NUL character")
        rows = rows.filter(_condition(name, value, columns))
    return rows


def sort_rows(
    rows: QuerySet[Row], sort: str, columns: Columns, *, default: Sequence[str], tie_break: str = "-pk"
) -> QuerySet[Row]:
    """Return the rows in the order of `sort` (or the default); the tie break keeps pages from overlapping."""
    order = []
    for key in sort.split(","):
        column = columns.get(_snake_case(key.strip().removeprefix("-")))
        if column:
            order.append(f"-{column.path}" if key.strip().startswith("-") else column.path)
    return rows.order_by(*(order or default), tie_break)


def _condition(name: str, value: str, columns: Columns) -> Q:
    """Return the condition for one `name=value`; a name that is not offered sets none."""
    name, _, suffix = name.partition("__")
    column = columns.get(_snake_case(name))
    if column is None:
        return Q()
    if suffix and suffix not in _SUFFIX_LOOKUPS:
        return Q()
    try:
        return _lookup(column, suffix, value) if suffix else _pattern(column, value)
    except _UnfitValue:
        return _NOTHING


def _snake_case(name: str) -> str:
    """Return a Go field name in the column's spelling; other names stay as they are.

    >>> [_snake_case(name) for name in ("CreationTime", "ProjectID", "name")]
    ['creation_time', 'project_id', 'name']
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _lookup(column: Column, suffix: str, value: str) -> Q:
    """Return the condition for `name__suffix=value`."""
    if suffix == "icontains":
        return _contains(column, value)
    if suffix == "in":
        items = _items(value) if value[0] in "{(" else [value]
        return Q(**{f"{column.path}__in": _fitting(column, items)})
    return Q(**{f"{column.path}__{suffix}": _typed(column.kind, value)})


def _pattern(column: Column, value: str) -> Q:
    """Return the condition for one of Harbor's value patterns."""
    match value[0]:
        case "~":
            return _contains(column, value[1:])
        case "[":
            return _range(column, value)
        case "{":
            return Q(**{f"{column.path}__in": _fitting(column, _items(value))})
        case "(":
            wanted = [Q(**{column.path: _typed(column.kind, item)}) for item in _items(value)]
            return Q(*wanted)
        case "\\":
            return Q(**{column.path: _typed(column.kind, value[1:])})
    return Q(**{column.path: _typed(column.kind, value)})


def _contains(column: Column, text: str) -> Q:
    if column.kind is Kind.TEXT:
        return Q(**{f"{column.path}__icontains": text})
    return Q(**{column.path: _typed(column.kind, text)})


def _range(column: Column, value: str) -> Q:
    """Return the condition for `[min~max]`; either side may be empty."""
    low, tilde, high = value[1:-1].partition("~")
    if not (value.endswith("]") and tilde and (low or high)):
        raise BadRequest(f"invalid query string value: {value}")
    condition = Q()
    if low:
        condition &= Q(**{f"{column.path}__gte": _typed(column.kind, low)})
    if high:
        condition &= Q(**{f"{column.path}__lte": _typed(column.kind, high)})
    return condition


def _items(value: str) -> list[str]:
    """Return the items of `{a b}` or `(a b)`. Raises BadRequest when the bracket is not closed."""
    if value[-1] != {"{": "}", "(": ")"}[value[0]] or not value[1:-1].strip():
        raise BadRequest(f"invalid query string value: {value}")
    return _ITEM.findall(value[1:-1])


def _fitting(column: Column, items: Sequence[str]) -> list[Any]:
    """Return the items that can be values of the column."""
    fitting = []
    for item in items:
        try:
            fitting.append(_typed(column.kind, item))
        except _UnfitValue:
            continue
    return fitting


def _typed(kind: Kind, text: str) -> Any:
    """Return the text as a value of the kind, without the quotes it may carry. Raises _UnfitValue."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    match kind:
        case Kind.TEXT:
            return text
        case Kind.NUMBER:
            return _number(text)
        case Kind.TIME:
            return _time(text)
    if text.lower() not in ("true", "false", "1", "0"):
        raise _UnfitValue(text)
    return text.lower() in ("true", "1")


def _number(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or abs(int(text)) > INT64_MAX:
        raise _UnfitValue(text)
    return int(text)


def _time(text: str) -> datetime:
    """Return a time as Harbor writes it in queries (UTC, no zone); harborapi's documents put a space for the T."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _UnfitValue(text) from error
