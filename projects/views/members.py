"""The members of a project."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from harborsync.lib.forms import show_errors
from harborsync.lib.htmx import redirect_to, render_page
from harborsync.lib.paging import paginate, text_of
from projects import access
from projects.forms import MemberForm, RoleForm
from projects.models import Membership, Project
from projects.services import add_member, change_member, remove_member
from projects.views.frame import project_context, replicated_project


@require_safe
@login_required
def member_list(request: HttpRequest, pk: int) -> HttpResponse:
    """Show who belongs to the project."""
    project = replicated_project(request, pk)
    text = text_of(request)
    memberships = project.memberships.select_related("user").order_by("user__username")
    context = {
        **project_context(request, project, tab="members"),
        "page": paginate(memberships.filter(user__username__icontains=text), request),
        "text": text,
        "may_manage_members": access.may_manage_members(request.user, project),
    }
    return render_page(request, "projects/members.html", context, parts={"members": "projects/members_grid.html"})


@require_http_methods(["GET", "POST"])
@login_required
def member_new(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Make somebody a member."""
    project = _managed_project(request, pk)
    form = MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            member = add_member(project, user=form.cleaned_data["user"], role=form.cleaned_data["role"])
        except ValidationError as error:
            show_errors(form, error)
        else:
            messages.success(request, _("Added member %(name)s.") % {"name": member.user.get_username()})
            return redirect_to(request, _members_url(project))
    context = {"form": form, "title": _("New Member"), "back": _members_url(project)}
    return render_page(request, "projects/member_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@login_required
def member_role(request: HttpRequest, pk: int, member: int) -> HttpResponseBase:
    """Give a member another role."""
    project = _managed_project(request, pk)
    membership = _membership(project, member)
    form = RoleForm(request.POST or None, initial={"role": membership.role})
    if request.method == "POST" and form.is_valid():
        change_member(membership, role=form.cleaned_data["role"])
        messages.success(request, _("Changed the role of %(name)s.") % {"name": membership.user.get_username()})
        return redirect_to(request, _members_url(project))
    title = _("Role of %(name)s") % {"name": membership.user.get_username()}
    context = {"form": form, "title": title, "back": _members_url(project)}
    return render_page(request, "projects/member_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@login_required
def member_remove(request: HttpRequest, pk: int, member: int) -> HttpResponseBase:
    """Ask, then end a membership."""
    project = _managed_project(request, pk)
    membership = _membership(project, member)
    name = membership.user.get_username()
    if request.method == "POST":
        remove_member(membership)
        messages.success(request, _("Removed member %(name)s.") % {"name": name})
        return redirect_to(request, _members_url(project))
    question = {
        "title": _("Confirm removing the member"),
        "question": _("Do you want to remove %(name)s from project %(project)s?")
        % {"name": name, "project": project.name},
        "verb": _("Remove"),
        "dangerous": True,
        "back": _members_url(project),
    }
    return render_page(request, "confirm.html", question)


def _managed_project(request: HttpRequest, pk: int) -> Project:
    project = replicated_project(request, pk)
    if not access.may_manage_members(request.user, project):
        raise PermissionDenied
    return project


def _membership(project: Project, pk: int) -> Membership:
    return get_object_or_404(project.memberships.select_related("user"), pk=pk)


def _members_url(project: Project) -> str:
    return reverse("projects:members", args=[project.pk])
