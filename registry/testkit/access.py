"""Who may do what at a test kit registry: nobody asked, HTTP Basic, or a Bearer token server on the same port.

Token server: distribution's "Token Authentication Specification" and its OAuth 2 variant. Tokens are JSON Web Tokens
(RFC 7519, HS256), so that a client can read what was really granted.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import parse_qs

from registry.testkit.messages import ApiError, Response, error_response, json_response

AuthMode = Literal["none", "basic", "bearer"]
SERVICE = "memory-registry"
_JWT_HEADER = b'{"alg":"HS256","typ":"JWT"}'
ALL_ACTIONS = frozenset({"pull", "push", "delete", "*"})


@dataclass(frozen=True)
class Scope:
    """One `type:name:actions` of a token request.

    >>> Scope.parse("repository:library/nginx:pull,push").actions == {"pull", "push"}
    True
    """

    kind: str
    name: str
    actions: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Read one scope; the name may have a colon (a host with a port)."""
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        return cls(kind, name, frozenset(filter(None, actions.split(","))))

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(sorted(self.actions))}"

    @property
    def access(self) -> dict[str, Any]:
        """Write it as a token's `access` claim."""
        return {"type": self.kind, "name": self.name, "actions": sorted(self.actions)}


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Access:
    """The rules of one registry. `grants` maps name patterns to actions; names without a match get everything."""

    mode: AuthMode = "none"
    username: str = ""
    password: str = ""
    token_seconds: int = 300
    refresh_token: str = ""
    anonymous_actions: frozenset[str] = frozenset()
    grants: Mapping[str, Collection[str]] = field(default_factory=dict)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def expire_tokens(self) -> None:
        """Make every token given out so far worthless."""
        self._key = secrets.token_bytes(32)

    def challenge(self, base_url: str, scope: Scope | None, error: str = "") -> dict[str, str]:
        """Give the WWW-Authenticate header (RFC 6750 §3, RFC 7617)."""
        if self.mode == "basic":
            return {"Www-Authenticate": 'Basic realm="Memory Registry"'}
        parts = [f'Bearer realm="{base_url}/token"', f'service="{SERVICE}"']
        parts += [f'scope="{scope}"'] if scope else []
        parts += [f'error="{error}"'] if error else []
        return {"Www-Authenticate": ",".join(parts)}

    def check(self, authorization: str, base_url: str, scope: Scope | None) -> str:
        """Let a request pass and give its user's name, or raise 401 with the challenge."""
        if self.mode == "none":
            return ""
        error = ""
        if self.mode == "basic" and self._is_user(authorization):
            return self.username
        if self.mode == "bearer" and authorization.lower().startswith("bearer "):
            claims = self._read_token(authorization[7:].strip())
            if claims is not None and (scope is None or _covers(claims["access"], scope)):
                return str(claims["sub"])
            error = "invalid_token" if claims is None else "insufficient_scope"
        raise ApiError(401, "UNAUTHORIZED", "authentication required", self.challenge(base_url, scope, error))

    def answer_token(self, method: str, query: str, body: bytes, authorization: str) -> Response:
        """Serve the token endpoint: GET with Basic, or POST with a refresh token where one is set."""
        if method == "POST" and not self.refresh_token:
            return error_response(404, "UNSUPPORTED", "no OAuth 2 here")
        form = parse_qs(body.decode() if method == "POST" else query)
        if method == "POST":
            is_user = form.get("refresh_token", [""])[0] == self.refresh_token
        else:
            is_user = self._is_user(authorization)
        if not is_user and (authorization or method == "POST" or not self.anonymous_actions):
            return error_response(401, "UNAUTHORIZED", "incorrect username or password")
        allowed = ALL_ACTIONS if is_user else self.anonymous_actions
        asked = [Scope.parse(text) for line in form.get("scope", []) for text in line.split()]
        token = self._make_token([self._grant(scope, allowed) for scope in asked], is_user)
        key = "access_token" if method == "POST" else "token"
        return json_response(200, {key: token, "expires_in": self.token_seconds})

    def _grant(self, scope: Scope, allowed: Collection[str]) -> Scope:
        for pattern, actions in self.grants.items():
            if fnmatchcase(scope.name, pattern):
                return Scope(scope.kind, scope.name, scope.actions & frozenset(actions) & frozenset(allowed))
        return Scope(scope.kind, scope.name, scope.actions & frozenset(allowed))

    def _is_user(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded)
        except binascii.Error:
            return False
        return hmac.compare_digest(given, f"{self.username}:{self.password}".encode())

    def _make_token(self, granted: list[Scope], is_user: bool) -> str:
        claims = {
            "sub": self.username if is_user else "",
            "exp": time.time() + self.token_seconds,
            "jti": secrets.token_hex(8),
            "access": [scope.access for scope in granted if scope.actions],
        }
        signed = f"{_encode(_JWT_HEADER)}.{_encode(json.dumps(claims).encode())}"
        return f"{signed}.{_encode(hmac.digest(self._key, signed.encode(), hashlib.sha256))}"

    def _read_token(self, token: str) -> dict[str, Any] | None:
        signed, _, signature = token.rpartition(".")
        expected = _encode(hmac.digest(self._key, signed.encode(), hashlib.sha256))
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            return None
        claims: dict[str, Any] = json.loads(_decode(signed.partition(".")[2]))
        return claims if claims["exp"] > time.time() else None


def _covers(access: list[dict[str, Any]], scope: Scope) -> bool:
    granted: set[str] = set()
    for entry in access:
        if (entry["type"], entry["name"]) == (scope.kind, scope.name):
            granted |= set(entry["actions"])
    return scope.actions <= granted
