"""Ways through a proxy."""

import socket
import ssl
import threading

import pytest

from registry.wire import Proxy, ProxyError, Way, make_tls_context
from tests.registry.scripted import EMPTY, QUICK, read_request, wire_of


class Tunnel:
    """A proxy that takes CONNECT."""

    def __init__(self) -> None:
        self.asked = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        client, _ = self._listener.accept()
        head = read_request(client).decode()
        self.asked.append(head)
        host, _, port = head.split()[1].rpartition(":")
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass_on(one, other) -> None:
        while piece := one.recv(65536):
            other.sendall(piece)

    def close(self):
        self._listener.close()


@pytest.fixture
def tunnel():
    tunnel = Tunnel()
    yield tunnel
    tunnel.close()


@pytest.fixture
def context(certificate):
    return make_tls_context(verify=True, ca_certificate=certificate[0].read_text())


@pytest.fixture
def encrypted(serve, certificate):
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(*certificate)
    return serve(EMPTY, context=server_context)


def test_plain_http_is_asked_of_the_proxy_by_its_whole_address(serve):
    server = serve(EMPTY)
    proxy = Proxy.parse(f"http://squid:se%40cret@127.0.0.1:{server.port}")

    with wire_of(Way(timeouts=QUICK, proxy=proxy)) as wire:
        wire.send("GET", "http://registry.test/v2/", {}).release()

    assert server.received[0].startswith(b"GET http://registry.test/v2/ HTTP/1.1\r\nHost: registry.test\r\n")
    assert b"Proxy-Authorization: Basic c3F1aWQ6c2VAY3JldA==" in server.received[0]


def test_https_goes_through_a_tunnel_and_the_proxy_sees_nothing_of_it(tunnel, encrypted, context):
    proxy = Proxy.parse(f"http://squid:secret@127.0.0.1:{tunnel.port}")

    with wire_of(Way(lambda: context, QUICK, proxy)) as wire:
        wire.send("GET", f"https://127.0.0.1:{encrypted.port}/v2/", {"Authorization": "Bearer x"}).release()

    assert tunnel.asked == [
        f"CONNECT 127.0.0.1:{encrypted.port} HTTP/1.1\r\nHost: 127.0.0.1:{encrypted.port}\r\n"
        "Proxy-Authorization: Basic c3F1aWQ6c2VjcmV0\r\n\r\n"
    ]
    assert b"Proxy-Authorization" not in encrypted.received[0]
    assert b"Authorization: Bearer x" in encrypted.received[0]


def test_a_proxy_that_refuses_is_named(serve):
    server = serve(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    way = Way(timeouts=QUICK, proxy=Proxy.parse(server.url))

    with wire_of(way) as wire, pytest.raises(ProxyError, match="407 Proxy Authentication Required"):
        wire.send("GET", "https://registry.test/v2/", {})


def test_a_proxy_that_is_not_there_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    way = Way(timeouts=QUICK, proxy=Proxy.parse(f"http://127.0.0.1:{port}"))

    with wire_of(way) as wire, pytest.raises(ProxyError) as caught:
        wire.send("GET", "http://registry.test/v2/", {})
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


@pytest.mark.parametrize("url", ["socks5://a:1", "http://", "proxy:3128"])
def test_what_is_no_proxy_is_refused(url):
    with pytest.raises(ValueError, match=r"proxy|host"):
        Proxy.parse(url)
