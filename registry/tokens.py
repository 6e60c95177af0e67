"""Fetching and reading bearer tokens (distribution ``spec/auth/token.md`` and ``spec/auth/oauth.md``)."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from registry.challenge import Challenge
from registry.errors import AuthError, ProtocolError, RegistryError
from registry.guards import resolve_location
from registry.refusals import is_web_page
from registry.scopes import Scope
from registry.tally import Tally
from registry.transport import Answer, Request

DEFAULT_LIFE_SECONDS = 60.0
"""spec/auth/token.md: an answer without ``expires_in`` means 60 seconds."""
_MARGIN_SECONDS = 30.0
_ANSWER_LIMIT_BYTES = 256 * 1024
_IDENTITY_TOKEN_USERS = frozenset({"<token>", "00000000-0000-0000-0000-000000000000"})
"""Docker's and Azure's user names that mean "the password is a refresh token"."""


@dataclass(frozen=True)
class Token:
    """A bearer token and when (on the caller's clock) to stop using it."""

    value: str = field(repr=False)
    stale_at: float

    def is_stale(self, now: float) -> bool:
        """Answer whether a new one should be fetched."""
        return now >= self.stale_at

    def actions_on(self, entry: str) -> frozenset[str] | None:
        """Return the actions granted on ``repository:name``, None when the token cannot be read.

        Token servers must not fail when they grant only a part; the refusal would come after the bytes moved.
        """
        kind, _, rest = entry.partition(":")
        name = rest.rpartition(":")[0]
        access = _claims(self.value).get("access")
        if not isinstance(access, list):
            return None
        granted: set[str] = set()
        for grant in access:
            if not isinstance(grant, dict) or not isinstance(grant.get("actions"), list):
                return None
            if (grant.get("type"), grant.get("name")) == (kind, name):
                granted |= {action for action in grant["actions"] if isinstance(action, str)}
        return frozenset(granted)


def make_token(value: str, *, life_seconds: float, now: float) -> Token:
    """Return a token that is given up 30 seconds or a tenth of its life early, but never before half of it.

    Life counts from receipt: ``issued_at`` is optional and the clocks may differ.
    """
    margin_seconds = min(max(_MARGIN_SECONDS, life_seconds / 10), life_seconds / 2)
    return Token(value, now + life_seconds - margin_seconds)


class TokenRequester:
    """Asks token servers. Credentials go to the realm that the registry named, and nowhere else."""

    def __init__(
        self,
        *,
        username: str,
        password: str,
        basic_header: str,
        client_id: str,
        perform: Callable[[Request, Tally | None], Answer],
    ) -> None:
        self._username = username
        self._password = password
        self._basic_header = basic_header
        self._client_id = client_id
        self._perform = perform
        self._refuses_oauth = False

    def resolve_realm(self, realm: str, origin: str) -> str:
        """Return the absolute realm; raise ProtocolError for plain http under https and for internal addresses."""
        attempt = "Asking for a token"
        if urlsplit(origin).scheme == "https" and realm.lower().startswith("http://"):
            raise ProtocolError(f"{attempt}: the registry names a token server on plain http; refused")
        return resolve_location(realm, origin=origin, attempt=attempt)

    def request(self, challenge: Challenge, scope: Scope, *, now: float, tally: Tally | None) -> Token:
        """Return a fresh token for the scope."""
        has_identity_token = self._username in _IDENTITY_TOKEN_USERS and bool(self._password)
        answer = self._post(challenge, scope, tally) if has_identity_token and not self._refuses_oauth else None
        if answer is None:
            answer = self._get(challenge, scope, tally)
        if answer.status != 200:
            raise self._refused(answer)
        return _token_of(answer, now)

    def _get(self, challenge: Challenge, scope: Scope, tally: Tally | None) -> Answer:
        parameters = [("service", challenge["service"])] if challenge["service"] else []
        parameters += [("scope", entry) for entry in scope.entries]
        if self._username:
            parameters.append(("account", self._username))
        realm = challenge["realm"]
        joint = "&" if "?" in realm else "?"
        url = f"{realm}{joint}{urlencode(parameters)}" if parameters else realm
        headers = {"Authorization": self._basic_header} if self._username else {}
        return self._perform(Request("GET", url, _attempt(scope), headers), tally)

    def _post(self, challenge: Challenge, scope: Scope, tally: Tally | None) -> Answer | None:
        """Exchange the refresh token; None when the server knows no such thing (404 or 405)."""
        form = {
            "grant_type": "refresh_token",
            "service": challenge["service"],
            "client_id": self._client_id,
            "scope": " ".join(scope.entries),
            "refresh_token": self._password,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = Request("POST", challenge["realm"], _attempt(scope), headers, urlencode(form).encode())
        answer = self._perform(request, tally)
        if answer.status not in (404, 405):
            return answer
        answer.discard()
        self._refuses_oauth = True
        return None

    def _refused(self, answer: Answer) -> RegistryError:
        refusal = answer.refusal()
        if answer.status != 401:
            return refusal.error()
        reason = "user name or password is wrong" if self._username else "the registry demands a user name and password"
        return AuthError(f"{refusal.attempt}: {reason}", status=401)


def _attempt(scope: Scope) -> str:
    return f"Asking for a token for {', '.join(scope.entries) or 'logging in'}"


def _token_of(answer: Answer, now: float) -> Token:
    """Read ``token`` or ``access_token`` and the life in seconds."""
    body = answer.read(_ANSWER_LIMIT_BYTES)
    attempt = answer.request.attempt
    if is_web_page(answer.headers, body):
        raise ProtocolError(f"{attempt}: a web page answered, not a token server")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"{attempt}: the token server's answer is not JSON") from error
    value = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ProtocolError(f"{attempt}: the token server's answer contains no token")
    life = document.get("expires_in")
    is_number = isinstance(life, (int, float)) and not isinstance(life, bool) and life > 0
    return make_token(value, life_seconds=float(life) if is_number else DEFAULT_LIFE_SECONDS, now=now)


def _claims(token: str) -> Mapping[str, object]:
    """Return the claims of a JSON Web Token (RFC 7519), unverified; empty when the token is opaque."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
