"""The HTTP/1.1 side of the test kit's registry: threads, keep-alive, and the faults of connections and bodies."""

import logging
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from registry.testkit.exchange import ConnectionCutError, Exchange, RequestBody
from registry.testkit.faults import CARRIED_OUT, Fault
from registry.testkit.messages import Request, Response
from registry.testkit.routes import answer
from registry.testkit.state import RegistryState

DRIP_BYTES = 1024
BODILESS = frozenset({204, 304})

logger = logging.getLogger(__name__)


class RegistryServer(ThreadingHTTPServer):
    """A threaded server that can cut its connections when it stops, as a killed registry would."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, state: RegistryState) -> None:
        self.state = state
        self._open: set[socket.socket] = set()
        self.connections_taken = 0
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", state.port), RegistryHandler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; with TLS the handshake follows in the connection's own thread."""
        connection, address = super().get_request()
        if self.state.certificate_path:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.state.certificate_path, self.state.key_path)
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._open_lock:
            self._open.add(connection)
            self.connections_taken += 1
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that ends by itself."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """End every connection, whatever it is doing."""
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                logger.debug("connection=already_closed")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep broken connections out of the test's output; they are what the kit is for."""
        logger.debug("connection=broken client=%s", client_address, exc_info=True)


class RegistryHandler(BaseHTTPRequestHandler):
    """One connection."""

    server: RegistryServer
    protocol_version = "HTTP/1.1"
    server_version = "MemoryRegistry"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def _serve(self) -> None:
        state = self.server.state
        # Repeated fields are one list (RFC 9110 §5.3); skopeo sends one Accept line per type.
        headers = {name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        path, _, query = self.path.partition("?")
        request = Request(self.command, path, query, headers)
        length = int(headers.get("content-length", 0))
        fault = state.faults.take(self.command, self.path, length)
        is_chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        body = RequestBody(self.rfile, length, is_chunked, _upload_cut(fault, length, is_chunked))
        try:
            if fault and fault.action == "close":
                raise ConnectionCutError(reset=False)
            if fault and fault.action == "stall" and not fault.after_bytes:
                state.stopping.wait(fault.seconds)
            response = answer(Exchange(state, request, body), fault)
            body.drain()
        except ConnectionCutError as cut:
            state.requests.append(replace(request, body_bytes=body.received_bytes))
            self._cut(reset=cut.reset)
            return
        if fault and response.status == 401 and fault.action in CARRIED_OUT:
            state.faults.give_back(fault)
            fault = None
        # Recorded before it is sent: whoever has the answer finds the request in the list.
        state.requests.append(replace(request, status=response.status, body_bytes=body.received_bytes))
        self._send(response, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 (http.server's names)

    def _send(self, response: Response, fault: Fault | None) -> None:
        self.send_response(response.status)
        headers = {"Docker-Distribution-Api-Version": "registry/2.0", **response.headers}
        if response.status not in BODILESS:
            headers.setdefault("Content-Length", str(response.content.size_bytes))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" or response.status in BODILESS:
            return
        for block in _spoil(response.content.read(), fault):
            if block is None:
                self.wfile.flush()
                self.server.state.stopping.wait(fault.seconds if fault else 0)
            else:
                self.wfile.write(block)
        if fault and fault.action in ("truncate", "reset_after_bytes"):
            self._cut(reset=fault.action == "reset_after_bytes")

    def _cut(self, *, reset: bool) -> None:
        self.close_connection = True
        self.wfile.flush()
        if reset:
            # SO_LINGER with zero seconds makes close() send RST (socket(7)).
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Log at debug level instead of to stderr."""
        logger.debug(format, *args)


def _upload_cut(fault: Fault | None, length: int, is_chunked: bool) -> int | None:
    if fault and fault.action == "reset_after_bytes" and (length or is_chunked):
        return fault.after_bytes
    return None


def _spoil(blocks: Iterator[bytes], fault: Fault | None) -> Iterator[bytes | None]:
    """Give the blocks to send as the fault wants them; None stands for a pause."""
    if fault is None or fault.action not in ("truncate", "reset_after_bytes", "corrupt", "drip", "stall"):
        yield from blocks
        return
    position = 0
    for block in blocks:
        cut = min(max(fault.after_bytes - position, 0), len(block))
        before, after = block[:cut], block[cut:]
        is_here = position <= fault.after_bytes < position + len(block)
        position += len(block)
        yield before
        if fault.action in ("truncate", "reset_after_bytes"):
            if is_here:
                return
        elif fault.action == "corrupt" and is_here:
            yield bytes([after[0] ^ 0xFF]) + after[1:]
        elif fault.action == "drip":
            yield from _drip(after)
        elif fault.action == "stall" and is_here and fault.after_bytes:
            yield None
            yield after
        else:
            yield after


def _drip(block: bytes) -> Iterator[bytes | None]:
    for start in range(0, len(block), DRIP_BYTES):
        yield None
        yield block[start : start + DRIP_BYTES]
