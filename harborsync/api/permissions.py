"""Who may call what, asked of `projects.access`.

Every view is for administrators unless it says otherwise (REST_FRAMEWORK's DEFAULT_PERMISSION_CLASSES), so a forgotten
line locks out rather than lets in. The apps below `projects` cannot ask it: their views get their class from the
routes in `harborsync.api.urls`.
"""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from projects import access

if TYPE_CHECKING:
    # REST framework reads its default permissions, and with them this module, while it defines the view.
    from rest_framework.views import APIView


class AdministratorOnly(BasePermission):
    """Administrators."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Say whether the call may go on."""
        return access.is_administrator(request.user)


class MayManageEndpoints(BasePermission):
    """Those who may see and change registries."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Say whether the call may go on."""
        return access.may_manage_endpoints(request.user)
