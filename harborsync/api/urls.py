"""The calls below /api/v2.0, and who may use those of the apps that cannot ask (see `harborsync.api.permissions`)."""

from django.urls import path, re_path, register_converter
from django.urls.converters import StringConverter

from harborsync.api import schema  # noqa: F401  (registers the ways to log in with the OpenAPI document)
from harborsync.api.permissions import MayManageEndpoints
from harborsync.api.system import HealthView, PingView, SystemInfoView, UnknownPathView
from harborsync.api.users import CurrentUserView
from projects.api.members import MemberListView, MemberView
from projects.api.projects import ProjectListView, ProjectSummaryView, ProjectView
from replication.api.executions import ExecutionListView, ExecutionView
from replication.api.policies import PolicyListView, PolicyView
from replication.api.tasks import ExecutionLogView, TaskListView, TaskLogView, TransferListView
from targets.api.connections import AdapterInfoView, AdapterListView, RegistryInfoView, RegistryPingView
from targets.api.registries import RegistryListView, RegistryView


class NumberConverter(StringConverter):
    """What should be a number. It takes anything: the views answer 422 to the rest, where Django's `int` says 404."""


register_converter(NumberConverter, "number")

_endpoints = {"permission_classes": (MayManageEndpoints,)}
_EXECUTION = "replication/executions/<number:execution_id>"

urlpatterns = [
    path("ping", PingView.as_view()),
    path("health", HealthView.as_view()),
    path("systeminfo", SystemInfoView.as_view()),
    path("users/current", CurrentUserView.as_view()),
    path("projects", ProjectListView.as_view()),
    path("projects/<str:project_name_or_id>", ProjectView.as_view()),
    path("projects/<str:project_name_or_id>/summary", ProjectSummaryView.as_view()),
    path("projects/<str:project_name_or_id>/members", MemberListView.as_view()),
    path("projects/<str:project_name_or_id>/members/<number:mid>", MemberView.as_view()),
    path("registries", RegistryListView.as_view(**_endpoints)),
    path("registries/ping", RegistryPingView.as_view(**_endpoints)),
    path("registries/<number:registry_id>", RegistryView.as_view(**_endpoints)),
    path("registries/<number:registry_id>/info", RegistryInfoView.as_view(**_endpoints)),
    path("replication/adapters", AdapterListView.as_view(**_endpoints)),
    path("replication/adapterinfos", AdapterInfoView.as_view(**_endpoints)),
    path("replication/policies", PolicyListView.as_view()),
    path("replication/policies/<number:policy_id>", PolicyView.as_view()),
    path("replication/executions", ExecutionListView.as_view()),
    path(_EXECUTION, ExecutionView.as_view()),
    path(f"{_EXECUTION}/log", ExecutionLogView.as_view()),
    path(f"{_EXECUTION}/tasks", TaskListView.as_view()),
    path(f"{_EXECUTION}/tasks/<number:task_id>/transfers", TransferListView.as_view()),
    path(f"{_EXECUTION}/tasks/<number:task_id>/log", TaskLogView.as_view()),
    re_path("", UnknownPathView.as_view()),
]
