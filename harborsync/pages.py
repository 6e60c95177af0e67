"""Pages that belong to no app: the way in and out, the start page, and what the viewer prefers."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import LoginView as DjangoLoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import check_for_language
from django.views.decorators.http import require_POST, require_safe

from harborsync.lib.installation import VERSION
from projects import access

THEME_COOKIE = "theme"
THEMES = ("light", "dark")
ONE_YEAR_SECONDS = 365 * 24 * 3600


class LoginView(DjangoLoginView):
    """The login page. Whoever is logged in already goes on."""

    template_name = "login.html"
    redirect_authenticated_user = True


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the projects."""
    return HttpResponseRedirect(reverse("projects:list"))


@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    """Remember the language and theme that were chosen, and lead back to the page they were chosen on."""
    response = HttpResponseRedirect(_way_back(request))
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        _remember(response, THEME_COOKIE, theme)
    elif theme == "auto":
        response.delete_cookie(THEME_COOKIE)
    language = request.POST.get("language", "")
    if language in dict(settings.LANGUAGES) and check_for_language(language):
        _remember(response, settings.LANGUAGE_COOKIE_NAME, language)
    return response


def _remember(response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(
        name,
        value,
        max_age=ONE_YEAR_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _section(request: HttpRequest) -> str:
    """Return which entry of the navigation the page belongs to."""
    match = request.resolver_match
    first = match.route.partition("/")[0] if match else ""
    return "jobs" if first in ("executions", "tasks") else first


def _way_back(request: HttpRequest) -> str:
    """Return where to go on: a page of ours, never another site."""
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else reverse("home")


def shell(request: HttpRequest) -> dict[str, Any]:
    """Give the frame around every page what it shows (a context processor)."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    # A request that was refused before it reached a view has no user yet.
    user = getattr(request, "user", AnonymousUser())
    return {
        "theme": theme if theme in THEMES else "",
        "section": _section(request),
        "may_manage_endpoints": access.may_manage_endpoints(user),
        "product_version": VERSION,
    }
