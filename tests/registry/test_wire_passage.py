"""Bodies that pass from one socket to another within the kernel."""

import http.client
import os
import socket
import threading
from contextlib import suppress

import pytest

from registry.wire import BLOCK_BYTES, Passage, Timeouts, Way
from registry.wire.passage import Pipe
from tests.registry.scripted import EMPTY, wire_of

CONTENT = os.urandom(5_000_000)


def whole(content=CONTENT):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def put(wire, server, pieces, size_bytes):
    wire.send("PUT", f"{server.url}/", {"Content-Length": str(size_bytes)}, pieces).release()
    return server.received[-1].partition(b"\r\n\r\n")[2]


def fetch(reply):
    return b"".join(piece[:10] + piece[10:] for piece in reply.passages(BLOCK_BYTES))


def test_a_body_arrives_as_it_came_and_both_sockets_serve_again(serve, wire):
    source, target = serve(whole(), EMPTY), serve(EMPTY, EMPTY)
    reply = wire.send("GET", f"{source.url}/", {})
    seen = []

    def pieces():
        for piece in reply.passages(BLOCK_BYTES):
            seen.append(type(piece))
            yield piece

    assert put(wire, target, pieces(), len(CONTENT)) == CONTENT
    reply.release()
    wire.send("GET", f"{source.url}/", {}).release()
    wire.send("GET", f"{target.url}/", {}).release()

    assert Passage in seen
    assert (source.connections, target.connections) == (1, 1)


def test_what_is_looked_at_is_fetched(serve, wire):
    reply = wire.send("GET", f"{serve(whole()).url}/", {})

    assert fetch(reply) == CONTENT
    reply.release()


def test_a_piece_that_nobody_wants_does_not_go_out_in_the_place_of_the_next(serve, wire):
    source, target = serve(whole()), serve(EMPTY)
    reply = wire.send("GET", f"{source.url}/", {})
    passages = reply.passages(BLOCK_BYTES)
    left_out = len(next(passages)) + len(next(passages)) + len(next(passages))

    assert put(wire, target, passages, len(CONTENT) - left_out) == CONTENT[left_out:]
    reply.release()


def test_what_is_chunked_or_encrypted_comes_in_bytes(serve, wire):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    reply = wire.send("GET", f"{serve(chunked).url}/", {})

    assert list(reply.passages(BLOCK_BYTES)) == [b"abc"]
    reply.release()


def test_a_body_that_ends_too_early_is_no_body(serve, wire):
    reply = wire.send("GET", f"{serve(whole()[:-10], closes_after=1).url}/", {})

    with pytest.raises(http.client.IncompleteRead):
        fetch(reply)
    reply.release()


def test_a_source_that_stalls_is_not_waited_for_for_ever(serve):
    silent = serve(whole(b"x" * 100_000)[:-10], EMPTY)
    with wire_of(Way(timeouts=Timeouts(connect_seconds=2, first_byte_seconds=2, stall_seconds=0.2))) as wire:
        reply = wire.send("GET", f"{silent.url}/", {})

        with pytest.raises(TimeoutError):
            fetch(reply)
        reply.release()


def test_a_target_that_does_not_read_is_not_waited_for_for_ever():
    ours, theirs = socket.socketpair()
    source, feeder = socket.socketpair()
    ours.settimeout(0.2)
    threading.Thread(target=feed, args=(feeder,), daemon=True).start()
    pipe = Pipe()

    with pytest.raises(TimeoutError):
        pour(pipe, source, ours)

    pipe.close()
    for each in (ours, theirs, source, feeder):
        each.close()


def feed(feeder):
    with suppress(OSError):  # the test ends before all of it is taken
        feeder.sendall(CONTENT)


def pour(pipe, source, target):
    while passage := pipe.fill(source, BLOCK_BYTES):
        passage.send_by(target)
