"""The list of projects, and a project's summary, settings and webhook set-up."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from harborsync.lib.forms import show_errors
from harborsync.lib.htmx import redirect_to, render_page
from harborsync.lib.paging import paginate, sort_by, text_of
from harborsync.lib.viewer import signed_in
from projects import access
from projects.forms import ProjectForm, ProjectSettingsForm
from projects.models import Membership, Project
from projects.services import ProjectInUse, create_project, delete_project, update_project
from projects.views.frame import project_context, visible_project
from targets.models import Endpoint
from targets.views import notification_url

COLUMNS = {"name": "name", "created": "created_at"}
KINDS_OF_ACCESS = {"private": False, "public": True}


@require_safe
@login_required
def project_list(request: HttpRequest) -> HttpResponse:
    """Show the projects the viewer may look at."""
    page = paginate(sort_by(_matching(request), request, COLUMNS, default="name"), request)
    context = {
        "page": page,
        "text": text_of(request),
        "chosen_access": request.GET.get("access", ""),
        "roles": dict(Membership.Role.choices),
        "may_create": access.may_create_projects(request.user),
    }
    return render_page(request, "projects/list.html", context, parts={"projects": "projects/grid.html"})


def _matching(request: HttpRequest) -> QuerySet[Project]:
    """Return the viewer's projects that the filter lets through, with the viewer's role and the number of rules."""
    own = Membership.objects.filter(project=OuterRef("pk"), user=signed_in(request)).values("role")[:1]
    projects = access.visible_projects(request.user).select_related("endpoint")
    projects = projects.annotate(
        role=Subquery(own, output_field=IntegerField()), rule_count=Count("rules", distinct=True)
    )
    if text := text_of(request):
        projects = projects.filter(name__icontains=text)
    wanted = request.GET.get("access", "")
    return projects.filter(public=KINDS_OF_ACCESS[wanted]) if wanted in KINDS_OF_ACCESS else projects


@require_http_methods(["GET", "POST"])
@login_required
def project_new(request: HttpRequest) -> HttpResponseBase:
    """Create a project."""
    if not access.may_create_projects(request.user):
        raise PermissionDenied
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        project = _create(request, form)
        if project is not None:
            messages.success(request, _("Created project %(name)s.") % {"name": project.name})
            return redirect_to(request, reverse("projects:summary", args=[project.pk]))
    context = {"form": form, "back": reverse("projects:list"), "has_endpoints": Endpoint.objects.exists()}
    return render_page(request, "projects/new.html", context, status=422 if form.errors else 200)


def _create(request: HttpRequest, form: ProjectForm) -> Project | None:
    values = form.cleaned_data
    try:
        return create_project(
            name=values["name"],
            public=values["public"],
            endpoint=values["endpoint"],
            namespace=values["namespace"].strip("/"),
            owner=signed_in(request),
        )
    except ValidationError as error:
        show_errors(form, error)
        return None


@require_safe
@login_required
def project_summary(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what the project is and how to push to it."""
    project = visible_project(request, pk)
    context = {
        **project_context(request, project, tab="summary"),
        "member_count": project.memberships.count(),
        "push_address": f"{project.endpoint.url.partition('://')[2]}/{project.namespace}",
    }
    return render_page(request, "projects/summary.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def project_settings(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Change what of a project can be changed."""
    project = visible_project(request, pk)
    if not access.may_manage_project(request.user, project):
        raise PermissionDenied
    back = reverse("projects:summary", args=[pk])
    form = ProjectSettingsForm(request.POST or None, instance=project)
    if request.method == "POST" and form.is_valid():
        update_project(project, public=form.cleaned_data["public"])
        messages.success(request, _("Updated project %(name)s.") % {"name": project.name})
        return redirect_to(request, back)
    return render_page(request, "projects/settings.html", {"form": form, "project": project, "back": back})


@require_http_methods(["GET", "POST"])
@login_required
def project_delete(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Ask, then delete a project that has no rules."""
    project = visible_project(request, pk)
    if not access.may_manage_project(request.user, project):
        raise PermissionDenied
    refusal = ""
    if request.method == "POST":
        try:
            delete_project(project)
        except ProjectInUse as error:
            refusal = str(error)
        else:
            messages.success(request, _("Deleted project %(name)s.") % {"name": project.name})
            return redirect_to(request, reverse("projects:list"))
    question = {
        "title": _("Confirm remove project"),
        "question": _("Do you want to delete project %(name)s?") % {"name": project.name},
        "consequence": _("Images in the registry are not touched."),
        "verb": _("Delete"),
        "dangerous": True,
        "refusal": refusal,
        "back": reverse("projects:list"),
    }
    return render_page(request, "confirm.html", question, status=409 if refusal else 200)


@require_safe
@login_required
def project_webhook(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how to point the notifications of the project's registry at this installation."""
    project = visible_project(request, pk)
    if not access.may_manage_endpoints(request.user):
        raise PermissionDenied
    context = {
        **project_context(request, project, tab="webhook"),
        "endpoint": project.endpoint,
        "notification_url": notification_url(project.endpoint),
    }
    return render_page(request, "projects/webhook.html", context)
