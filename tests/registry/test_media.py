import base64
import json

import pytest

from registry import media
from registry.digests import digest_of
from registry.errors import ProtocolError, UnsupportedError
from registry.media import Descriptor, Manifest, Platform

CONFIG = {"mediaType": media.OCI_CONFIG, "digest": digest_of(b"config"), "size": 6}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest_of(b"layer"), "size": 5}
CHILD = {"mediaType": media.OCI_MANIFEST, "digest": digest_of(b"child"), "size": 5}


def parse(document, content_type=None):
    return Manifest.parse(json.dumps(document).encode(), content_type=content_type)


def test_an_image_lists_its_config_and_layers():
    manifest = parse({"schemaVersion": 2, "mediaType": media.OCI_MANIFEST, "config": CONFIG, "layers": [LAYER]})

    assert [blob.digest for blob in manifest.blobs] == [CONFIG["digest"], LAYER["digest"]]
    assert not manifest.is_index
    assert manifest.children == ()


def test_an_index_lists_its_children_with_their_platforms():
    entry = {**CHILD, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}

    manifest = parse({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [entry]})

    assert manifest.is_index
    assert manifest.children[0].platform == Platform("linux", "arm64", "v8")
    assert str(manifest.children[0].platform) == "linux/arm64/v8"


def test_buildkits_cache_index_holds_layers_which_are_blobs_and_not_children():
    config = {"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": digest_of(b"c"), "size": 1}

    manifest = parse({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [LAYER, config, CHILD]})

    assert [blob.digest for blob in manifest.blobs] == [LAYER["digest"], config["digest"]]
    assert [child.digest for child in manifest.children] == [CHILD["digest"]]


@pytest.mark.parametrize(
    "media_type", [media.DOCKER_FOREIGN_LAYER, media.OCI_FOREIGN_LAYER, media.OCI_FOREIGN_LAYER + "+gzip"]
)
def test_layers_that_must_not_be_distributed_are_kept_apart(media_type):
    foreign = {**LAYER, "mediaType": media_type, "urls": ["https://example.test/layer"]}

    manifest = parse({"schemaVersion": 2, "config": CONFIG, "layers": [foreign]})

    assert [blob.digest for blob in manifest.blobs] == [CONFIG["digest"]]
    assert manifest.foreign_layers[0].urls == ("https://example.test/layer",)


def test_the_old_artifact_manifest_lists_blobs():
    manifest = parse({"mediaType": media.OCI_ARTIFACT, "artifactType": "x/y", "blobs": [LAYER]})

    assert [blob.digest for blob in manifest.blobs] == [LAYER["digest"]]


def test_a_signature_names_its_subject():
    manifest = parse({"schemaVersion": 2, "config": CONFIG, "layers": [], "subject": CHILD})

    assert manifest.subject.digest == CHILD["digest"]


def test_inline_content_is_decoded():
    described = Descriptor.parse({**CONFIG, "data": base64.b64encode(b"config").decode()})

    assert described.data == b"config"
    assert Descriptor.parse({**CONFIG, "data": "%%%"}).data is None


@pytest.mark.parametrize(
    ("document", "content_type", "expected"),
    [
        pytest.param({"mediaType": media.OCI_INDEX, "manifests": []}, None, media.OCI_INDEX, id="body alone"),
        pytest.param({"manifests": []}, media.DOCKER_LIST, media.DOCKER_LIST, id="header alone"),
        pytest.param(
            {"layers": []}, f"{media.OCI_MANIFEST}; charset=utf-8", media.OCI_MANIFEST, id="header parameters"
        ),
        pytest.param({"manifests": []}, "application/json", media.OCI_INDEX, id="index by shape"),
        pytest.param({"layers": []}, "text/plain", media.OCI_MANIFEST, id="image by shape"),
        pytest.param(
            {"mediaType": media.DOCKER_LIST, "manifests": []}, "application/json", media.DOCKER_LIST, id="body first"
        ),
        pytest.param({"mediaType": "x/odd", "layers": []}, "application/json", "x/odd", id="unknown type is kept"),
    ],
)
def test_the_type_comes_from_the_body_then_the_header_then_the_shape(document, content_type, expected):
    assert parse(document, content_type).media_type == expected


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        pytest.param(b"", None, id="empty"),
        pytest.param(b"<!DOCTYPE html><html>", None, id="web page"),
        pytest.param(b"{}", "text/html", id="served as a web page"),
        pytest.param(b"{", None, id="broken JSON"),
        pytest.param(b"[" * 100_000, None, id="nested without end"),
        pytest.param(b"[]", None, id="not an object"),
        pytest.param(b"{}", None, id="neither type nor shape"),
        pytest.param(b'{"manifests": [], "layers": []}', None, id="index and image at once"),
        pytest.param(
            b'{"mediaType": "%s", "manifests": []}' % media.OCI_INDEX.encode(), media.DOCKER_LIST, id="conflict"
        ),
        pytest.param(
            b'{"mediaType": "%s", "manifests": []}' % media.OCI_MANIFEST.encode(), None, id="shape contradicts"
        ),
        pytest.param(b'{"manifests": {}}', None, id="manifests is no list"),
        pytest.param(b'{"layers": [1]}', None, id="descriptor is no object"),
        pytest.param(b'{"layers": [{"size": 1}]}', None, id="no digest"),
        pytest.param(b'{"layers": [{"digest": "sha256:../../x", "size": 1}]}', None, id="digest is a path"),
        pytest.param(
            b'{"layers": [{"digest": "%s", "size": -1}]}' % LAYER["digest"].encode(), None, id="negative size"
        ),
        pytest.param(
            b'{"layers": [{"digest": "%s", "size": true}]}' % LAYER["digest"].encode(), None, id="size is a boolean"
        ),
        pytest.param(b'{"layers": [], "subject": 7}', None, id="subject is no descriptor"),
    ],
)
def test_what_is_no_manifest_is_refused(content, content_type):
    with pytest.raises(ProtocolError):
        Manifest.parse(content, content_type=content_type)


@pytest.mark.parametrize("content_type", [media.DOCKER_SCHEMA1_SIGNED, None])
def test_schema_1_is_named_as_what_it_is(content_type):
    with pytest.raises(UnsupportedError, match="schema 1"):
        Manifest.parse(b'{"schemaVersion": 1, "fsLayers": []}', content_type=content_type)


def test_the_bytes_are_kept_exactly_and_give_the_digest():
    content = b'{ "schemaVersion":2,\n\t"layers" : [ ] }'

    manifest = Manifest.parse(content)

    assert manifest.content == content
    assert manifest.digest == digest_of(content)
    assert manifest.size_bytes == len(content)


def test_accept_names_every_type_in_one_line():
    assert set(media.ACCEPT.split(", ")) == media.MANIFEST_TYPES
