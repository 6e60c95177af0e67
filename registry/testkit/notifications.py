"""Notifications as Docker's distribution sends them: in order, from memory, again until somebody takes them.

Envelope and fields: distribution documentation, "Work with notifications"; `notifications/event.go` of its source.
"""

import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from registry.testkit.messages import Request

MEDIA_TYPE = "application/vnd.docker.distribution.events.v2+json"
TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 0.2

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Happening:
    """What happened to a target (`{"repository": …, "digest": …, "tag": …}`), and the request that caused it."""

    action: str
    target: Mapping[str, Any]
    request: Request
    username: str = ""
    registry_host: str = ""

    def envelope(self) -> dict[str, Any]:
        """Write it as an envelope with one event, as distribution does in practice."""
        event = {
            "id": str(uuid.uuid4()),
            "timestamp": datetime.now(UTC).isoformat(),
            "action": self.action,
            "target": dict(self.target),
            "request": {
                "id": str(uuid.uuid4()),
                "addr": "127.0.0.1:0",
                "host": self.registry_host,
                "method": self.request.method,
                "useragent": self.request.headers.get("user-agent", ""),
            },
            "actor": {"name": self.username} if self.username else {},
            "source": {"addr": self.registry_host, "instanceID": "memory-registry"},
        }
        return {"events": [event]}


@dataclass
class Notifier:
    """Sends envelopes from a thread of its own; what is not sent when it stops is lost, as in distribution."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare the queue; nothing runs before `start`."""
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="memory-registry-notifier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop at once and forget what waits."""
        self._stopped.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(TIMEOUT_SECONDS + 1)
            self._thread = None
        self._queue = queue.Queue()

    def tell(self, happening: Happening) -> None:
        """Queue a happening."""
        self._queue.put(happening.envelope())

    def wait_until_sent(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until the queue is empty and the last envelope was taken."""
        deadline = time.monotonic() + timeout_seconds
        while self._queue.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self._queue.unfinished_tasks

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._stopped.is_set():
                envelope = self._queue.get()
                if envelope is None:
                    return
                while not self._send(session, envelope) and not self._stopped.wait(RETRY_SECONDS):
                    pass
                self._queue.task_done()

    def _send(self, session: requests.Session, envelope: dict[str, Any]) -> bool:
        try:
            response = session.post(
                self.url,
                data=json.dumps(envelope),
                headers={"Content-Type": MEDIA_TYPE, **self.headers},
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            logger.warning("notification=failed error=%s", type(error).__name__)
            return False
        return response.status_code < 400
