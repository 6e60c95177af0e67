import pytest

from registry import ImmutableError, SiblingTagsError, UnsupportedError, digest_of
from registry.testkit import Fault, MemoryRegistry, known_faults

ELSEWHERE = digest_of(b"elsewhere")


def add_tags(registry, *tags):
    """Store one image under several tags and give its digest."""
    digests = {registry.add_image("team/app", tag, layers=[b"the same"]) for tag in tags}
    assert len(digests) == 1
    return digests.pop()


@pytest.fixture
def untagging():
    with MemoryRegistry(tag_delete=True) as registry:
        yield registry


def test_a_manifest_is_deleted_by_its_digest(memory_registry, make_client):
    digest = add_tags(memory_registry, "1")

    make_client(memory_registry).delete_manifest("team/app", digest)

    assert memory_registry.tags("team/app") == {}


def test_what_is_not_there_counts_as_deleted(memory_registry, make_client):
    make_client(memory_registry).delete_manifest("team/app", ELSEWHERE)


def test_a_registry_that_deletes_nothing_says_how_to_switch_it_on(make_client):
    with MemoryRegistry(delete_enabled=False) as registry:
        digest = add_tags(registry, "1")

        with pytest.raises(UnsupportedError, match=r"storage\.delete\.enabled"):
            make_client(registry).delete_manifest("team/app", digest)


def test_where_tags_can_be_deleted_only_they_go(untagging, make_client):
    digest = add_tags(untagging, "1", "2", "3")

    assert make_client(untagging).delete_tags("team/app", ["1", "2"], digest=digest) == ("1", "2")
    assert untagging.tags("team/app") == {"3": digest}
    assert digest in untagging.manifests("team/app")


def test_where_only_digests_can_be_deleted_all_tags_of_one_may_go_together(memory_registry, make_client):
    digest = add_tags(memory_registry, "1", "2")
    other = memory_registry.add_image("team/app", "3")

    assert make_client(memory_registry).delete_tags("team/app", ["1", "2"], digest=digest) == ("1", "2")
    assert memory_registry.tags("team/app") == {"3": other}


def test_sibling_tags_are_never_taken_along(memory_registry, make_client):
    digest = add_tags(memory_registry, "1", "2", "3")

    with pytest.raises(SiblingTagsError) as caught:
        make_client(memory_registry).delete_tags("team/app", ["1"], digest=digest)

    assert caught.value.siblings == ("2", "3")
    assert "2, 3" in str(caught.value)
    assert set(memory_registry.tags("team/app")) == {"1", "2", "3"}


def test_that_tags_cannot_be_deleted_is_learned_once(memory_registry, make_client):
    client = make_client(memory_registry)
    for tag in ("1", "2"):
        digest = memory_registry.add_image("team/app", tag)
        client.delete_tags("team/app", [tag], digest=digest)

    refused = [request for request in memory_registry.requests if request.status == 405]
    assert len(refused) == 1


@pytest.mark.parametrize("code", ["DIGEST_INVALID", "UNSUPPORTED", "TAG_INVALID"])
def test_a_registry_that_answers_400_to_a_tag_deletes_by_digest(memory_registry, make_client, code):
    digest = add_tags(memory_registry, "1")
    body = b'{"errors":[{"code":"%s"}]}' % code.encode()
    memory_registry.faults.add(Fault(method="DELETE", path_pattern="manifests/1$", status=400, body=body))

    assert make_client(memory_registry).delete_tags("team/app", ["1"], digest=digest) == ("1",)
    assert memory_registry.tags("team/app") == {}


def test_an_immutable_tag_is_not_deleted_by_its_digest(memory_registry, make_client):
    digest = add_tags(memory_registry, "1")
    body = b'{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}'
    memory_registry.faults.add(Fault(method="DELETE", path_pattern="manifests/1$", status=400, body=body))

    with pytest.raises(ImmutableError):
        make_client(memory_registry).delete_tags("team/app", ["1"], digest=digest)
    assert memory_registry.tags("team/app") == {"1": digest}


def test_a_tag_that_moved_on_is_spared(untagging, make_client):
    old = add_tags(untagging, "1", "2")
    new = untagging.add_image("team/app", "2", layers=[b"newer"])

    assert make_client(untagging).delete_tags("team/app", ["1", "2"], digest=old) == ("1",)
    assert untagging.tags("team/app") == {"2": new}


def test_tags_that_are_gone_already_count_as_gone(untagging, make_client):
    digest = add_tags(untagging, "1")

    assert make_client(untagging).delete_tags("team/app", ["1", "gone"], digest=digest) == ("1", "gone")


def test_nothing_is_asked_for_no_tags(memory_registry, make_client):
    assert make_client(memory_registry).delete_tags("team/app", [], digest=ELSEWHERE) == ()
    assert memory_registry.requests == []


def test_an_immutable_tag_is_told_apart(memory_registry, make_client):
    digest = add_tags(memory_registry, "1")
    memory_registry.faults.add(known_faults.immutable_tag())

    with pytest.raises(ImmutableError):
        make_client(memory_registry).delete_tags("team/app", ["1"], digest=digest)


def test_deleting_asks_for_the_right_to_delete_and_reading_does_not(make_client):
    with MemoryRegistry(auth="bearer", username="u", password="p") as registry:
        digest = add_tags(registry, "1")
        client = make_client(registry, username="u", password="p")

        client.tags("team/app")
        assert not any("delete" in request.query for request in registry.requests)
        client.delete_manifest("team/app", digest)

        assert any("delete" in request.query for request in registry.requests)


@pytest.mark.parametrize("status", [200, 204])
def test_odd_success_codes_are_accepted(memory_registry, make_client, status):
    memory_registry.faults.add(Fault(method="DELETE", status=status))

    make_client(memory_registry).delete_manifest("team/app", ELSEWHERE)
