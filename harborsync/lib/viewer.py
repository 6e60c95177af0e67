"""Who looks at a page."""

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest


def signed_in(request: HttpRequest) -> User:
    """Return who is logged in. Only for views behind login_required."""
    return cast(User, request.user)
