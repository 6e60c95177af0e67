"""Referrers between Debian's docker-registry (distribution 2.8, without the API) and its like."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import CopyOptions, CopyResult, CopySource, CopyTarget, Descriptor, Manifest, Tally, copy_artifact
from registry.companions import fallback_tag
from registry.testkit import build_artifact
from registry.testkit.content import read_all

pytestmark = pytest.mark.slow


def attach(client, repository, subject, payload):
    """Push a referrer with its blobs, as oras does."""
    head = client.head_manifest(repository, subject)
    described = {"mediaType": head.media_type, "digest": subject, "size": head.size_bytes}
    built = build_artifact(payload, artifact_type="application/vnd.test.sbom", subject=described)
    for digest, content in built.blobs.items():
        client.upload_blob(repository, Descriptor("", digest, content.size_bytes), [read_all(content)])
    return client.put_referrer(repository, Manifest.parse(built.content, content_type=built.media_type))


def listed(client, repository, subject):
    return {descriptor.digest for descriptor in client.referrers(repository, subject).descriptors}


def copy(source, target, repository, digest, *tags):
    (result,) = copy_artifact(
        CopySource(source, repository, digest),
        [CopyTarget(target, f"copied/{repository}", tags)],
        options=CopyOptions(referrers=True),
    )
    assert isinstance(result, CopyResult), result
    return result


def test_referrers_of_referrers_and_those_of_the_target_end_up_side_by_side(docker_registry_pair, make_client, skopeo):
    source, target = (make_client(registry) for registry in docker_registry_pair)
    digest = skopeo.push_image(docker_registry_pair[0].host, "real/signed:1", layer_sizes=[20_000])
    sbom = attach(source, "real/signed", digest, b"what is in it")
    signature = attach(source, "real/signed", sbom, b"signed")
    copy(source, target, "real/signed", digest, "1")
    theirs = attach(target, "copied/real/signed", digest, b"scanned here")
    late = attach(source, "real/signed", digest, b"approved")

    result = copy(source, target, "real/signed", digest)

    assert listed(target, "copied/real/signed", digest) == {sbom, theirs, late}
    assert listed(target, "copied/real/signed", sbom) == {signature}
    assert result.referrers_copied == 1
    assert skopeo.digest(docker_registry_pair[1].host, "copied/real/signed:1") == digest
    assert source.connection.learned.referrers_api is False
    assert target.connection.learned.acknowledges_subject is False


def test_writers_at_once_lose_nothing(docker_registry, make_client, skopeo):
    digest = skopeo.push_image(docker_registry.host, "real/raced:1")
    with ThreadPoolExecutor(4) as pool:
        clients = [make_client(docker_registry) for _ in range(8)]
        pushed = list(pool.map(lambda n: attach(clients[n], "real/raced", digest, f"signature {n}".encode()), range(8)))
    assert listed(clients[0], "real/raced", digest) == set(pushed)


def test_an_entry_that_was_deleted_behind_the_index_is_dropped(docker_registry, make_client, skopeo):
    client = make_client(docker_registry)
    digest = skopeo.push_image(docker_registry.host, "real/stale:1")
    gone = attach(client, "real/stale", digest, b"old")
    client.delete_manifest("real/stale", gone)

    new = attach(client, "real/stale", digest, b"new")

    assert listed(client, "real/stale", digest) == {new}


def test_an_unsigned_image_costs_one_question_in_all(docker_registry_pair, make_client, skopeo):
    source, target = docker_registry_pair
    tally = Tally()
    reader, writer = make_client(source, tally=tally), make_client(target)
    counts = []
    for number in range(3):
        digest = skopeo.push_image(source.host, f"real/plain:{number}", layers=[f"layer {number}".encode()])
        before = tally.total_requests
        order = CopySource(reader, "real/plain", digest, referrer_tags=frozenset())
        copy_artifact(order, [CopyTarget(writer, "copied/plain", ("x",))], options=CopyOptions(referrers=True))
        counts.append(tally.total_requests - before)
    assert counts == [counts[1] + 1, counts[1], counts[1]]
    assert fallback_tag(digest) not in writer.tags("copied/plain")
