"""Refusals that break the rules of HTTP: what they mean must not be lost in how they are written."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from registry import RateLimitedError

# Docker Hub's own limit of requests per address (docker/hub-feedback #1907): bare line feeds, plain text.
PLAIN = b"You have reached your rate limit. See https://www.docker.com/increase-rate-limit\n"
BARE_LINE_FEEDS = (
    b"HTTP/1.0 429 Too Many Requests\nCache-Control: no-cache\nConnection: close\nContent-Type: text/plain\n"
    b"Retry-After: 60\n\n  " + PLAIN
)
WITHOUT_REASON = b"HTTP/1.1 429\r\nRetry-After: 60\r\nConnection: close\r\n\r\n" + PLAIN
ODD_HEADER = b"HTTP/1.1 429 Too Many\r\nRetry-After: 60\r\nno colon here\r\nConnection: close\r\n\r\n" + PLAIN
NO_BODY = b"HTTP/1.1 429 Too Many\r\nRetry-After: 60\r\nContent-Length: 400\r\n\r\n"


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    """Answer one request after another with the same bytes: `serve(answer)` returns the address."""
    with ExitStack() as stack:

        def start(answer: bytes) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def answer_all() -> None:
                while True:
                    try:
                        peer, _ = listener.accept()
                    except OSError:
                        return
                    with peer:
                        peer.recv(65536)
                        peer.sendall(answer)

            threading.Thread(target=answer_all, daemon=True).start()
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(BARE_LINE_FEEDS, id="bare line feeds"),
        pytest.param(WITHOUT_REASON, id="no reason phrase"),
        pytest.param(ODD_HEADER, id="a header without a colon"),
        pytest.param(NO_BODY, id="a body that never comes"),
    ],
)
def test_a_malformed_429_is_still_a_rate_limit(serve, make_client, answer):
    with pytest.raises(RateLimitedError) as caught:
        make_client(serve(answer)).head_manifest("library/alpine", "latest")
    assert caught.value.status == 429
    with pytest.raises(RateLimitedError) as caught:
        make_client(serve(answer)).get_manifest("library/alpine", "latest")
    assert caught.value.status == 429


def test_the_pause_of_a_malformed_429_is_kept(serve, make_client):
    with pytest.raises(RateLimitedError) as caught:
        make_client(serve(BARE_LINE_FEEDS)).tags("library/alpine")
    assert caught.value.retry_after_seconds == 60
