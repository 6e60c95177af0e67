"""What belongs to the API but does not live below /api/v2.0."""

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView

from harborsync.api.docs import DocsView
from harborsync.api.system import api_version, session_login, session_logout

urlpatterns = [
    path("api/version", api_version),
    path("api/docs", DocsView.as_view(), name="api-docs"),
    path("api/schema", SpectacularJSONAPIView.as_view(), name="api-schema"),
    path("c/login", session_login),
    path("c/log_out", session_logout),
]
