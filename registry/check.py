"""Finding out, step by step, whether and how well a registry can be used.

    dns → tcp → tls → registry → auth → catalogue → push

Each step says what works or why not; after the first that fails the others are skipped. Nothing is written: the
right to push is read from the token, or found out by opening an upload and cancelling it, and only in a repository
that was named for it.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from registry.challenge import parse_challenges
from registry.client import RegistryClient
from registry.client.exchange import Exchange
from registry.client.listings import iterate_repositories
from registry.client.sessions import open_session
from registry.connection import Connection, RegistrySettings
from registry.errors import (
    AuthError,
    DeniedError,
    NotFoundError,
    ProtocolError,
    RegistryError,
    UnsupportedError,
)
from registry.transport import network_error

StepName = Literal["dns", "tcp", "tls", "registry", "auth", "catalogue", "push"]
StepStatus = Literal["ok", "failed", "skipped", "warning"]
STEP_NAMES: tuple[StepName, ...] = ("dns", "tcp", "tls", "registry", "auth", "catalogue", "push")


@dataclass(frozen=True)
class CheckStep:
    """One step's outcome. ``code`` is that of the error, empty when there was none."""

    name: StepName
    status: StepStatus
    message: str
    code: str = ""


def check_connection(settings: RegistrySettings, *, push_repository: str = "") -> Iterator[CheckStep]:
    """Yield the seven steps in order, each as soon as it is known.

    ``push_repository``: where an upload may be opened and cancelled to learn whether we may push. Raise nothing.
    """
    try:
        connection = Connection(settings)
        check = _Check(connection, push_repository)
        check.connection.tls_context()
    except (ValueError, RegistryError) as error:
        code = error.code if isinstance(error, RegistryError) else "invalid_url"
        yield CheckStep("dns", "failed", str(error), code)
        yield from _skipped(STEP_NAMES[1:])
        return
    with closing(connection):
        for position, name in enumerate(STEP_NAMES):
            step = check.step(name)
            yield step
            if step.status == "failed":
                yield from _skipped(STEP_NAMES[position + 1 :])
                return


def _skipped(names: tuple[StepName, ...]) -> Iterator[CheckStep]:
    for name in names:
        yield CheckStep(name, "skipped", "Not tried, because an earlier step failed")


@dataclass
class _Check:
    """One run of the steps."""

    connection: Connection
    push_repository: str
    _wants_login: bool = field(default=False, init=False)
    _wants_password: bool = field(default=False, init=False)

    @property
    def _exchange(self) -> Exchange:
        return Exchange(self.connection)

    @property
    def _target(self) -> SplitResult:
        """The address that sockets are opened to: the proxy's, where there is one."""
        return urlsplit(self.connection.settings.proxy_url or self.connection.base_url)

    @property
    def _address(self) -> tuple[str, int]:
        target = self._target
        return target.hostname or "", target.port or (443 if target.scheme == "https" else 80)

    def step(self, name: StepName) -> CheckStep:
        """Carry out one step."""
        steps: dict[StepName, Callable[[], CheckStep]] = {
            "dns": self._dns,
            "tcp": self._tcp,
            "tls": self._tls,
            "registry": self._registry,
            "auth": self._auth,
            "catalogue": self._catalogue,
            "push": self._push,
        }
        try:
            return steps[name]()
        except RegistryError as error:
            return CheckStep(name, "failed", error.message, error.code)
        except (OSError, ValueError) as error:
            found = network_error(f"Reaching {self._address[0]}", error)
            return CheckStep(name, "failed", found.message, found.code)

    def _dns(self) -> CheckStep:
        host, port = self._address
        try:
            ipaddress.ip_address(host)
        except ValueError:
            found = sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
            return CheckStep("dns", "ok", f"{host} is {', '.join(found)}")
        return CheckStep("dns", "ok", f"{host} is an address already")

    def _tcp(self) -> CheckStep:
        host, port = self._address
        with socket.create_connection((host, port), self.connection.settings.timeouts.connect_seconds):
            through = "the proxy " if self.connection.settings.proxy_url else ""
            return CheckStep("tcp", "ok", f"Connected to {through}{host} on port {port}")

    def _tls(self) -> CheckStep:
        settings = self.connection.settings
        is_plain = self.connection.base_url.startswith("http://")
        if is_plain and settings.username and not _is_loopback(urlsplit(self.connection.base_url).hostname or ""):
            return CheckStep("tls", "warning", "Plain http: the password travels unencrypted", "plain_http")
        if is_plain:
            return CheckStep("tls", "skipped", "Plain http")
        if settings.proxy_url:
            return CheckStep("tls", "skipped", "Tried with the next step, through the proxy")
        version = self._handshake()
        if not settings.verify_tls:
            return CheckStep("tls", "warning", f"{version}; the certificate is not verified", "unverified_tls")
        return CheckStep("tls", "ok", f"{version}; the certificate is accepted")

    def _handshake(self) -> str:
        host, port = self._address
        context: ssl.SSLContext = self.connection.tls_context()
        with (
            socket.create_connection((host, port), self.connection.settings.timeouts.connect_seconds) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            return encrypted.version() or "TLS"

    def _registry(self) -> CheckStep:
        """Ask ``/v2/`` as nobody: a registry answers 200 or 401, a web server a page."""
        answer = self.connection.probe()
        refusal = answer.refusal()
        if refusal.is_web_page:
            raise ProtocolError(f"A web page answers at {answer.url}, not a registry (HTTP {answer.status})")
        if answer.status == 404:
            raise NotFoundError(f"There is no registry at {self.connection.base_url}: /v2/ is not found")
        if answer.status not in (200, 401, 403):
            raise refusal.error()
        self._wants_login = answer.status != 200
        schemes = {challenge.scheme for challenge in parse_challenges(answer.headers.getlist("WWW-Authenticate"))}
        self._wants_password = self._wants_login and schemes == {"basic"}
        return CheckStep("registry", "ok", "A registry answers")

    def _auth(self) -> CheckStep:
        username = self.connection.settings.username
        if not self._wants_login:
            message = "The registry asks nobody to log in" + (", so the user name was not tried" if username else "")
            return CheckStep("auth", "ok", message)
        try:
            RegistryClient(self.connection).ping()
        except (AuthError, DeniedError) as error:
            if username:
                raise
            if self._wants_password:  # with HTTP Basic nothing is public; a token server gives tokens to nobody too
                raise AuthError("The registry asks for a user name and password, and none is set") from error
            message = "No user name is set: only what is public can be read"
            return CheckStep("auth", "warning", message, error.code)
        return CheckStep("auth", "ok", f"Logged in as {username}" if username else "Anonymous access is allowed")

    def _catalogue(self) -> CheckStep:
        try:
            first = next(iterate_repositories(self._exchange, page_size=1), None)
        except (AuthError, DeniedError, UnsupportedError, ProtocolError) as error:
            message = f"{error.message}. Rules need full repository names or a vendor's own API"
            return CheckStep("catalogue", "warning", message, error.code)
        return CheckStep("catalogue", "ok", "The catalogue can be read" + ("" if first else "; it is empty"))

    def _push(self) -> CheckStep:
        if not self.push_repository:
            return CheckStep("push", "skipped", "Shown by the first copy: asking would mean to write")
        name = self.connection.repository_path(self.push_repository)
        try:
            open_session(self._exchange, name).cancel()
        except (AuthError, DeniedError) as error:
            return CheckStep("push", "warning", f"Pushing to {name} is not allowed", error.code)
        return CheckStep("push", "ok", f"Pushing to {name} is allowed")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
