"""Bytes that pass from one socket to another without leaving the kernel (splice(2), Linux).

For plain HTTP on both sides, where nobody here has to look at them: no copy into the process and none out of it, which
are the rest of the CPU time of a blob once its hash is left to the target.
"""

import fcntl
import os
import select
import socket

CAN_SPLICE = hasattr(os, "splice")
_PIPE_BYTES = 1 << 20
_FLAGS = 1 | 2  # SPLICE_F_MOVE, SPLICE_F_NONBLOCK (linux/splice.h): the pipe does not block, the sockets never do


class Pipe:
    """The kernel's buffer between two sockets. For one thread."""

    def __init__(self) -> None:
        self._taken: Passage | None = None
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.fcntl(self._write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            return  # more than this user may have: 64 KiB at a time do as well

    def fill(self, source: socket.socket, at_most_bytes: int) -> "Passage | None":
        """Take what has arrived; wait for it as long as the socket's time-out allows. None at the end. Raises OSError.

        What was taken before and neither sent nor fetched is fetched first: else it would go out in the place of this.
        """
        if self._taken is not None:
            self._taken.fetch()
        while True:
            try:
                size_bytes = os.splice(source.fileno(), self._write_end, at_most_bytes, flags=_FLAGS)
            except BlockingIOError:
                _wait_for(source, select.POLLIN)
            else:
                self._taken = Passage(self, size_bytes) if size_bytes else None
                return self._taken

    def pour(self, target: socket.socket, size_bytes: int) -> None:
        """Send so much of what was taken. Raises OSError."""
        while size_bytes:
            try:
                size_bytes -= os.splice(self._read_end, target.fileno(), size_bytes, flags=_FLAGS)
            except BlockingIOError:
                _wait_for(target, select.POLLOUT)

    def read(self, size_bytes: int) -> bytes:
        """Fetch so much of what was taken into the process after all."""
        pieces = []
        while size_bytes:
            piece = os.read(self._read_end, size_bytes)
            pieces.append(piece)
            size_bytes -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Drop it, and what is in it."""
        os.close(self._read_end)
        os.close(self._write_end)


class Passage:
    """A piece of a body that lies in a pipe. It has the length and the slices of bytes, but being sliced fetches it."""

    def __init__(self, pipe: Pipe, size_bytes: int) -> None:
        self._pipe = pipe
        self._size_bytes = size_bytes
        self._is_sent = False
        self._fetched: bytes | None = None

    def __len__(self) -> int:
        return self._size_bytes

    def __getitem__(self, part: slice) -> bytes:
        return self.fetch()[part]

    def fetch(self) -> bytes:
        """Return the bytes, in the process after all; nothing once they were sent."""
        if self._fetched is None:
            self._fetched = b"" if self._is_sent else self._pipe.read(self._size_bytes)
        return self._fetched

    def send_by(self, target: socket.socket) -> None:
        """Send it, from the kernel where it still is there and no TLS is spoken. Raises OSError."""
        if self._fetched is None and is_plain(target):
            self._is_sent = True
            self._pipe.pour(target, self._size_bytes)
        else:
            target.sendall(self.fetch())


Piece = bytes | Passage
"""Part of a body: in the process, or in the kernel."""


def is_plain(connected: socket.socket) -> bool:
    """Answer whether what is read from the descriptor is what the other side has sent."""
    return CAN_SPLICE and type(connected) is socket.socket


def _wait_for(waiting: socket.socket, event: int) -> None:
    """Wait until the socket is ready. Raise TimeoutError after its time-out."""
    timeout_seconds = waiting.gettimeout()
    poll = select.poll()
    poll.register(waiting, event)
    if not poll.poll(None if timeout_seconds is None else timeout_seconds * 1000):
        raise TimeoutError("timed out")
