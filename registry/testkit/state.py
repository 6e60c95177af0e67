"""One registry of the test kit apart from its server: options, content, faults, and what was asked of it."""

import secrets
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from registry.testkit.access import Access, AuthMode
from registry.testkit.content import Content
from registry.testkit.faults import FaultBook
from registry.testkit.messages import Request
from registry.testkit.notifications import Happening, Notifier
from registry.testkit.store import Store


@dataclass(kw_only=True)
class RegistryState:
    """Everything a registry can be told. Options can be changed while it runs (those of auth on `access`).

    - auth "basic" or "bearer" wants `username` and `password`; `grants` maps repository patterns to the actions that
      tokens really get; `anonymous_actions` is what nobody in particular may do; `refresh_token` offers OAuth 2.
    - `tag_delete`: DELETE by tag untags (distribution v3) instead of 405; `delete_enabled=False`: 405 for all.
    - `page_size` cuts every listing; `mount=False` answers every mount with a new session.
    - `accepts_any_digest`: content is stored under whatever digest it is said to have.
    - `discard_uploads` keeps digest and size of uploaded blobs only; `single_post` takes POST with digest and body.
    - `referrers` offers the referrers API; `strict_upload_state` see `uploads`.
    - `sparse_indexes` takes an index whose manifests are not all there (distribution v3, validation.manifests.indexes).
    - `notify_url`, `notify_headers`: where notifications go.
    - `certificate_path`, `key_path`: serve HTTPS; `path_prefix` ("/registry"): everything lies below it.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    auth: AuthMode = "none"
    token_seconds: int = 300
    grants: Mapping[str, Collection[str]] = field(default_factory=dict)
    anonymous_actions: Collection[str] = ()
    refresh_token: str = field(default="", repr=False)
    delete_enabled: bool = True
    tag_delete: bool = False
    page_size: int | None = None
    mount: bool = True
    single_post: bool = False
    referrers: bool = False
    sparse_indexes: bool = False
    accepts_any_digest: bool = False
    discard_uploads: bool = False
    strict_upload_state: bool = False
    notify_url: str = ""
    notify_headers: Mapping[str, str] = field(default_factory=dict)
    certificate_path: str = ""
    key_path: str = ""
    path_prefix: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        """Begin empty."""
        self.store = Store()
        self.faults = FaultBook()
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self.upload_key = secrets.token_bytes(16)
        self.access = Access(
            mode=self.auth,
            username=self.username,
            password=self.password,
            token_seconds=self.token_seconds,
            refresh_token=self.refresh_token,
            anonymous_actions=frozenset(self.anonymous_actions),
            grants=self.grants,
        )
        self._notifier: Notifier | None = None
        self._links: dict[str, tuple[Content, int]] = {}
        self._links_lock = threading.Lock()

    @property
    def url(self) -> str:
        """Give the registry's address; the port is known once it has started."""
        scheme = "https" if self.certificate_path else "http"
        return f"{scheme}://127.0.0.1:{self.port}{self.path_prefix}"

    def notify(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        """Send notifications there from now on; an empty address ends them."""
        if self._notifier is not None:
            self._notifier.stop()
        self._notifier = None
        self.notify_url, self.notify_headers = url, headers or {}
        if url:
            self._notifier = Notifier(url, self.notify_headers)
            self._notifier.start()

    def silence(self) -> None:
        """Stop the notifier and keep its address, as a registry that is stopped does."""
        if self._notifier is not None:
            self._notifier.stop()
            self._notifier = None

    def tell(self, happening: Happening) -> None:
        """Pass a happening on to whoever listens."""
        if self._notifier is not None:
            self._notifier.tell(happening)

    def wait_for_notifications(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until everything told so far was taken by the listener; False when the time is over."""
        return self._notifier is None or self._notifier.wait_until_sent(timeout_seconds)

    def make_storage_link(self, content: Content, uses: int) -> str:
        """Give the path of a link to a content that works `uses` times."""
        key = secrets.token_hex(16)
        with self._links_lock:
            self._links[key] = (content, uses)
        return f"/storage/{key}"

    def use_storage_link(self, key: str) -> Content | None:
        """Follow a link once; None when it is used up or unknown."""
        with self._links_lock:
            content, uses = self._links.pop(key, (None, 0))
            if content is None or uses <= 0:
                return None
            self._links[key] = (content, uses - 1)
        return content
