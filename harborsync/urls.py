"""All addresses. Each app names its own; here they get their place."""

from django.contrib.auth.views import LogoutView
from django.urls import include, path

from harborsync import pages

urlpatterns = [
    path("", pages.home, name="home"),
    path("login/", pages.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("preferences/", pages.preferences, name="preferences"),
    path("projects/", include("projects.urls")),
    path("registries/", include("targets.urls")),
    path("", include("replication.urls")),
    path("service/", include("replication.notification_urls")),
    path("api/v2.0/", include("harborsync.api.urls")),
    path("", include("harborsync.api.root_urls")),
]
