import socket

import pytest

from registry import RegistrySettings, Timeouts, check_connection
from registry.check import STEP_NAMES
from registry.testkit import Fault, MemoryRegistry, known_faults

LOGIN = {"username": "alice", "password": "wonder-land"}
QUICK = Timeouts(connect_seconds=1, first_byte_seconds=1, stall_seconds=1)


def check(url, *, push_repository="", **settings):
    """Give `{step: (status, code)}`."""
    steps = list(
        check_connection(RegistrySettings(url=url, timeouts=QUICK, **settings), push_repository=push_repository)
    )
    assert [step.name for step in steps] == list(STEP_NAMES)
    assert all(step.message for step in steps)
    return {step.name: (step.status, step.code) for step in steps}


def failing_step(found):
    failed = [name for name, (status, _) in found.items() if status == "failed"]
    assert len(failed) == 1
    after = STEP_NAMES[STEP_NAMES.index(failed[0]) + 1 :]
    assert {found[name][0] for name in after} <= {"skipped"}
    return failed[0], found[failed[0]][1]


def test_a_healthy_registry_passes(memory_registry):
    found = check(memory_registry.url)

    statuses = [status for status, _ in found.values()]
    assert statuses == ["ok", "ok", "skipped", "ok", "ok", "ok", "skipped"]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_right_credentials_pass(auth):
    with MemoryRegistry(auth=auth, **LOGIN) as registry:
        assert check(registry.url, **LOGIN)["auth"] == ("ok", "")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_wrong_credentials_fail_at_that_step(auth):
    with MemoryRegistry(auth=auth, **LOGIN) as registry:
        assert failing_step(check(registry.url, username="alice", password="x")) == ("auth", "unauthorized")


def test_no_password_where_one_is_wanted_fails_as_nothing_is_public_there():
    with MemoryRegistry(auth="basic", **LOGIN) as registry:
        assert failing_step(check(registry.url)) == ("auth", "unauthorized")


def test_no_credentials_where_tokens_are_given_is_a_warning():
    with MemoryRegistry(auth="bearer", **LOGIN) as registry:
        found = check(registry.url)

    assert found["auth"] == ("warning", "unauthorized")
    assert found["catalogue"] == ("warning", "unauthorized")


@pytest.mark.parametrize("url", ["", "ftp://x", "https://user:pw@x", "https://a b"])
def test_an_address_that_is_none_fails_at_once(url):
    assert failing_step(check(url)) == ("dns", "invalid_url")


def test_an_unreadable_certificate_fails_at_once(memory_registry):
    assert failing_step(check(memory_registry.url, ca_certificate="nonsense"))[1] == "tls"


def test_an_unknown_host_fails_at_dns():
    assert failing_step(check("http://no-such-host.invalid")) == ("dns", "dns")


def test_a_closed_port_fails_at_tcp():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]

    assert failing_step(check(f"http://127.0.0.1:{port}")) == ("tcp", "refused")


def test_plain_http_behind_https_fails_at_tls(memory_registry):
    assert failing_step(check(memory_registry.url.replace("http", "https"))) == ("tls", "tls")


@pytest.mark.parametrize("status", [200, 404, 401])
def test_a_web_page_is_told_apart_from_a_registry(memory_registry, status):
    memory_registry.faults.add(known_faults.html_instead_of_json(None, status=status))

    assert failing_step(check(memory_registry.url)) == ("registry", "protocol")


@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (500, "server_error"), (429, "rate_limited")])
def test_what_is_no_registry_fails_at_that_step(memory_registry, status, code):
    memory_registry.faults.add(Fault(status=status, times=None))

    assert failing_step(check(memory_registry.url)) == ("registry", code)


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "denied"), (404, "unsupported")])
def test_a_missing_catalogue_right_is_only_a_warning(memory_registry, status, code):
    memory_registry.faults.add(Fault(path_pattern="_catalog", status=status, times=None))

    assert check(memory_registry.url)["catalogue"] == ("warning", code)


def test_the_push_right_is_found_out_without_leaving_anything(memory_registry):
    assert check(memory_registry.url, push_repository="team/app")["push"] == ("ok", "")
    assert memory_registry.open_uploads == 0
    assert memory_registry.repositories == ()


def test_a_missing_push_right_is_a_warning():
    with MemoryRegistry(auth="bearer", grants={"team/*": ["pull"]}, **LOGIN) as registry:
        found = check(registry.url, push_repository="team/app", **LOGIN)

        assert found["push"] == ("warning", "denied")
        assert registry.requests_for("POST", "/uploads/") == []


def test_steps_come_as_they_are_known(memory_registry):
    steps = check_connection(RegistrySettings(url=memory_registry.url))

    assert next(steps).name == "dns"
    assert memory_registry.requests == []


def test_a_stalled_server_does_not_hang_the_check():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        assert failing_step(check(f"http://127.0.0.1:{port}")) == ("registry", "timeout")
        assert failing_step(check(f"https://127.0.0.1:{port}")) == ("tls", "timeout")
