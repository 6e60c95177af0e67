"""HTTP/1.1 as it comes: what is sent, how answers are read, and which sockets serve again."""

import gzip
import http.client
import socket
import threading

import pytest

from registry.wire import BLOCK_BYTES
from tests.registry.scripted import EMPTY


def body_of(reply, *, is_decoded=False, block_bytes=BLOCK_BYTES):
    try:
        return b"".join(reply.pieces(block_bytes, is_decoded=is_decoded))
    finally:
        reply.release()


def get(wire, server, path="/v2/", **headers):
    return wire.send("GET", f"{server.url}{path}", headers)


def test_a_request_is_sent_as_it_was_asked_for(serve, wire):
    server = serve(EMPTY)

    get(wire, server, "/v2/a/manifests/1?_state=a%2Fb==", Accept="x").release()

    assert server.received == [
        f"GET /v2/a/manifests/1?_state=a%2Fb== HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAccept: x\r\n\r\n".encode()
    ]


@pytest.mark.parametrize(
    ("method", "body", "sent"),
    [("POST", None, b"Content-Length: 0\r\n\r\n"), ("PUT", b"abc", b"Content-Length: 3\r\n\r\nabc")],
)
def test_a_body_has_a_length_even_when_it_is_none(serve, wire, method, body, sent):
    server = serve(EMPTY)

    wire.send(method, f"{server.url}/", {}, body).release()

    assert server.received[0].endswith(sent)


def test_a_body_in_pieces_arrives_whole(serve, wire):
    pieces = [b"a" * 10, b"b" * 200_000, b"c" * 30]
    server = serve(EMPTY)

    wire.send("PUT", f"{server.url}/", {"Content-Length": "200040"}, iter(pieces)).release()

    assert server.received[0].partition(b"\r\n\r\n")[2] == b"".join(pieces)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb"])
def test_a_line_break_never_gets_into_a_head(serve, wire, value):
    server = serve(EMPTY)

    with pytest.raises(ValueError, match="line break"):
        get(wire, server, Accept=value)
    assert server.received == []


@pytest.mark.parametrize("url", ["ftp://a/", "registry.test/v2/", "http://", "http://a:port/"])
def test_what_is_no_address_is_said(wire, url):
    with pytest.raises(ValueError, match=r"address|Port|port"):
        wire.send("GET", url, {})


def test_headers_are_found_in_any_case_and_as_often_as_they_come(serve, wire):
    head = b'link: <a>; rel="next"\r\nLINK: <b>\r\nX-Folded: one\r\n  two\r\nNo-Value:\r\nWithout-Colon\r\n'
    reply = get(wire, serve(b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n"))

    assert reply.headers.getlist("Link") == ['<a>; rel="next"', "<b>"]
    assert (reply.headers["x-folded"], reply.headers["no-value"]) == ("one two", "")
    assert "link" in reply.headers
    assert reply.headers.get("ETag") is None
    reply.release()


def test_interim_answers_are_passed_over(serve, wire):
    server = serve(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"
    )

    reply = get(wire, server)

    assert (reply.status, reply.headers.getlist("Link"), body_of(reply)) == (201, [], b"ok")


def test_a_chunked_body_is_put_together_and_its_socket_serves_again(serve, wire):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
    server = serve(chunked, EMPTY)

    assert body_of(get(wire, server)) == b"abcde"
    get(wire, server).release()
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"abc" * 100, mtime=0)[:-9],
    ],
    ids=["length", "chunk", "last chunk", "gzip"],
)
def test_a_body_that_ends_too_early_is_no_body(serve, wire, answer):
    reply = get(wire, serve(answer, closes_after=1))

    with pytest.raises(http.client.IncompleteRead):
        body_of(reply, is_decoded=True)


def test_without_a_length_the_body_goes_on_until_the_connection_ends(serve, wire):
    server = serve(b"HTTP/1.1 200 OK\r\n\r\nabc", closes_after=1)

    assert body_of(get(wire, server)) == b"abc"


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"]
)
def test_what_has_no_body_is_not_waited_for(serve, wire, answer):
    server = serve(answer, EMPTY)

    reply = wire.send("HEAD", f"{server.url}/", {})
    assert body_of(reply) == b""
    get(wire, server).release()

    assert server.connections == 1


@pytest.mark.parametrize(
    ("head", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 2),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 1),
        (EMPTY, 1),
    ],
)
def test_a_socket_serves_again_unless_it_is_to_be_closed(serve, wire, head, connections):
    server = serve(head, EMPTY)

    get(wire, server).release()
    get(wire, server).release()

    assert server.connections == connections


def test_a_half_read_body_takes_its_socket_along(serve, wire):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", EMPTY)

    reply = get(wire, server)
    assert reply.read1(2) == b"ab"
    reply.release()
    reply.release()
    get(wire, server).release()

    assert server.connections == 2


def test_an_idle_socket_that_the_registry_closed_is_not_used(serve, wire):
    server = serve(EMPTY, EMPTY, closes_after=1)

    get(wire, server).release()
    channel = wire._idle[next(iter(wire._idle))][0]
    while channel.is_alive():  # until the end of the connection has arrived
        pass
    get(wire, server).release()

    assert server.connections == 2


def test_what_comes_back_after_closing_is_closed(serve, wire):
    reply = get(wire, serve(EMPTY))
    wire.close()
    reply.release()

    assert wire._idle == {}


def test_sockets_of_many_origins_do_not_pile_up(serve, wire):
    servers = [serve(EMPTY) for _ in range(20)]
    for server in servers:
        get(wire, server).release()

    assert sum(map(len, wire._idle.values())) <= 16


def test_a_reading_thread_is_woken(serve, wire):
    reply = get(wire, serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b""))
    assert reply.read1() == b"ab"
    threading.Timer(0.1, reply.interrupt).start()

    with pytest.raises(http.client.IncompleteRead):
        reply.read1()
    reply.release()
    reply.interrupt()


def test_a_small_piece_that_unpacks_to_much_is_given_in_blocks(serve, wire):
    packed = gzip.compress(bytes(5_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()

    reply = get(wire, serve(head + packed))
    pieces = list(reply.pieces(100_000, is_decoded=True))
    reply.release()

    assert sum(map(len, pieces)) == 5_000_000
    assert max(map(len, pieces)) <= 100_000


def test_several_gzip_members_are_one_body(serve, wire):
    packed = gzip.compress(b"one") + gzip.compress(b"two")
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()

    assert body_of(get(wire, serve(head + packed)), is_decoded=True) == b"onetwo"


def test_an_answer_before_the_end_of_the_body_is_heard(serve, wire):
    refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse():
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(refusal)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass
        connection.close()

    threading.Thread(target=refuse, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    blocks = [bytes(BLOCK_BYTES)] * 3

    reply = wire.send("PUT", url, {"Content-Length": str(3 * BLOCK_BYTES)}, iter(blocks))

    assert reply.status == 413
    reply.release()
    listener.close()


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 many\r\n\r\n"])
def test_what_is_not_http_is_said(serve, wire, answer):
    with pytest.raises(http.client.HTTPException):
        get(wire, serve(answer))


def test_a_head_without_end_is_not_read_for_ever(serve, wire):
    with pytest.raises(http.client.HTTPException, match="headers"):
        get(wire, serve(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000))
    with pytest.raises(http.client.LineTooLong):
        get(wire, serve(b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000))
