import json
import pickle
from datetime import UTC, datetime

import pytest

from registry import errors
from registry.guards import check_foreign_url, resolve_location
from registry.redaction import redact_text, redact_url
from registry.refusals import Refusal, retry_after_seconds


def refuse(status, *, code="", message="", body=None, headers=None):
    content = json.dumps({"errors": [{"code": code, "message": message}]}).encode() if body is None else body
    return Refusal("Pushing a/b", status, headers or {}, content).error()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refuse(401, code="UNAUTHORIZED"), errors.AuthError),
        (refuse(403, code="DENIED", message="requested access is denied"), errors.DeniedError),
        (refuse(403, code="DENIED", message="will exceed the configured quota"), errors.QuotaExceededError),
        (refuse(413, message="quota exceeded"), errors.QuotaExceededError),
        (refuse(413, body=b"<html>Request Entity Too Large</html>"), errors.TooLargeError),
        (refuse(416, code="SIZE_INVALID", message="request body is too large"), errors.TooLargeError),
        (refuse(404, code="NAME_UNKNOWN"), errors.NotFoundError),
        (refuse(404, body=b"<html>nginx</html>"), errors.ProtocolError),
        (refuse(405, code="UNSUPPORTED"), errors.UnsupportedError),
        (refuse(400, code="UNSUPPORTED"), errors.UnsupportedError),
        (refuse(415), errors.UnsupportedError),
        (refuse(501, body=b""), errors.UnsupportedError),
        (refuse(400, code="MANIFEST_BLOB_UNKNOWN"), errors.BlobUnknownError),
        (refuse(404, code="MANIFEST_BLOB_UNKNOWN"), errors.BlobUnknownError),
        (refuse(400, code="DIGEST_INVALID"), errors.DigestMismatchError),
        (refuse(412, code="PRECONDITION", message="immutable"), errors.ImmutableError),
        (refuse(409), errors.ImmutableError),
        (refuse(400, code="TAG_INVALID", message="The image tag is immutable"), errors.ImmutableError),
        (refuse(429, body=b"slow down"), errors.RateLimitedError),
        (refuse(403, code="TOOMANYREQUESTS"), errors.RateLimitedError),
        (refuse(500, body=b"no space left on device"), errors.QuotaExceededError),
        (refuse(507, body=b""), errors.QuotaExceededError),
        (refuse(500, code="UNKNOWN"), errors.ServerError),
        (refuse(502, body=b"<html>Bad Gateway</html>"), errors.ServerError),
        (refuse(504, code="MANIFEST_BLOB_UNKNOWN"), errors.ServerError),
        (refuse(499, body=b""), errors.ServerError),
        (refuse(418, body=b"[1]"), errors.ProtocolError),
        (refuse(400, body=b"[" * 50_000), errors.ProtocolError),
    ],
)
def test_each_refusal_becomes_the_error_that_says_what_it_means(error, kind):
    assert type(error) is kind
    assert str(error).startswith("Pushing a/b: ")


TEMPORARY = {
    "network",
    "dns",
    "refused",
    "timeout",
    "rate_limited",
    "server_error",
    "digest_mismatch",
    "blob_unknown",
    "paused",
}


def all_kinds(kind=errors.RegistryError):
    yield kind
    for child in kind.__subclasses__():
        yield from all_kinds(child)


def test_codes_are_unique_and_only_what_may_pass_is_temporary():
    kinds = [kind for kind in all_kinds() if kind.__module__ == "registry.errors"]

    assert len({kind.code for kind in kinds}) == len(kinds)
    assert {kind.code for kind in kinds if kind.is_temporary} == TEMPORARY


def test_errors_survive_pickling():
    error = errors.RateLimitedError("slow", status=429, retry_after_seconds=3.0)

    again = pickle.loads(pickle.dumps(error))

    assert (str(again), again.retry_after_seconds, again.status) == ("slow", 3.0, 429)


NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("5", 5.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("999999", 600.0),
        ("nan", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_capped(value, expected):
    assert retry_after_seconds(value, now=NOW) == expected


def test_secrets_and_signatures_are_not_shown():
    said = 'Denied for https://me:pw@s3.test/x?X-Amz-Signature=abc "Authorization: Basic dXNlcjpwYXNzd29yZA=="'

    error = refuse(403, body=said.encode())

    for secret in ("abc", "pw@", "dXNlcjpwYXNz"):
        assert secret not in str(error)
    assert redact_url("https://u:p@h:1/x?token=1#f") == "https://h:1/x"
    assert len(redact_text("x" * 10_000)) == 300


@pytest.mark.parametrize(
    ("location", "origin", "expected"),
    [
        ("/v2/x?_state=a%2Bb%3D", "https://r.test/v2/y", "https://r.test/v2/x?_state=a%2Bb%3D"),
        ("https://s3.test/x?sig=A%2f", "https://r.test/", "https://s3.test/x?sig=A%2f"),
        ("http://r.test/v2/x?a=1", "https://r.test:8443/v2/", "https://r.test:8443/v2/x?a=1"),
        ("http://127.0.0.1:2/x", "http://127.0.0.1:1/", "http://127.0.0.1:2/x"),
        ("http://localhost:2/x", "http://127.0.0.1:1/", "http://localhost:2/x"),
        ("http://10.0.0.9/x", "http://10.0.0.5/", "http://10.0.0.9/x"),
    ],
)
def test_locations_are_resolved_and_their_query_is_left_alone(location, origin, expected):
    assert resolve_location(location, origin=origin, attempt="x") == expected


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        ("http://other.test/x", "https://r.test/"),
        ("file:///etc/passwd", "http://r.test/"),
        ("https://", "https://r.test/"),
        ("http://169.254.169.254/latest/meta-data", "http://r.test/"),
        ("http://169.254.169.254/latest/meta-data", "http://10.0.0.5/"),
        ("http://127.0.0.1/x", "http://r.test/"),
        ("http://localhost/x", "http://r.test/"),
        ("http://127.0.0.1/x", "http://10.0.0.5/"),
        ("http://[::1]/x", "http://r.test/"),
        ("http://[::ffff:10.0.0.1]/x", "http://r.test/"),
        ("http://10.0.0.1/x", "http://r.test/"),
        ("http://r.test:99999/x", "http://r.test/"),
    ],
)
def test_addresses_that_a_registry_has_no_business_naming_are_refused(target, origin):
    with pytest.raises(errors.ProtocolError):
        check_foreign_url(target, origin=origin, attempt="Asking")
