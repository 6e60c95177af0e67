"""The in-memory registry behaves by the specification while no fault waits."""

import doctest
import importlib
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from registry.testkit import GeneratedContent, MemoryRegistry, digest_of
from registry.testkit.images import OCI_INDEX, OCI_MANIFEST

ACCEPT = {"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}"}


@pytest.fixture
def registry():
    with MemoryRegistry() as registry:
        yield registry


def push_blob(registry, repository, content, **session):
    location = requests.post(f"{registry.url}/v2/{repository}/blobs/uploads/", **session).headers["Location"]
    return requests.put(f"{location}&digest={digest_of(content)}", data=content, **session)


def test_an_added_image_can_be_pulled_byte_for_byte(registry):
    digest = registry.add_image("library/nginx", "1.27", layers=[b"first", b"second"])
    answer = requests.get(f"{registry.url}/v2/library/nginx/manifests/1.27", headers=ACCEPT)
    assert answer.headers["Docker-Content-Digest"] == digest == digest_of(answer.content)
    layers = [layer["digest"] for layer in answer.json()["layers"]]
    blobs = [requests.get(f"{registry.url}/v2/library/nginx/blobs/{layer}").content for layer in layers]
    assert blobs == [b"first", b"second"]


def test_an_oci_manifest_is_unknown_to_whoever_does_not_accept_it(registry):
    registry.add_image("a", "v1")
    assert requests.get(f"{registry.url}/v2/a/manifests/v1").status_code == 404


def test_an_unchanged_manifest_is_not_sent_again(registry):
    digest = registry.add_image("a", "v1")
    headers = {**ACCEPT, "If-None-Match": f'"{digest}"'}
    assert requests.get(f"{registry.url}/v2/a/manifests/v1", headers=headers).status_code == 304


def test_a_pushed_blob_must_have_the_digest_it_names(registry):
    assert push_blob(registry, "a", b"hello").status_code == 201
    assert registry.blob_bytes("a", digest_of(b"hello")) == b"hello"
    location = requests.post(f"{registry.url}/v2/a/blobs/uploads/").headers["Location"]
    refused = requests.put(f"{location}&digest={digest_of(b'other')}", data=b"hello")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert registry.open_uploads == 0


def test_a_chunked_upload_moves_its_state_with_every_chunk(registry):
    first = requests.post(f"{registry.url}/v2/a/blobs/uploads/").headers["Location"]
    patched = requests.patch(first, data=b"hello ", headers={"Content-Range": "0-5"})
    assert (patched.status_code, patched.headers["Range"]) == (202, "0-5")
    assert requests.patch(first, data=b"x").json()["errors"][0]["code"] == "BLOB_UPLOAD_INVALID"
    newest = patched.headers["Location"]
    assert requests.patch(newest, data=b"x", headers={"Content-Range": "9-9"}).status_code == 416
    done = requests.put(f"{newest}&digest={digest_of(b'hello world')}", data=b"world")
    assert done.headers["Docker-Content-Digest"] == digest_of(b"hello world")


@pytest.mark.parametrize(("is_strict", "status"), [(False, 204), (True, 404)])
def test_an_old_upload_location_tells_the_offset_only_where_states_are_not_strict(is_strict, status):
    with MemoryRegistry(strict_upload_state=is_strict) as registry:
        first = requests.post(f"{registry.url}/v2/a/blobs/uploads/").headers["Location"]
        requests.patch(first, data=b"hello")
        assert requests.get(first).status_code == status


def test_an_upload_can_be_cancelled(registry):
    location = requests.post(f"{registry.url}/v2/a/blobs/uploads/").headers["Location"]
    assert requests.delete(location).status_code == 204
    assert requests.put(f"{location}&digest={digest_of(b'')}").status_code == 404


def test_a_body_of_unknown_length_is_taken(registry):
    location = requests.post(f"{registry.url}/v2/a/blobs/uploads/").headers["Location"]
    sent = requests.put(f"{location}&digest={digest_of(b'abcd')}", data=iter([b"ab", b"cd"]))
    assert sent.status_code == 201


def test_a_mount_needs_the_blob_in_the_repository_it_names(registry):
    digest = registry.add_blob("library/base", b"layer")
    uploads = f"{registry.url}/v2/app/blobs/uploads/"
    assert requests.post(f"{uploads}?mount={digest}&from=library/other").status_code == 202
    assert requests.post(f"{uploads}?mount={digest}").status_code == 202
    assert requests.post(f"{uploads}?mount={digest}&from=library/base").status_code == 201
    assert registry.blob_bytes("app", digest) == b"layer"


def test_a_manifest_is_refused_until_everything_it_names_is_there(registry):
    digest = registry.add_image("source", "v1", layers=[b"layer"])
    manifest = registry.manifests("source")[digest]
    url = f"{registry.url}/v2/target/manifests/v1"
    headers = {"Content-Type": manifest.media_type}
    refused = requests.put(url, data=manifest.content, headers=headers)
    assert refused.json()["errors"][0]["code"] == "MANIFEST_BLOB_UNKNOWN"
    for content in registry.blobs("source").values():
        push_blob(registry, "target", b"".join(content.read()))
    assert requests.put(url, data=manifest.content, headers=headers).status_code == 201
    assert registry.tags("target") == {"v1": digest}


def test_an_index_is_refused_until_its_children_are_there(registry):
    digest = registry.add_index("source", "v1")
    index = registry.manifests("source")[digest]
    answer = requests.put(
        f"{registry.url}/v2/target/manifests/v1",
        data=index.content,
        headers={"Content-Type": index.media_type},
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=2-", 206, b"cdefgh"),
        ("bytes=2-3", 206, b"cd"),
        ("bytes=2-99", 206, b"cdefgh"),
        ("bytes=99-", 416, None),
    ],
)
def test_a_range_of_a_blob(registry, wanted, status, body):
    digest = registry.add_blob("a", b"abcdefgh")
    answer = requests.get(f"{registry.url}/v2/a/blobs/{digest}", headers={"Range": wanted})
    assert answer.status_code == status
    assert body is None or answer.content == body


def test_generated_content_is_the_same_from_every_offset():
    content = GeneratedContent(3_000_000, "seed")
    whole = b"".join(content.read())
    assert len(whole) == 3_000_000
    assert b"".join(content.read(1_500_000, 2_500_000)) == whole[1_500_000:2_500_000]


def test_listings_come_in_pages(registry):
    for tag in ("c", "a", "b"):
        registry.add_image("library/nginx", tag)
    registry.add_image("library/redis", "7")
    registry.page_size = 2
    first = requests.get(f"{registry.url}/v2/library/nginx/tags/list?n=100")
    assert first.json()["tags"] == ["a", "b"]
    assert first.links["next"]["url"] == "/v2/library/nginx/tags/list?last=b&n=2"
    second = requests.get(registry.url + first.links["next"]["url"])
    assert (second.json()["tags"], second.links) == (["c"], {})
    catalogue = requests.get(f"{registry.url}/v2/_catalog?n=1")
    assert catalogue.json() == {"repositories": ["library/nginx"]}


def test_the_tags_of_an_unknown_repository_are_an_error_and_those_of_an_empty_one_are_none(registry):
    digest = registry.add_image("a", "v1")
    assert requests.get(f"{registry.url}/v2/b/tags/list").status_code == 404
    requests.delete(f"{registry.url}/v2/a/manifests/{digest}")
    assert requests.get(f"{registry.url}/v2/a/tags/list").json()["tags"] == []


def test_deleting_a_digest_takes_every_tag_on_it(registry):
    digest = registry.add_image("a", "v1", layers=[b"same"])
    assert registry.add_image("a", "v2", layers=[b"same"]) == digest
    registry.add_image("a", "v3")
    assert requests.delete(f"{registry.url}/v2/a/manifests/{digest}").status_code == 202
    assert list(registry.tags("a")) == ["v3"]


@pytest.mark.parametrize(("options", "status"), [({}, 405), ({"tag_delete": True}, 202)])
def test_deleting_a_tag_depends_on_the_registry(options, status):
    with MemoryRegistry(**options) as registry:
        digest = registry.add_image("a", "v1")
        assert requests.delete(f"{registry.url}/v2/a/manifests/v1").status_code == status
        assert digest in registry.manifests("a")


def test_nothing_can_be_deleted_where_deletion_is_off():
    with MemoryRegistry(delete_enabled=False, tag_delete=True) as registry:
        digest = registry.add_image("a", "v1")
        answers = [requests.delete(f"{registry.url}/v2/a/manifests/{name}") for name in ("v1", digest)]
        assert [answer.status_code for answer in answers] == [405, 405]


def test_referrers_are_listed_where_the_registry_knows_them():
    with MemoryRegistry(referrers=True) as registry:
        subject = registry.add_image("a", "v1")
        signature = registry.add_signature("a", subject)
        answer = requests.get(f"{registry.url}/v2/a/referrers/{subject}")
        assert [entry["digest"] for entry in answer.json()["manifests"]] == [signature]
        filtered = requests.get(f"{registry.url}/v2/a/referrers/{subject}?artifactType=other")
        assert filtered.json()["manifests"] == []


def test_a_registry_that_was_stopped_comes_back_on_its_port_with_its_content():
    registry = MemoryRegistry()
    registry.start()
    digest = registry.add_image("a", "v1")
    url = registry.url
    registry.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/v2/", timeout=2)
    registry.start()
    try:
        assert registry.url == url
        assert registry.tags("a") == {"v1": digest}
        assert requests.get(f"{url}/v2/").status_code == 200
    finally:
        registry.stop()


def test_stopping_cuts_connections_that_are_kept_alive(registry):
    with requests.Session() as session:
        session.get(f"{registry.url}/v2/")
        registry.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(f"{registry.url}/v2/", timeout=2)


def test_requests_are_recorded_with_what_they_carried(registry):
    push_blob(registry, "a", b"hello", headers={"User-Agent": "tester"})
    post, put = registry.requests
    assert (post.method, post.path, post.status) == ("POST", "/v2/a/blobs/uploads/", 202)
    assert (put.method, put.status, put.body_bytes, put.headers["user-agent"]) == ("PUT", 201, 5, "tester")
    assert put.query.endswith(f"digest={digest_of(b'hello')}")


def test_discarded_uploads_keep_digest_and_size_only():
    with MemoryRegistry(discard_uploads=True) as registry:
        content = b"x" * 3_000_000
        push_blob(registry, "a", content)
        url = f"{registry.url}/v2/a/blobs/{digest_of(content)}"
        assert requests.head(url).headers["Content-Length"] == "3000000"
        assert requests.get(url).status_code == 500


def test_a_registry_can_lie_below_a_path():
    with MemoryRegistry(path_prefix="/registry") as registry:
        assert push_blob(registry, "a", b"hello").status_code == 201
        assert registry.url.endswith("/registry")
        assert requests.get(registry.url.removesuffix("/registry") + "/v2/").status_code == 404


def test_many_clients_can_push_at_once(registry):
    contents = [str(number).encode() * 10_000 for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda content: push_blob(registry, "a", content), contents))
    assert {answer.status_code for answer in answers} == {201}
    assert len(registry.blobs("a")) == 40
    assert len(registry.requests) == 80


def test_skopeo_reads_what_was_added(registry):
    digest = registry.add_index("library/nginx", "1.27")
    address = f"docker://{registry.url.removeprefix('http://')}/library/nginx:1.27"
    answer = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", "--raw", address], capture_output=True, check=True
    )
    assert digest_of(answer.stdout) == digest
    assert len(json.loads(answer.stdout)["manifests"]) == 2


@pytest.mark.parametrize("name", ["access", "content", "images", "memory"])
def test_the_examples_in_the_docstrings_run(name):
    failed, attempted = doctest.testmod(importlib.import_module(f"registry.testkit.{name}"))
    assert (failed, attempted > 0) == (0, True)
