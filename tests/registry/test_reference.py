import pytest

from registry.reference import (
    canonical_registry_url,
    is_digest,
    is_docker_hub,
    is_repository_name,
    is_tag,
    normalise_registry_url,
    parse_reference,
    validate_digest,
    validate_repository_name,
    validate_tag,
)

SHA256 = "sha256:" + "a" * 64


@pytest.mark.parametrize("name", ["a", "library/alpine", "a/b/c/d", "a.b_c__d-e---f/g", "0/1", "x" * 255])
def test_repository_names(name):
    assert is_repository_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "a//b",
        "/a",
        "a/",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "a b",
        "a:b",
        "é",
        "a\n",
        "x" * 256,
        "x/" * 500_000,
    ],
    ids=lambda name: repr(name[:12]),
)
def test_what_is_no_repository_name(name):
    assert not is_repository_name(name)
    with pytest.raises(ValueError, match="is not a repository name") as caught:
        validate_repository_name(name)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("tag", ["latest", "V1.0_x-y", "_", "0", "a" * 128])
def test_tags(tag):
    assert is_tag(tag)


@pytest.mark.parametrize(
    "tag", ["", ".a", "-a", "a/b", "a:b", "a\n", "a" * 129, "a" * 1_000_000, "é"], ids=lambda t: repr(t[:9])
)
def test_what_is_no_tag(tag):
    assert not is_tag(tag)
    with pytest.raises(ValueError, match="is not a tag"):
        validate_tag(tag)


@pytest.mark.parametrize("digest", [SHA256, "sha512:" + "0" * 128, "blake3:abc", "multihash+base58:QmRZ"])
def test_digests(digest):
    assert is_digest(digest)


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:",
        "sha256:abc",
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha512:" + "0" * 64,
        "a" * 64,
        SHA256 + "\n",
    ],
)
def test_what_is_no_digest(digest):
    assert not is_digest(digest)
    with pytest.raises(ValueError, match="is not a digest"):
        validate_digest(digest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpine", "docker.io/library/alpine"),
        ("alpine:3", "docker.io/library/alpine:3"),
        ("me/app", "docker.io/me/app"),
        ("docker.io/alpine", "docker.io/library/alpine"),
        ("index.docker.io/me/app:1", "docker.io/me/app:1"),
        ("registry-1.docker.io/alpine", "docker.io/library/alpine"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("Quay.IO/a/b/c", "quay.io/a/b/c"),
        (f"ghcr.io/a/b:1@{SHA256}", f"ghcr.io/a/b:1@{SHA256}"),
        (f"a/b@{SHA256}", f"docker.io/a/b@{SHA256}"),
    ],
)
def test_references_are_read(text, expected):
    assert str(parse_reference(text)) == expected


@pytest.mark.parametrize("text", ["", "A", "a:", "a@", "a@sha256:1", "quay.io/", "a/b:c/d", "a:b:c"])
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(ValueError, match="is not a"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.example", "https://registry.example"),
        ("http://registry.example:5000/", "http://registry.example:5000"),
        (" HTTPS://Registry.Example ", "https://registry.example"),
        ("https://registry.example/prefix/", "https://registry.example/prefix"),
        ("https://registry.example/v2/", "https://registry.example"),
        ("https://registry.example/prefix/v2", "https://registry.example/prefix"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("registry_1:5000", "https://registry_1:5000"),
        ("localhost:5000", "https://localhost:5000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_registry_urls_are_brought_into_one_form(text, expected):
    assert normalise_registry_url(text) == expected
    assert normalise_registry_url(expected) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("ftp://a", "http:// or https://"),
        ("https://", "no host name"),
        ("https://user:secret@a", "user name or password"),
        ("https://a?x=1", "query"),
        ("https://a#x", "fragment"),
        ("https://a b", "spaces"),
        ("https://[::1", "not a URL"),
        ("https://a:port", "port"),
        ("https://a:0", "port"),
        ("https://a:", "port"),
        ("https://a:70000", "port"),
        ("https://-a", "not a host name"),
        ("https://a..b", "not a host name"),
        ("https://" + "a" * 300, "not a host name"),
        ("https://a/%2e%2e", "%"),
    ],
)
def test_bad_registry_urls_are_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        normalise_registry_url(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com"])
def test_all_of_docker_hubs_addresses_are_one(host):
    assert is_docker_hub(f"https://{host}")
    assert canonical_registry_url(f"https://{host}") == "https://registry-1.docker.io"


def test_other_addresses_stay_as_they_are():
    assert canonical_registry_url("https://quay.io/x") == "https://quay.io/x"
