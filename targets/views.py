"""The pages of registries: the grid, the form with its connection test, deletion, and the notification set-up.

Whoever may change endpoints may see them: projects.access says administrators, who hold every permission of Django's.
The permission is asked for by name because this app must not know of projects.
"""

from collections.abc import Callable, Sequence

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from harborsync.lib.crypto import SecretUnreadableError
from harborsync.lib.forms import show_errors
from harborsync.lib.htmx import redirect_to, render_page
from harborsync.lib.paging import paginate, sort_by, text_of
from registry import CheckStep
from targets.capabilities import capability_texts
from targets.forms import EndpointForm
from targets.models import Endpoint
from targets.services import (
    EndpointInUse,
    check_endpoint,
    delete_endpoint,
    save_endpoint,
    try_connection,
    validate_endpoint,
)

View = Callable[..., HttpResponseBase]
COLUMNS = {"name": "name", "url": "url", "kind": "kind", "verify": "verify_tls", "created": "created_at"}
STEP_RESULT = "test-result"


def manages_endpoints(view: View) -> View:
    """Let only those pass who may see and change endpoints."""
    return login_required(permission_required("targets.change_endpoint", raise_exception=True)(view))


@require_safe
@manages_endpoints
def endpoint_list(request: HttpRequest) -> HttpResponse:
    """Show the registries."""
    text = text_of(request)
    page = paginate(sort_by(_matching(text), request, COLUMNS, default="-created"), request)
    return render_page(
        request,
        "targets/list.html",
        {"page": page, "text": text},
        parts={"endpoints": "targets/grid.html"},
    )


def _matching(text: str) -> QuerySet[Endpoint]:
    """Return the endpoints whose name, URL or description contains the text, with how much uses them."""
    endpoints = Endpoint.objects.annotate(
        source_count=Count("source_rules", distinct=True),
        target_count=Count("target_rules__rule", distinct=True),
        project_count=Count("projects", distinct=True),
    )
    if text:
        endpoints = endpoints.filter(Q(name__icontains=text) | Q(url__icontains=text) | Q(description__icontains=text))
    return endpoints


@require_http_methods(["GET", "POST"])
@manages_endpoints
def endpoint_edit(request: HttpRequest, pk: int | None = None) -> HttpResponseBase:
    """Create or change an endpoint; "Test Connection" tries the values in the form and stores nothing."""
    endpoint = get_object_or_404(Endpoint, pk=pk) if pk is not None else Endpoint(kind="docker-registry")
    form = EndpointForm(request.POST or None, instance=endpoint)
    form.fields["name"].required = "test" not in request.POST
    steps: Sequence[CheckStep] | None = None
    if request.method == "POST":
        is_valid = form.is_valid()
        if "test" in request.POST:
            steps = _try(form) if is_valid else None
        elif not is_valid:
            _show_all_errors(form)
        elif _save(request, form):
            return redirect_to(request, reverse("targets:list"))
    return render_page(
        request,
        "targets/edit.html",
        {
            "form": form,
            "pk": pk,
            "steps": steps,
            "learned": capability_texts(endpoint.capabilities),
            "back": reverse("targets:list"),
        },
        parts={STEP_RESULT: "targets/test_result.html"},
        status=422 if form.errors else 200,
    )


def _show_all_errors(form: EndpointForm) -> None:
    """Add what else is wrong, so that it need not be corrected in two rounds."""
    try:
        validate_endpoint(form.instance)
    except ValidationError as error:
        show_errors(form, error)


def _try(form: EndpointForm) -> list[CheckStep]:
    try:
        return try_connection(form.settings_to_try())
    except SecretUnreadableError as error:
        return [CheckStep(name="auth", status="failed", message=str(error), code="secret_unreadable")]
    except ValueError as error:
        form.add_error("url", str(error))
        return []


def _save(request: HttpRequest, form: EndpointForm) -> bool:
    """Store the endpoint and say how it is; an unreachable one is stored all the same."""
    try:
        endpoint = save_endpoint(form.instance, secret=form.secret_to_store())
    except ValidationError as error:
        show_errors(form, error)
        return False
    check_endpoint(endpoint)
    if endpoint.health == Endpoint.Health.HEALTHY:
        messages.success(request, _("%(name)s is saved and answers.") % {"name": endpoint.name})
    else:
        messages.warning(
            request,
            _("%(name)s is saved, but does not work yet: %(reason)s")
            % {"name": endpoint.name, "reason": endpoint.health_reason},
        )
    return True


@require_POST
@manages_endpoints
def endpoint_check(request: HttpRequest, pk: int) -> HttpResponse:
    """Check a stored endpoint and show the steps."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    steps = check_endpoint(endpoint)
    return render_page(request, "targets/check.html", {"endpoint": endpoint, "steps": steps})


@require_http_methods(["GET", "POST"])
@manages_endpoints
def endpoint_delete(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Ask, then delete an endpoint that nothing uses."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    refusal = ""
    if request.method == "POST":
        try:
            delete_endpoint(endpoint)
        except EndpointInUse as error:
            refusal = str(error)
        else:
            messages.success(request, _("Deleted endpoint %(name)s.") % {"name": endpoint.name})
            return redirect_to(request, reverse("targets:list"))
    question = {
        "title": _("Confirm Endpoint Deletion"),
        "question": _("Do you want to delete the endpoint %(name)s?") % {"name": endpoint.name},
        "consequence": _("Images in the registry are not touched."),
        "verb": _("Delete"),
        "dangerous": True,
        "refusal": refusal,
        "back": reverse("targets:list"),
    }
    return render_page(request, "confirm.html", question, status=409 if refusal else 200)


@require_safe
@manages_endpoints
def notification_setup(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how to point the registry's notifications at this installation."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    context = {"endpoint": endpoint, "notification_url": notification_url(endpoint)}
    return render_page(request, "targets/notifications.html", context)


def notification_url(endpoint: Endpoint) -> str:
    """Return the address for the registry's notifications; the token in it is the credential."""
    return f"{settings.EXTERNAL_URL}/service/notifications/{endpoint.reveal_notification_token()}/"
