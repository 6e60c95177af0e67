"""Reading answers: the text of a page, and requests as htmx makes them."""

import html
import re
from typing import Any

from django.http import HttpResponse


def text_of(response: HttpResponse) -> str:
    """Return what a person would read: no tags, single spaces."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def asks_for(part: str, **headers: str) -> dict[str, Any]:
    """Return the headers with which htmx asks for one part of a page."""
    return {"headers": {"HX-Request": "true", "HX-Target": part, **headers}}
