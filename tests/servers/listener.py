"""Somebody who listens for registry notifications."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Listener(ThreadingHTTPServer):
    """Takes notification envelopes; answers 503 as often as `refusals` says."""

    def __init__(self) -> None:
        self.refusals = 0
        self.received: list[tuple[dict[str, str], dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        """Give the address to notify."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    @property
    def events(self) -> list[dict[str, Any]]:
        """Give the events of every envelope taken."""
        return [event for _, envelope in self.received for event in envelope["events"]]


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_response(503)
        else:
            self.server.received.append((dict(self.headers), json.loads(body)))
            self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass
