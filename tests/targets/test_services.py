"""Endpoints: what is stored and how, what is refused, and what a check finds."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection

from harborsync.lib.crypto import SecretUnreadableError
from registry.testkit import MemoryRegistry, known_faults
from targets.clients import connection_for, endpoint_settings
from targets.models import Endpoint
from targets.services import EndpointInUse, check_endpoint, delete_endpoint, ensure_local_endpoint, save_endpoint
from tests.factories import make_endpoint, make_project, make_rule

pytestmark = pytest.mark.django_db

CERTIFICATE_HINT = "BEGIN CERTIFICATE"


def save(*, secret=None, **fields) -> Endpoint:
    return save_endpoint(Endpoint(**{"name": "target", "url": "https://registry.example.com", **fields}), secret=secret)


def test_a_new_endpoint_is_unverified_normalised_and_has_a_notification_token():
    endpoint = save(name="  target ", url=" https://Registry.example.com/base/ ")
    assert endpoint.name == "target"
    assert endpoint.url == "https://registry.example.com/base"
    assert endpoint.health == Endpoint.Health.UNVERIFIED
    token = endpoint.reveal_notification_token()
    assert Endpoint.objects.with_notification_token(token) == endpoint


@pytest.mark.parametrize(
    ("fields", "field", "hint"),
    [
        ({"name": " "}, "name", "blank"),
        ({"name": "x" * 65}, "name", "64"),
        ({"url": ""}, "url", ""),
        ({"url": "ftp://registry"}, "url", "http"),
        ({"url": "https://user:pass@registry"}, "url", ""),
        ({"url": "https://registry?x=1"}, "url", ""),
        ({"kind": "floppy"}, "kind", "is not a known provider"),
        ({"ca_certificate": "hello"}, "ca_certificate", CERTIFICATE_HINT),
        ({"proxy_url": "socks5://proxy"}, "proxy_url", "http://proxy.example.com:3128"),
        ({"proxy_url": "http://["}, "proxy_url", "http://proxy.example.com:3128"),
        ({"proxy_url": "http://"}, "proxy_url", "http://proxy.example.com:3128"),
    ],
)
def test_what_cannot_work_is_refused_at_its_field(fields, field, hint):
    with pytest.raises(ValidationError) as raised:
        save(**fields)
    assert field in raised.value.message_dict
    assert hint in " ".join(raised.value.message_dict[field])


def test_a_taken_name_is_refused():
    save()
    with pytest.raises(ValidationError) as raised:
        save()
    assert "name" in raised.value.message_dict


def test_the_secret_is_encrypted_at_rest_and_readable_at_the_moment_of_use():
    endpoint = save(secret="Hidden-Secret-7", access_key="robot")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM targets_endpoint")
        assert "Hidden-Secret-7" not in str(cursor.fetchall())
    assert endpoint_settings(endpoint).password == "Hidden-Secret-7"
    assert "Hidden-Secret-7" not in repr(endpoint_settings(endpoint))


def test_a_secret_whose_key_is_gone_says_so(settings):
    endpoint = save(secret="Hidden-Secret-7")
    settings.ENCRYPTION_KEYS = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    with pytest.raises(SecretUnreadableError, match="ENCRYPTION_KEYS"):
        endpoint.reveal_secret()
    check_endpoint(endpoint)
    assert (endpoint.health, endpoint.health_code) == (Endpoint.Health.UNHEALTHY, "secret_unreadable")


@pytest.mark.parametrize(
    ("change", "given", "kept"),
    [({}, None, "old"), ({}, "new", "new"), ({}, "", ""), ({"url": "https://evil.example.com"}, None, "")],
    ids=["unchanged", "replaced", "cleared", "another address without a secret"],
)
def test_the_secret_stays_goes_or_changes(change, given, kept):
    endpoint = save(secret="old")
    for name, value in change.items():
        setattr(endpoint, name, value)
    assert save_endpoint(endpoint, secret=given).reveal_secret() == kept


def test_a_second_local_registry_is_refused():
    ensure_local_endpoint(url="http://127.0.0.1:5000")
    with pytest.raises(ValidationError, match="there can be only one"):
        save(is_local=True)


def test_one_endpoint_is_local_at_most():
    ensure_local_endpoint(url="http://127.0.0.1:5000")
    with pytest.raises(IntegrityError):
        make_endpoint(is_local=True)


def test_the_local_endpoint_is_created_once_and_updated_after():
    first = ensure_local_endpoint(url="http://127.0.0.1:5000", notification_token="token")
    second = ensure_local_endpoint(url="http://127.0.0.1:5001", username="robot", password="secret")
    assert first.pk == second.pk
    assert second.url == "http://127.0.0.1:5001"
    assert second.reveal_secret() == "secret"
    assert second.reveal_notification_token() == "token"


def test_what_is_used_cannot_be_deleted_and_its_users_are_named():
    endpoint = make_endpoint()
    make_rule(name="mirror", targets=[endpoint])
    make_project(name="team", endpoint=endpoint)
    with pytest.raises(EndpointInUse) as raised:
        delete_endpoint(endpoint)
    assert raised.value.users == ["mirror", "team"]
    unused = make_endpoint()
    delete_endpoint(unused)
    assert not Endpoint.objects.filter(pk=unused.pk).exists()


def test_a_connection_is_kept_until_a_credential_changes():
    endpoint = make_endpoint(secret="one")
    first = connection_for(endpoint)
    assert connection_for(Endpoint.objects.get(pk=endpoint.pk)) is first
    endpoint.set_secret("two")
    assert connection_for(endpoint) is not first


def test_a_registry_that_answers_is_healthy():
    with MemoryRegistry(auth="basic", username="robot", password="right") as registry:
        endpoint = make_endpoint(url=registry.url, access_key="robot", secret="right")
        steps = check_endpoint(endpoint)
        assert {step.status for step in steps} <= {"ok", "skipped"}
    endpoint.refresh_from_db()
    assert (endpoint.health, endpoint.health_reason) == (Endpoint.Health.HEALTHY, "")
    assert endpoint.checked_at is not None


def test_a_wrong_password_a_web_page_and_nobody_are_told_apart():
    with MemoryRegistry(auth="basic", username="robot", password="right") as registry:
        endpoint = make_endpoint(url=registry.url, access_key="robot", secret="wrong")
        check_endpoint(endpoint)
        assert (endpoint.health_code, endpoint.health) == ("unauthorized", Endpoint.Health.UNHEALTHY)
    with MemoryRegistry(auth="basic", username="robot", password="right") as registry:
        nameless = make_endpoint(url=registry.url)
        check_endpoint(nameless)
        assert (nameless.health_code, nameless.health) == ("unauthorized", Endpoint.Health.UNHEALTHY)
    with MemoryRegistry() as registry:
        registry.faults.add(known_faults.html_instead_of_json(times=None))
        page = make_endpoint(url=registry.url)
        check_endpoint(page)
        assert page.health_code == "protocol"
    nobody = make_endpoint(url="http://127.0.0.1:9")
    check_endpoint(nobody)
    assert nobody.health_code == "refused"
    unknown = make_endpoint(url="http://no-such-host.invalid")
    check_endpoint(unknown)
    assert unknown.health_code == "dns"
    assert "no-such-host.invalid" in unknown.health_reason


def test_a_check_does_not_overwrite_a_row_that_was_changed_meanwhile():
    endpoint = make_endpoint(url="http://127.0.0.1:9")
    stale = Endpoint.objects.get(pk=endpoint.pk)
    save_endpoint(endpoint, secret=None)
    check_endpoint(stale)
    endpoint.refresh_from_db()
    assert endpoint.health == Endpoint.Health.UNVERIFIED
