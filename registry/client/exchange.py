"""Sending a request on behalf of a piece of work: stop flag, authorisation, one retry, refusals."""

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from registry.connection import Connection
from registry.errors import (
    DeniedError,
    NetworkError,
    NetworkTimeoutError,
    RateLimitedError,
    RefusedError,
    Stopped,
    TlsError,
)
from registry.gate import Permit, lane_of, paced
from registry.scopes import Scope
from registry.tally import Tally
from registry.transport import Answer, Request
from registry.wire import Piece, Pieces

logger = logging.getLogger(__name__)

_REPEATABLE = frozenset({"GET", "HEAD", "DELETE"})
_RENEWALS = 2


class StopFlag(Protocol):
    """Anything with ``is_set()``, such as threading.Event."""

    def is_set(self) -> bool:
        """Answer whether the work is to be given up."""


@dataclass(frozen=True)
class Exchange:
    """The way of one piece of work to one registry."""

    connection: Connection
    stop: StopFlag | None = None
    tally: Tally | None = None

    def check_stop(self) -> None:
        """Raise Stopped when the stop flag is set."""
        if self.stop is not None and self.stop.is_set():
            raise Stopped

    def url_of(self, repository: str, rest: str) -> str:
        """Return the address of something inside a repository, such as ``manifests/latest``."""
        return self.connection.url_of(f"{repository}/{rest}")

    def send(self, request: Request, scope: Scope, *, accepted: Collection[int] = (200,)) -> Answer:
        """Send the request with authorisation; return an accepted answer, raise what any other one means."""
        answer = self.try_send(request, scope)
        if answer.status not in accepted:
            raise answer.refusal().error()
        return answer

    def try_send(self, request: Request, scope: Scope) -> Answer:
        """Send the request with authorisation and return the answer, whatever its status except for logging in.

        A token is taken just before every request and renewed once when it is refused, so that one that runs out in
        the middle of a long upload does no harm (moby #33558).
        """
        authenticator = self.connection.authenticator
        self.check_stop()
        authorization = authenticator.header(scope, tally=self.tally)
        answer = self._perform(request, authorization)
        for renewal in range(_RENEWALS + 1):
            if not authenticator.wants_more(answer):
                break
            self.check_stop()
            authorization = authenticator.renew(
                answer, scope, sent=authorization, is_retry=renewal > 0, tally=self.tally
            )
            answer = self._perform(request, authorization)
        self._note_warning(answer)
        return answer

    def require_push_right(self, repository: str, scope: Scope) -> None:
        """Raise DeniedError when the token says that pushing is not allowed: better now than after the bytes."""
        granted = self.connection.authenticator.granted_actions(scope, tally=self.tally)
        if granted is not None and not granted & {"push", "*"}:
            raise DeniedError(f"Pushing to {repository}: the account may not push there")

    def _perform(self, request: Request, authorization: str | None) -> Answer:
        """Send when the gate lets it pass; the answer holds on to the permit until it is closed."""
        if authorization is not None:
            request = replace(request, headers={**request.headers, "Authorization": authorization})
        lane = lane_of(request.method, request.url, streams_body=callable(request.body))
        work = self.tally.work if self.tally is not None else None
        try:
            permit = self.connection.gate.enter(lane, attempt=request.attempt, work=work, check_stop=self.check_stop)
        except RateLimitedError as error:
            error.registry_name = self.connection.settings.name
            raise
        try:
            answer = self._send_by(permit, request)
        except BaseException as error:
            if isinstance(error, NetworkTimeoutError):
                permit.miss()
            permit.leave()
            raise
        permit.hear(answer.status, answer.headers)
        answer.hold(permit)
        return answer

    def _send_by(self, permit: Permit, request: Request) -> Answer:
        """Send once more after a reset before any byte came back: idle connections are cut by load balancers."""
        if callable(request.body) and permit.block_bytes is not None:
            request = replace(request, body=partial(_open_paced, request.body, permit))
        try:
            return self.connection.perform(request, self.tally)
        except (RefusedError, TlsError, NetworkTimeoutError):
            raise
        except NetworkError:
            is_repeatable = request.method in _REPEATABLE or (
                request.method == "PUT" and isinstance(request.body, bytes)
            )
            if not is_repeatable:
                raise
            self.check_stop()
            self.count_retry()
            return self.connection.perform(request, self.tally)

    def count_retry(self) -> None:
        """Count something that is tried again at once."""
        if self.tally is not None:
            self.tally.count_retry()

    def _note_warning(self, answer: Answer) -> None:
        """Log each ``Warning: 299 - "text"`` once (OCI distribution-spec, "Warnings")."""
        warnings = self.connection.learned.warnings
        for text in answer.headers.getlist("Warning"):
            if text.startswith("299") and text not in warnings and len(warnings) < 100:
                warnings.add(text)
                logger.warning("registry.warning url=%s text=%r", self.connection.base_url, text[:300])


def _open_paced(open_body: Callable[[], Pieces], permit: Permit) -> Iterator[Piece]:
    return paced(open_body(), permit)
