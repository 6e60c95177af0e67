"""Copying some platforms of an image, in each of the three modes, between in-memory registries."""

import json

import pytest

from registry import (
    CopyOptions,
    CopySource,
    CopyTarget,
    NoMatchingPlatformError,
    Note,
    RegistryError,
    UnsupportedError,
    copy_artifact,
)
from registry.errors import BlobUnknownError
from registry.platforms import MODES, PlatformChoice, select
from registry.testkit import Fault, MemoryRegistry, build_image, build_index, known_faults

AMD, ARM, S390 = "linux/amd64", "linux/arm64", "linux/s390x"


@pytest.fixture
def clients(source, target, make_client):
    """Give clients that keep what they learn from one copy to the next."""
    return make_client(source), make_client(target)


@pytest.fixture
def copy(clients):
    """Copy team/app@digest to mirror/app: `copy(digest, "1", mode="sparse", platforms=[AMD])`."""
    reader, writer = clients

    def run(digest, *tags, mode="", platforms=(AMD,), events=None):
        choice = PlatformChoice.parse(platforms, mode) if mode else None
        (outcome,) = copy_artifact(
            CopySource(reader, "team/app", digest, platforms=choice),
            [CopyTarget(writer, "mirror/app", tags)],
            options=CopyOptions(),
            on_event=lambda _, event: events.append(event) if events is not None else None,
        )
        if isinstance(outcome, RegistryError):
            raise outcome
        return outcome

    return run


def children_of(registry, digest):
    document = registry.manifests("mirror/app")[digest].document
    return [entry["digest"] for entry in document["manifests"]]


def images_by_platform(registry, digest):
    entries = registry.manifests("team/app")[digest].document["manifests"]
    return {
        "/".join((entry["platform"]["os"], entry["platform"]["architecture"])): entry["digest"]
        for entry in entries
        if "annotations" not in entry
    }


def notes_of(events):
    return [event.message for event in events if isinstance(event, Note)]


def test_a_rewritten_index_stands_at_the_target_under_a_new_digest(source, target, copy):
    digest = source.add_index("team/app", "1", [AMD, ARM, S390])
    images, events = images_by_platform(source, digest), []

    result = copy(digest, "1", "latest", mode="rewritten", platforms=[AMD, ARM], events=events)

    assert result.digest != digest
    assert target.tags("mirror/app") == {"1": result.digest, "latest": result.digest}
    assert children_of(target, result.digest) == [images[AMD], images[ARM]]
    assert target.manifests("mirror/app").keys() == {result.digest, images[AMD], images[ARM]}
    assert len(target.blobs("mirror/app")) == 4
    assert notes_of(events) == [f"{digest}: linux/amd64, linux/arm64 of 3 platforms, new digest {result.digest}"]


def test_the_same_index_is_rewritten_to_the_same_digest_and_nothing_moves_again(source, target, copy):
    digest = source.add_index("team/app", "1", [AMD, ARM, S390])
    first = copy(digest, "1", mode="rewritten", platforms=[AMD, ARM])
    target.requests.clear()

    second = copy(digest, "2", mode="rewritten", platforms=[ARM, AMD])

    assert second.digest == first.digest
    assert [(request.method, request.path) for request in target.requests] == [
        ("HEAD", f"/v2/mirror/app/manifests/{first.digest}"),
        ("PUT", "/v2/mirror/app/manifests/2"),
    ]


def test_attestations_travel_with_their_images(source, target, copy):
    digest = source.add_index("team/app", "1", [AMD, ARM], attested=True)
    result = copy(digest, "1", mode="rewritten", platforms=[ARM])
    image, attestation = children_of(target, result.digest)
    assert image == images_by_platform(source, digest)[ARM]
    about = target.manifests("mirror/app")[result.digest].document["manifests"][1]["annotations"]
    assert about["vnd.docker.reference.digest"] == image
    assert attestation in target.manifests("mirror/app")


def test_the_single_image_stands_under_the_tags(source, target, copy):
    digest = source.add_index("team/app", "1", [AMD, ARM], attested=True)
    events = []
    result = copy(digest, "1", mode="single", platforms=[ARM], events=events)
    image = images_by_platform(source, digest)[ARM]
    assert target.tags("mirror/app") == {"1": image}
    assert target.manifests("mirror/app").keys() == {image}
    assert (result.digest, result.media_type) == (image, source.manifests("team/app")[image].media_type)
    assert notes_of(events) == [f"{digest}: linux/arm64 of 2 platforms, new digest {image}"]


def test_a_sparse_index_keeps_its_digest_where_the_target_takes_it(source, target, copy, clients):
    target.sparse_indexes = True
    digest = source.add_index("team/app", "1", [AMD, ARM, S390])
    images, events = images_by_platform(source, digest), []

    result = copy(digest, "1", mode="sparse", platforms=[AMD], events=events)

    assert result.digest == digest
    assert target.tags("mirror/app") == {"1": digest}
    assert target.manifests("mirror/app").keys() == {digest, images[AMD]}
    assert target.manifests("mirror/app")[digest] == source.manifests("team/app")[digest]
    assert len(target.blobs("mirror/app")) == 2
    assert clients[1].connection.learned.sparse_index is True
    assert notes_of(events) == [f"{digest}: linux/amd64 of 3 platforms, the digest stays"]


def test_more_platforms_fill_a_sparse_index_up(source, target, copy):
    target.sparse_indexes = True
    digest = source.add_index("team/app", "1", [AMD, ARM, S390])
    images = images_by_platform(source, digest)
    copy(digest, "1", mode="sparse", platforms=[AMD])

    copy(digest, "1", mode="sparse", platforms=[AMD, ARM])
    assert target.manifests("mirror/app").keys() == {digest, images[AMD], images[ARM]}

    copy(digest, "1")
    assert target.manifests("mirror/app").keys() == {digest, *images.values()}


def puts_of(registry, part=""):
    return [request.path for request in registry.requests_for("PUT", f"manifests/{part}")]


@pytest.mark.parametrize("answer", ["blob_unknown", "blob_unknown_without_digest", "manifest_invalid"])
def test_a_target_that_refuses_sparse_indexes_is_found_out_once(source, target, copy, clients, answer):
    bodies = {"blob_unknown_without_digest": "MANIFEST_BLOB_UNKNOWN", "manifest_invalid": "MANIFEST_INVALID"}
    if answer in bodies:
        body = json.dumps({"errors": [{"code": bodies[answer], "message": "no"}]}).encode()
        target.faults.add(Fault(method="PUT", path_pattern="manifests/1", status=400, body=body, times=None))
    digest = source.add_index("team/app", "1", [AMD, ARM, S390])

    with pytest.raises(UnsupportedError, match=r"refuses sparse indexes\. Choose the rewritten index"):
        copy(digest, "1", mode="sparse")
    assert clients[1].connection.learned.sparse_index is False
    assert len(puts_of(target, "1")) == (2 if answer == "blob_unknown_without_digest" else 1)
    assert len(target.manifests("mirror/app")) == 1, "what is left out was pushed in the attempt to repair"
    assert target.tags("mirror/app") == {}

    target.requests.clear()
    with pytest.raises(UnsupportedError, match="has refused one before"):
        copy(digest, "2", mode="sparse")
    assert [request.method for request in target.requests] == ["HEAD"]


def test_a_registry_that_does_not_know_yet_what_was_just_pushed_is_not_taken_for_one_that_refuses(
    source, target, copy, clients
):
    target.sparse_indexes = True
    digest = source.add_index("team/app", "1", [AMD, ARM])
    wanted = images_by_platform(source, digest)[AMD]
    detail = [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "unknown", "detail": {"digest": wanted}}]
    late = Fault(
        method="PUT", path_pattern="manifests/1", status=400, body=json.dumps({"errors": detail}).encode(), times=2
    )
    target.faults.add(late)

    with pytest.raises(BlobUnknownError):
        copy(digest, "1", mode="sparse")
    assert clients[1].connection.learned.sparse_index is None

    assert copy(digest, "1", mode="sparse").digest == digest


def test_a_lost_layer_of_a_wanted_image_is_repaired_in_a_sparse_index(source, target, copy):
    target.sparse_indexes = True
    digest = source.add_index("team/app", "1", [AMD, ARM])
    target.faults.add(known_faults.blob_unknown())
    copy(digest, "1", mode="sparse")
    assert target.manifests("mirror/app").keys() == {digest, images_by_platform(source, digest)[AMD]}


def test_a_complete_index_at_a_target_that_refuses_holes_is_good_for_a_sparse_rule(source, target, copy, clients):
    digest = source.add_index("team/app", "1", [AMD, ARM])
    copy(digest, "1")
    clients[1].connection.learned.sparse_index = False
    assert copy(digest, "2", mode="sparse").digest == digest
    assert target.tags("mirror/app") == {"1": digest, "2": digest}


def test_a_target_that_has_what_was_left_out_teaches_nothing(source, target, copy, clients):
    digest = source.add_index("team/app", "1", [AMD, ARM])
    copy(digest, "1")
    copy(digest, "2", mode="sparse")
    assert clients[1].connection.learned.sparse_index is None


@pytest.mark.parametrize("mode", MODES)
def test_an_image_that_is_no_index_is_copied_as_it_is(source, target, copy, mode):
    digest = source.add_image("team/app", "1", platform=S390)
    assert copy(digest, "1", mode=mode, platforms=[AMD]).digest == digest
    assert target.tags("mirror/app") == {"1": digest}


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_written_when_no_platform_matches(source, target, copy, mode):
    digest = source.add_index("team/app", "1", [ARM, S390])
    with pytest.raises(NoMatchingPlatformError, match="no image for linux/amd64; it has linux/arm64, linux/s390x"):
        copy(digest, "1", mode=mode)
    assert target.requests == []


def test_a_nested_index_is_brought_whole_even_where_it_shares_an_image_that_is_left_out(source, target, copy):
    target.sparse_indexes = True
    shared, wanted = (build_image([name.encode()], platform=name) for name in (ARM, AMD))
    inner = build_index([shared])
    for part in (shared, wanted, inner):
        source.add_manifest("team/app", None, part)
    digest = source.add_manifest("team/app", "1", build_index([shared, wanted, inner]))
    copy(digest, "1", mode="sparse", platforms=[AMD])
    assert target.manifests("mirror/app").keys() == {digest, wanted.digest, inner.digest, shared.digest}


def test_each_target_of_several_is_told_of_its_own_holes(source, target, make_client):
    digest = source.add_index("team/app", "1", [AMD, ARM])
    choice = PlatformChoice.parse([AMD], "sparse")
    with MemoryRegistry(sparse_indexes=True) as willing:
        refused, taken = copy_artifact(
            CopySource(make_client(source), "team/app", digest, platforms=choice),
            [CopyTarget(make_client(registry), "mirror/app", ("1",)) for registry in (target, willing)],
        )
        assert isinstance(refused, UnsupportedError)
        assert taken.digest == digest
        assert willing.tags("mirror/app") == {"1": digest}
    reads = [request.path for request in source.requests_for("GET", "manifests/")]
    assert len(reads) == len(set(reads)) == 2


def test_the_pure_choice_and_the_copy_agree_on_the_digest(source, clients, copy):
    digest = source.add_index("team/app", "1", [AMD, ARM, S390], attested=True)
    index = clients[0].get_manifest("team/app", digest)
    for mode in MODES[1:]:
        choice = PlatformChoice.parse([ARM], mode)
        assert copy(digest, mode, mode=mode, platforms=[ARM]).digest == select(index, choice).digest
