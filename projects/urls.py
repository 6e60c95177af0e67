"""The addresses of the project pages. The replication tab is the replication app's."""

from django.urls import path

from projects.views import members, projects

app_name = "projects"

urlpatterns = [
    path("", projects.project_list, name="list"),
    path("new/", projects.project_new, name="new"),
    path("<int:pk>/", projects.project_summary, name="summary"),
    path("<int:pk>/settings/", projects.project_settings, name="settings"),
    path("<int:pk>/delete/", projects.project_delete, name="delete"),
    path("<int:pk>/webhook/", projects.project_webhook, name="webhook"),
    path("<int:pk>/members/", members.member_list, name="members"),
    path("<int:pk>/members/new/", members.member_new, name="new-member"),
    path("<int:pk>/members/<int:member>/role/", members.member_role, name="member-role"),
    path("<int:pk>/members/<int:member>/remove/", members.member_remove, name="remove-member"),
]
