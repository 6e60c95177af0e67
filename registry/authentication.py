"""Basic and Bearer authorisation, with tokens remembered per scope.

distribution's token specification (``spec/auth/token.md``, ``spec/auth/oauth.md``) and what real registries make
of it. One token per repository: some registries look only at the first scope, and many scopes overflow headers
(regclient's author on zot PR 2903). Nobody is asked for a token before a registry demanded one.
"""

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from registry.challenge import Challenge, parse_challenges, pick_challenge
from registry.errors import AuthError, DeniedError, RegistryError
from registry.refusals import Refusal
from registry.scopes import Scope
from registry.tally import Tally
from registry.tokens import Token, TokenRequester
from registry.transport import Answer

_REMEMBERED_TOKENS = 4096
_INSUFFICIENT_SCOPE = "insufficient_scope"


@dataclass(frozen=True)
class Credentials:
    """User name and password; both empty means anonymous."""

    username: str
    password: str

    @property
    def basic_header(self) -> str:
        """Return the value of an Authorization header."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


class Authenticator:
    """The memory of one registry's challenge and of the tokens it gave; thread-safe."""

    def __init__(
        self,
        credentials: Credentials,
        requester: TokenRequester,
        *,
        probe: Callable[[Tally | None], Answer],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._requester = requester
        self._probe = probe
        self._clock = clock
        self._lock = threading.Lock()
        self._scope_locks: dict[Scope, threading.Lock] = {}
        self._challenge: Challenge | None = None
        self._tokens: dict[Scope, Token] = {}
        self._widened: dict[Scope, Scope] = {}

    def reset_locks(self) -> None:
        """Make the locks anew in a forked child, where another thread's lock would never be released."""
        self._lock = threading.Lock()
        self._scope_locks = {}

    def header(self, scope: Scope, *, tally: Tally | None = None) -> str | None:
        """Return the Authorization value for a request, None while the registry has not demanded any."""
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":  # without credentials try as nobody: a part of the registry may be public
            return self._credentials.basic_header if self._credentials.username else None
        return f"Bearer {self._token(scope, tally).value}"

    def wants_more(self, answer: Answer) -> bool:
        """Answer whether a better token may help: 401, or 403 that says so (RFC 6750 §3.1 uses both)."""
        if answer.status == 401:
            return True
        challenge = _challenge_of(answer)
        return answer.status == 403 and challenge is not None and challenge["error"] == _INSUFFICIENT_SCOPE

    def renew(
        self, answer: Answer, scope: Scope, *, sent: str | None, is_retry: bool, tally: Tally | None = None
    ) -> str:
        """Learn from a refused answer and return the Authorization value to try next.

        ``is_retry``: the refused value came from here already. Raise the error to show when nothing is left to try.
        """
        refusal = answer.refusal()
        challenge = self._learn(answer, tally)
        if challenge is None:
            raise AuthError(f"{refusal.attempt}: the registry answered 401 without saying how to log in", status=401)
        if challenge.scheme == "basic":
            if sent is not None and sent.startswith("Basic"):
                raise refusal.error()
            if not self._credentials.username:
                raise AuthError(f"{refusal.attempt}: the registry demands a user name and password", status=401)
            return self._credentials.basic_header
        is_wider = self._widen(scope, challenge)
        if is_retry and not is_wider:
            raise self._rejection(refusal)
        self._forget(scope, sent)
        return f"Bearer {self._token(scope, tally).value}"

    def _widen(self, scope: Scope, challenge: Challenge) -> bool:
        """Remember that this scope needs the one the registry demands; answer whether that is news."""
        demanded = Scope.parse(challenge["scope"])
        if not demanded or challenge["error"] != _INSUFFICIENT_SCOPE or self._widened.get(scope, scope) == demanded:
            return False
        self._widened[scope] = demanded
        return True

    def _rejection(self, refusal: Refusal) -> RegistryError:
        error = refusal.error()
        if not self._credentials.username:
            return AuthError(f"{error.message} (no user name is set)", status=refusal.status)
        # The token server accepted the credentials, so it is the right that is missing.
        return DeniedError(f"{error.message} (logged in, but without this right)", status=refusal.status)

    def granted_actions(self, scope: Scope, *, tally: Tally | None = None) -> frozenset[str] | None:
        """Return what the token for a repository's scope really allows, None when that cannot be read."""
        challenge = self._challenge
        if challenge is None or challenge.scheme != "bearer":
            return None
        return self._token(scope, tally).actions_on(scope.first)

    def _learn(self, answer: Answer, tally: Tally | None) -> Challenge | None:
        """Return the answer's challenge, else the one of ``/v2/`` (gcr.io once sent bare 401 answers)."""
        challenge = _challenge_of(answer)
        if challenge is None:
            challenge = self._challenge or self._challenge_of_ping(tally)
        else:
            challenge = self._resolved(challenge, answer.url)
        if challenge is not None:
            self._challenge = challenge
        return challenge

    def _challenge_of_ping(self, tally: Tally | None) -> Challenge | None:
        answer = self._probe(tally)
        answer.discard()
        challenge = _challenge_of(answer)
        return self._resolved(challenge, answer.url) if challenge else None

    def _resolved(self, challenge: Challenge, origin: str) -> Challenge:
        """Make a relative realm absolute and refuse one that a registry has no business naming."""
        if challenge.scheme == "basic":
            return challenge
        realm = self._requester.resolve_realm(challenge["realm"], origin)
        return replace(challenge, parameters={**challenge.parameters, "realm": realm})

    def _token(self, scope: Scope, tally: Tally | None) -> Token:
        """Return a token that is good for a while; one request per scope, however many threads ask."""
        challenge = self._challenge
        if challenge is None:
            raise AuthError("The registry has not said where tokens are had")
        with self._lock:
            scope_lock = self._scope_locks.setdefault(scope, threading.Lock())
        with scope_lock:
            token = self._tokens.get(scope)
            if token is None or token.is_stale(self._clock()):
                asked = self._widened.get(scope, scope)
                token = self._requester.request(challenge, asked, now=self._clock(), tally=tally)
                self._remember(scope, token)
        return token

    def _remember(self, scope: Scope, token: Token) -> None:
        with self._lock:
            if len(self._tokens) >= _REMEMBERED_TOKENS:
                now = self._clock()
                self._tokens = {key: kept for key, kept in self._tokens.items() if not kept.is_stale(now)}
                self._scope_locks = {key: lock for key, lock in self._scope_locks.items() if key in self._tokens}
            if len(self._tokens) >= _REMEMBERED_TOKENS:
                self._tokens.clear()
            self._tokens[scope] = token

    def _forget(self, scope: Scope, sent: str | None) -> None:
        """Drop the token that was refused, but not one that another thread has fetched since."""
        with self._lock:
            token = self._tokens.get(scope)
            if token is not None and sent == f"Bearer {token.value}":
                del self._tokens[scope]


def _challenge_of(answer: Answer) -> Challenge | None:
    return pick_challenge(parse_challenges(answer.headers.getlist("WWW-Authenticate")))
