"""Who is asking: HTTP Basic for programs, the session of the web pages for people."""

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.http import HttpRequest
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class VerifiedPasswords:
    """Remembers for a short time that a password was right, so that polling does not hash it at every request.

    Kept in this process's memory only, as keyed digests: neither passwords nor anything to guess them from. The stored
    hash is part of the key, so a changed password is forgotten at once. Failures are never remembered.
    """

    def __init__(self, *, keep_seconds: float = 60, size: int = 1000) -> None:
        self._keep_seconds = keep_seconds
        self._size = size
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, user: User, password: str) -> None:
        """Note that the password was right just now."""
        digest = self._digest(user, password)
        with self._lock:
            self._until[digest] = time.monotonic() + self._keep_seconds
            self._until.move_to_end(digest)
            while len(self._until) > self._size:
                self._until.popitem(last=False)

    def holds(self, user: User, password: str) -> bool:
        """Say whether the password was right a short time ago."""
        digest = self._digest(user, password)
        with self._lock:
            if self._until.get(digest, 0.0) > time.monotonic():
                return True
            self._until.pop(digest, None)
            return False

    def _digest(self, user: User, password: str) -> bytes:
        parts = (user.get_username(), password, user.password)
        message = b"".join(hashlib.sha256(part.encode(errors="surrogatepass")).digest() for part in parts)
        return hmac.digest(self._key, message, "sha256")


_verified = VerifiedPasswords()


class BasicAuthentication(authentication.BasicAuthentication):
    """User name and password in every request."""

    def authenticate_credentials(
        self, userid: str, password: str, request: HttpRequest | Request | None = None
    ) -> tuple[User, None]:
        """Return the user whose password it is. Raises AuthenticationFailed."""
        if "\x00" in userid:
            raise AuthenticationFailed
        known = User.objects.filter(username=userid, is_active=True).first()
        if known and _verified.holds(known, password):
            return known, None
        user = authenticate(request=getattr(request, "_request", None), username=userid, password=password)
        if not isinstance(user, User):
            raise AuthenticationFailed
        _verified.remember(user, password)
        return user, None

    def authenticate_header(self, request: Request) -> str | None:
        """Send no challenge, nor does Harbor: browsers would keep the password and send it from foreign pages too."""
        return None


class SessionAuthentication(authentication.BaseAuthentication):
    """The session of the web pages. Its CSRF check is `harborsync.api.middleware.session_csrf`."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return the user who logged in, None for nobody."""
        user = getattr(request._request, "user", None)
        return (user, None) if isinstance(user, User) and user.is_active else None
