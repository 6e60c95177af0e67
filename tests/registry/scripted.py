"""A server that says what a test prepared, byte for byte."""

import socket
import threading
from contextlib import contextmanager

from registry.wire import Timeouts, Way, Wire

QUICK = Timeouts(connect_seconds=2, first_byte_seconds=2, stall_seconds=2)
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class ScriptedServer:
    """Answers what comes on each connection with the next prepared bytes, and keeps what it was sent."""

    def __init__(self, *answers, context=None, closes_after=None) -> None:
        self._answers = list(answers)
        self._context = context
        self._closes_after = closes_after
        self.received = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            while self._answers:
                request = read_request(connection)
                if request is None:
                    return
                self.received.append(request)
                connection.sendall(self._answers.pop(0))
                if self._closes_after is not None and len(self.received) >= self._closes_after:
                    return

    def close(self):
        self._listener.close()


def read_request(connection):
    """Read a head and the body that it announces; None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def wire_of(way=None):
    wire = Wire(way or Way(timeouts=QUICK))
    try:
        yield wire
    finally:
        wire.close()
