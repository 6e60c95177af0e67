"""The long-lived side of talking to one registry: sockets, TLS, challenge, tokens, and what was learned about it."""

import os
import ssl
import threading
import weakref
from dataclasses import dataclass, field

from registry.authentication import Authenticator, Credentials
from registry.errors import ProtocolError
from registry.gate import Gate, Lane, OpenGate
from registry.locks import PROCESS_LOCKS, Locks
from registry.reference import canonical_registry_url, hub_repository, is_docker_hub, normalise_registry_url
from registry.tally import Tally
from registry.tokens import TokenRequester
from registry.transport import Answer, Request, perform
from registry.wire import CAN_SPLICE, Proxy, Timeouts, Way, Wire, make_tls_context

__all__ = ["Connection", "Denial", "Learned", "RegistrySettings", "Tally", "Timeouts"]


@dataclass(frozen=True)
class RegistrySettings:
    """All there is to know for reaching a registry. ``repr()`` shows no secret."""

    url: str
    kind: str = "docker-registry"
    username: str = ""
    password: str = field(default="", repr=False)
    verify_tls: bool = True
    ca_certificate: str = field(default="", repr=False)
    proxy_url: str = field(default="", repr=False)
    user_agent: str = "HarborSync"
    name: str = ""
    """What people call it: errors carry it, so that somebody who reads of two registries knows which one is meant."""
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True)
class Denial:
    """What the registry said when it denied something, and when (``time.monotonic``)."""

    message: str
    at: float


@dataclass
class Learned:
    """What the registry's answers taught us. Plain attributes: a lost update costs one request."""

    tag_delete: bool | None = None
    """Whether a manifest can be deleted by its tag without taking the other tags along."""
    head_names_digest: bool = True
    """Whether HEAD on a manifest gives type, size and digest; where not, GET is used at once."""
    sends_links: bool = False
    """A page of a list said by ``Link`` where the next one is; so a page that does not is the last."""
    chunk_limit_bytes: int | None = None
    """The largest chunk that was not refused as too large."""
    sparse_index: bool | None = None
    """Whether it takes an index whose manifests are not all there."""
    referrers_api: bool | None = None
    """Whether the registry lists referrers itself; where not, clients keep them under a fallback tag."""
    referrers_denial: Denial | None = None
    """The last refusal to list referrers for lack of rights: these change, so it is asked again some time."""
    acknowledges_subject: bool | None = None
    """Whether the answer to a pushed referrer named its subject (``OCI-Subject``): then no fallback tag is needed."""
    verifies_uploads: bool | None = None
    """Whether it refuses content that is not that of its digest: it was put to the test (``client/proving.py``)."""
    verification_denial: Denial | None = None
    """What came back the last time that this could not be found out."""
    warnings: set[str] = field(default_factory=set)
    """Texts of ``Warning: 299`` headers, each logged once."""


class Connection:
    """Sockets and memory for one registry. Make one, keep it, share it between threads.

    Raise ValueError when the address is none, TlsError when the CA certificate is unreadable.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self.settings = settings
        self.base_url = canonical_registry_url(normalise_registry_url(settings.url))
        self.learned = Learned()
        self.gate: Gate = OpenGate()
        """Asked before each request; whoever keeps limits puts another one here."""
        self.locks: Locks = PROCESS_LOCKS
        """For changes that need reading first; whoever has several processes puts others here."""
        self._is_hub = is_docker_hub(self.base_url)
        self._tls_context: ssl.SSLContext | None = None
        self._wire: Wire | None = None
        self._wire_lock = threading.Lock()
        credentials = Credentials(settings.username, settings.password)
        requester = TokenRequester(
            username=settings.username,
            password=settings.password,
            basic_header=credentials.basic_header,
            client_id=settings.user_agent.partition("/")[0],
            perform=self._perform_for_token,
        )
        self.authenticator = Authenticator(credentials, requester, probe=self.probe)
        _living.add(self)

    @property
    def is_plain(self) -> bool:
        """Answer whether bytes from here and to here may stay in the kernel: there is no TLS."""
        return CAN_SPLICE and self.base_url.startswith("http:")

    def url_of(self, path: str) -> str:
        """Return the address of a path below ``/v2/``."""
        return f"{self.base_url}/v2/{path}"

    def repository_path(self, repository: str) -> str:
        """Return the name as this registry knows it (Docker Hub: ``alpine`` is ``library/alpine``)."""
        return hub_repository(repository) if self._is_hub else repository

    def perform(self, request: Request, tally: Tally | None = None) -> Answer:
        """Send one request as it is, without authorisation of our own."""
        headers = {"User-Agent": self.settings.user_agent, **request.headers}
        whole = Request(
            request.method, request.url, request.attempt, headers, request.body, stays_on_host=request.stays_on_host
        )
        answer = perform(self._living_wire(), whole, tally=tally)
        answer.registry_name = self.settings.name
        return answer

    def _perform_for_token(self, request: Request, tally: Tally | None = None) -> Answer:
        """Send a request to a token server, which may have asked for patience."""
        permit = self.gate.enter(Lane.TOKENS, attempt=request.attempt, work=tally, check_stop=_go_on)
        answer = self.perform(request, tally)
        permit.hear(answer.status, answer.headers)
        return answer

    def probe(self, tally: Tally | None = None) -> Answer:
        """Ask ``/v2/`` as nobody, as the OCI distribution-spec's "Determining Support" has it."""
        return self.perform(Request("GET", self.url_of(""), f"Asking {self.base_url} whether it is a registry"), tally)

    def tls_context(self) -> ssl.SSLContext:
        """Return the TLS context, made once, when TLS is spoken for the first time."""
        if self._tls_context is None:
            settings = self.settings
            self._tls_context = make_tls_context(verify=settings.verify_tls, ca_certificate=settings.ca_certificate)
        return self._tls_context

    def close(self) -> None:
        """Close the idle sockets; the next request opens new ones."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def forget_sockets(self) -> None:
        """In a forked child: leave the parent's sockets and locks alone and make our own."""
        self._wire = None
        self._wire_lock = threading.Lock()
        self.authenticator.reset_locks()

    def _living_wire(self) -> Wire:
        wire = self._wire
        if wire is not None:
            return wire
        with self._wire_lock:
            if self._wire is None:
                self._wire = Wire(Way(self.tls_context, self.settings.timeouts, self._proxy()))
            return self._wire

    def _proxy(self) -> Proxy | None:
        if not self.settings.proxy_url:
            return None
        try:
            return Proxy.parse(self.settings.proxy_url)
        except ValueError as error:
            raise ProtocolError("The proxy's URL is not valid") from error


def _go_on() -> None:
    """No stop flag is at hand where tokens are asked for; the request that wants one looks at it soon."""


_living: "weakref.WeakSet[Connection]" = weakref.WeakSet()


def _forget_all_sockets() -> None:
    for connection in list(_living):
        connection.forget_sockets()


# Celery's prefork workers: two processes that write to one socket would mix their requests.
os.register_at_fork(after_in_child=_forget_all_sockets)
