"""One view, one template: the whole page for a browser, a part of it for htmx.

htmx says in `HX-Target` which element it will fill. A view names the parts it can serve alone by that id; a form or
question asked for by `#dialog` is the page's own template on another layout.
"""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseRedirectBase
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

DIALOG = "dialog"


def requested_part(request: HttpRequest) -> str:
    """Return the id of the element that htmx will fill; "" for a whole page."""
    details = getattr(request, "htmx", None)
    if not isinstance(details, HtmxDetails) or not details or details.boosted or details.history_restore_request:
        return ""
    return details.target or ""


def wants_part(request: HttpRequest, part: str) -> bool:
    """Say whether the answer will show this part: alone, or within the whole page."""
    return requested_part(request) in ("", part)


def is_htmx(request: HttpRequest) -> bool:
    """Say whether htmx sent the request."""
    return bool(getattr(request, "htmx", False))


def render_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    parts: Mapping[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render `template`, or the one of `parts` (`{element id: template}`) that htmx asks for.

    A form that is wrong is sent to htmx with status 200, because htmx swaps nothing on an error.
    """
    part = requested_part(request)
    if parts and part in parts:
        return render(request, parts[part], {**context, "part": part})
    in_dialog = part == DIALOG
    layout = "layouts/dialog.html" if in_dialog else "layouts/page.html"
    whole = {**context, "layout": layout, "in_dialog": in_dialog}
    return render(request, template, whole, status=200 if is_htmx(request) else status)


def redirect_to(request: HttpRequest, url: str) -> HttpResponseRedirectBase:
    """Send the browser to `url` after a POST, also when htmx posted for it."""
    return HttpResponseClientRedirect(url) if is_htmx(request) else HttpResponseRedirect(url)
