"""What can be wrong with the way to a registry, and what a connection keeps."""

import os
import pickle
import socket
import threading

import pytest

from registry import (
    Connection,
    DnsError,
    NetworkError,
    NetworkTimeoutError,
    ProtocolError,
    RefusedError,
    RegistryClient,
    RegistrySettings,
    Tally,
    Timeouts,
    TlsError,
)
from registry.testkit import Fault, MemoryRegistry, known_faults


@pytest.fixture
def encrypted(certificate):
    with MemoryRegistry(certificate_path=str(certificate[0]), key_path=str(certificate[1])) as registry:
        registry.add_image("team/app", "1")
        yield registry


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_an_unknown_host_is_a_dns_error(make_client):
    with pytest.raises(DnsError) as caught:
        make_client("http://no-such-host.invalid").ping()
    assert caught.value.is_temporary


def test_a_closed_port_is_refused(make_client):
    with pytest.raises(RefusedError) as caught:
        make_client(f"http://127.0.0.1:{closed_port()}").ping()
    assert caught.value.is_temporary


def test_a_registry_that_does_not_answer_times_out(make_client, memory_registry):
    memory_registry.faults.add(known_faults.stalled(3, pattern="/v2/"))
    timeouts = Timeouts(connect_seconds=1, first_byte_seconds=0.2, stall_seconds=1)

    with pytest.raises(NetworkTimeoutError):
        make_client(memory_registry, timeouts=timeouts).ping()


def test_a_body_that_stalls_times_out_by_the_stall_limit_and_is_resumed(make_client, memory_registry):
    digest = memory_registry.add_image("team/app", "1", layer_sizes=[2_000_000])
    timeouts = Timeouts(connect_seconds=1, first_byte_seconds=30, stall_seconds=0.3)
    client = make_client(memory_registry, timeouts=timeouts)
    layer = max(client.get_manifest("team/app", digest).blobs, key=lambda blob: blob.size_bytes)
    memory_registry.faults.add(known_faults.stalled(5, after_bytes=1_000_000))

    with client.read_blob("team/app", layer) as pieces:
        assert sum(map(len, pieces)) == 2_000_000
    assert len(memory_registry.requests_for("GET", "/blobs/")) == 2


def test_a_connection_cut_before_the_answer_is_tried_once_more(make_client, memory_registry):
    memory_registry.faults.add(Fault(action="close"))
    make_client(memory_registry).ping()

    memory_registry.faults.add(Fault(action="close", times=2))
    with pytest.raises(NetworkError):
        make_client(memory_registry).ping()


def test_a_post_is_not_repeated_blindly(make_client, memory_registry):
    memory_registry.faults.add(Fault(method="POST", action="close"))

    with pytest.raises(NetworkError):
        make_client(memory_registry).mount_blob("team/app", "sha256:" + "0" * 64, from_repository="team/base")
    assert len(memory_registry.requests_for("POST")) == 1


def test_a_certificate_nobody_vouches_for_is_refused_for_good(make_client, encrypted):
    with pytest.raises(TlsError, match="certificate was not accepted") as caught:
        make_client(encrypted).ping()
    assert not caught.value.is_temporary


def test_a_given_certificate_authority_is_accepted(make_client, encrypted, certificate):
    make_client(encrypted, ca_certificate=certificate[0].read_text()).ping()


def test_verification_can_be_switched_off(make_client, encrypted):
    make_client(encrypted, verify_tls=False).ping()


def test_an_unreadable_certificate_authority_is_told(make_client, encrypted):
    with pytest.raises(TlsError, match="not valid PEM"):
        make_client(encrypted, ca_certificate="-----BEGIN NONSENSE").ping()


def test_https_where_plain_http_is_spoken_is_told(make_client, memory_registry):
    with pytest.raises(TlsError, match="http:// address"):
        make_client(memory_registry.url.replace("http", "https")).ping()


def test_a_realm_on_plain_http_is_refused_under_https(make_client, encrypted, certificate):
    headers = {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1/token"'}
    encrypted.faults.add(Fault(status=401, headers=headers))

    with pytest.raises(ProtocolError, match="plain http"):
        make_client(encrypted, ca_certificate=certificate[0].read_text(), username="u", password="p").ping()


def test_links_with_http_behind_a_tls_proxy_stay_on_https(make_client, encrypted, certificate):
    for tag in "23456":
        encrypted.add_image("team/app", tag)
    encrypted.page_size = 2
    encrypted.faults.add(known_faults.odd_link('<http://127.0.0.1{path}>; rel="next"'))

    tags = make_client(encrypted, ca_certificate=certificate[0].read_text()).tags("team/app")

    assert tags == list("123456")


def test_a_path_prefix_is_kept(make_client):
    with MemoryRegistry(path_prefix="/registry") as registry:
        registry.add_image("team/app", "1")

        assert make_client(f"{registry.url}/").tags("team/app") == ["1"]


def test_a_web_page_is_not_taken_for_a_registry(make_client, memory_registry):
    memory_registry.faults.add(known_faults.html_instead_of_json(None))

    with pytest.raises(ProtocolError, match="web page"):
        make_client(memory_registry).ping()


def test_redirects_without_end_come_to_an_end(make_client, memory_registry):
    memory_registry.faults.add(Fault(status=307, headers={"Location": "/v2/"}, times=None))

    with pytest.raises(ProtocolError, match="redirects"):
        make_client(memory_registry).ping()


def test_a_rate_limit_says_how_long_to_stay_away(make_client, memory_registry):
    memory_registry.faults.add(known_faults.rate_limited(retry_after="12"))

    with pytest.raises(Exception, match="429") as caught:
        make_client(memory_registry).ping()
    assert (caught.value.code, caught.value.retry_after_seconds) == ("rate_limited", 12)


def test_an_unreadable_address_is_a_value_error():
    with pytest.raises(ValueError, match="URL"):
        Connection(RegistrySettings(url="ftp://x"))


def test_settings_show_no_secret():
    settings = RegistrySettings(url="https://a", username="u", password="secret-1", proxy_url="http://u:secret-2@p")

    assert "secret" not in repr(settings)


def test_requests_go_through_the_proxy(make_client, memory_registry):
    with MemoryRegistry() as proxy:  # it sees the absolute address in the request line and refuses it
        with pytest.raises(Exception, match="Logging in"):
            make_client("http://registry.test", proxy_url=proxy.url).ping()

        assert len(proxy.requests) == 1


def test_our_user_agent_is_sent(make_client, memory_registry):
    make_client(memory_registry, user_agent="HarborSync/1 (installation 7)").ping()

    assert memory_registry.requests[0].headers["user-agent"] == "HarborSync/1 (installation 7)"


def test_a_warning_of_the_registry_is_logged_once(make_client, memory_registry, caplog):
    memory_registry.faults.add(Fault(status=200, headers={"Warning": '299 - "going away"'}, times=None))
    client = make_client(memory_registry)

    client.ping()
    client.ping()

    assert caplog.text.count("going away") == 1


def test_docker_hubs_official_images_live_in_library():
    connection = Connection(RegistrySettings(url="https://hub.docker.com", kind="docker-hub"))

    assert connection.base_url == "https://registry-1.docker.io"
    assert connection.repository_path("alpine") == "library/alpine"
    assert connection.repository_path("me/app") == "me/app"


@pytest.mark.slow
def test_a_forked_child_opens_sockets_of_its_own(make_client, memory_registry):
    memory_registry.add_image("team/app", "1")
    client = make_client(memory_registry)
    client.ping()
    reader, writer = os.pipe()

    child = os.fork()
    if child == 0:  # no assertion here: the child must leave without pytest
        os.write(writer, pickle.dumps((client.connection._wire is None, client.tags("team/app"))))
        os._exit(0)
    os.waitpid(child, 0)

    assert pickle.loads(os.read(reader, 10_000)) == (True, ["1"])
    os.close(reader)
    os.close(writer)
    client.ping()


def test_a_closed_connection_can_be_used_again(make_client, memory_registry):
    client = make_client(memory_registry)
    client.ping()
    client.connection.close()

    client.ping()


def test_the_tally_counts_from_many_threads():
    tally = Tally()
    threads = [threading.Thread(target=lambda: [tally.count_request("GET") for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert tally.requests == {"GET": 4000}
    assert tally.total_requests == 4000


def test_one_connection_serves_many_clients(memory_registry):
    connection = Connection(RegistrySettings(url=memory_registry.url))
    first, second = Tally(), Tally()

    RegistryClient(connection, tally=first).ping()
    RegistryClient(connection, tally=second).ping()

    assert (first.total_requests, second.total_requests) == (1, 1)
    connection.close()
