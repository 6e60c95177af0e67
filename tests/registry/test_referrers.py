"""Reading and keeping the lists of what refers to a manifest: API, fallback tag, and many writers at once."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import DeniedError, ImmutableError, Manifest, ProtocolError, ServerError, UnsupportedError
from registry.client.fallback import ATTEMPTS
from registry.client.referrers import ReferrerList
from registry.companions import fallback_tag, read_companion_tag
from registry.media import OCI_INDEX
from registry.testkit import Fault, MemoryRegistry, StoredManifest, build_artifact

REPOSITORY = "team/app"


@pytest.fixture
def registry(memory_registry):
    return memory_registry


@pytest.fixture
def modern():
    with MemoryRegistry(referrers=True) as registry:
        yield registry


def referrer_of(registry, subject, note=""):
    """Build a referrer whose blobs are in the registry already."""
    stored = registry.manifests(REPOSITORY)[subject]
    described = {"mediaType": stored.media_type, "digest": subject, "size": len(stored.content)}
    built = build_artifact(
        f"about {subject} {note}".encode(), artifact_type="application/vnd.test.sbom", subject=described
    )
    for content in built.blobs.values():
        registry.add_blob(REPOSITORY, b"".join(content.read()))
    return Manifest.parse(built.content, content_type=built.media_type)


def digests_of(listed: ReferrerList) -> set[str]:
    return {descriptor.digest for descriptor in listed.descriptors}


def asked_for_referrers(registry):
    return len(registry.requests_for("GET", "/referrers/"))


@pytest.mark.parametrize(
    ("tag", "suffix", "subject"),
    [
        ("sha256-" + "a" * 64, "", "sha256:" + "a" * 64),
        ("sha256-" + "a" * 64 + ".sig", ".sig", "sha256:" + "a" * 64),
        ("sha256-" + "a" * 64 + ".sbom", ".sbom", "sha256:" + "a" * 64),
        ("sha512-" + "b" * 64, "", ""),
    ],
)
def test_the_tags_of_companions_name_their_subjects(tag, suffix, subject):
    companion = read_companion_tag(tag)
    assert (companion.suffix, companion.subject, companion.is_list) == (suffix, subject, suffix == "")


@pytest.mark.parametrize("tag", ["v1", "sha256-abc", "sha256-" + "A" * 64, "sha256-" + "a" * 64 + ".zip"])
def test_other_tags_are_not_companions(tag):
    assert read_companion_tag(tag) is None


def test_a_long_digest_is_cut_to_make_a_tag():
    assert fallback_tag("sha512:" + "c" * 128) == "sha512-" + "c" * 64
    assert len(fallback_tag("x" * 40 + ":" + "c" * 128)) == 32 + 1 + 64


def test_the_api_lists_page_by_page(modern, make_client):
    subject = modern.add_image(REPOSITORY, "1")
    signatures = {modern.add_signature(REPOSITORY, subject, note=str(n)) for n in range(5)}
    modern.page_size = 2

    listed = make_client(modern).referrers(REPOSITORY, subject)

    assert (digests_of(listed), listed.is_from_api) == (signatures, True)
    assert asked_for_referrers(modern) == 3
    assert {entry.artifact_type for entry in listed.descriptors} == {"application/vnd.test.signature.v1"}


def test_pages_that_go_round_in_a_circle_are_an_error(modern, make_client):
    subject = modern.add_image(REPOSITORY, "1")
    modern.faults.add(
        Fault(
            path_pattern="/referrers/",
            action="alter",
            times=None,
            rewrite=lambda response, request: response.with_headers(link=f'<{request.path}>; rel="next"'),
        )
    )
    with pytest.raises(ProtocolError, match="do not come to an end"):
        make_client(modern).referrers(REPOSITORY, subject)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {}, b"404 page not found"),
        (400, {}, b""),
        (405, {}, b""),
        (406, {}, b""),
        (501, {}, b""),
        (200, {"Content-Type": "text/html"}, b"<!doctype html><title>Welcome</title>"),
        (200, {"Content-Type": "application/json"}, b'{"message": "hello"}'),
        (200, {"Content-Type": "application/json"}, b"[]"),
        (200, {"Content-Type": "text/plain"}, b"hello"),
    ],
)
def test_what_is_no_list_means_that_there_is_no_api(registry, make_client, status, headers, body):
    subject = registry.add_image(REPOSITORY, "1")
    signature = registry.add_signature(REPOSITORY, subject)
    registry.faults.add(Fault(path_pattern="/referrers/", times=None, status=status, headers=headers, body=body))

    listed = make_client(registry).referrers(REPOSITORY, subject)

    assert (digests_of(listed), listed.is_from_api) == ({signature}, False)


def test_a_registry_without_the_api_is_asked_once_for_all_its_repositories(registry, make_client):
    client = make_client(registry)
    for repository in ("team/app", "team/other"):
        subject = registry.add_image(repository, "1")
        assert client.referrers(repository, subject) == ReferrerList()
    assert asked_for_referrers(registry) == 1


def test_many_threads_at_once_ask_once_whether_there_is_an_api(registry, make_client):
    client = make_client(registry)
    subjects = [registry.add_image(REPOSITORY, str(n)) for n in range(8)]
    registry.faults.add(Fault(path_pattern="/referrers/", action="stall", seconds=0.2))
    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(lambda subject: client.referrers(REPOSITORY, subject, known_tags=()), subjects))
    assert lists == [ReferrerList()] * 8
    assert asked_for_referrers(registry) == 1


def test_an_unknown_repository_says_nothing_about_the_api(modern, make_client):
    client = make_client(modern)
    body = json.dumps({"errors": [{"code": "NAME_UNKNOWN", "message": "repository name not known"}]}).encode()
    modern.faults.add(Fault(path_pattern="/referrers/", status=404, body=body))
    subject = modern.add_image(REPOSITORY, "1")
    signature = modern.add_signature(REPOSITORY, subject)

    assert client.referrers(REPOSITORY, subject) == ReferrerList()
    assert digests_of(client.referrers(REPOSITORY, subject)) == {signature}


def test_a_failing_registry_is_an_error_and_no_answer(modern, make_client):
    subject = modern.add_image(REPOSITORY, "1")
    modern.faults.add(Fault(path_pattern="/referrers/", status=503))
    client = make_client(modern)
    with pytest.raises(ServerError):
        client.referrers(REPOSITORY, subject)
    assert client.referrers(REPOSITORY, subject).is_from_api


def test_a_refused_list_is_told_and_the_fallback_tag_is_read(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    signature = registry.add_signature(REPOSITORY, subject)
    registry.faults.add(Fault(path_pattern="/referrers/", times=None, status=403))
    client = make_client(registry)
    for _ in range(2):
        listed = client.referrers(REPOSITORY, subject)
        assert digests_of(listed) == {signature}
        assert "403" in listed.denial
    assert asked_for_referrers(registry) == 1


def test_a_registry_that_refused_is_asked_again_some_time(modern, make_client, monkeypatch):
    subject = modern.add_image(REPOSITORY, "1")
    signature = modern.add_signature(REPOSITORY, subject)
    modern.faults.add(Fault(path_pattern="/referrers/", status=403))
    client = make_client(modern)
    assert client.referrers(REPOSITORY, subject).descriptors == ()
    monkeypatch.setattr("registry.client.referrers.DENIAL_SECONDS", -1.0)
    listed = client.referrers(REPOSITORY, subject)
    assert (digests_of(listed), listed.denial) == ({signature}, "")


def test_one_refused_list_does_not_make_a_registry_one_without_the_api(modern, make_client):
    subject = modern.add_image(REPOSITORY, "1")
    signature = modern.add_signature(REPOSITORY, subject)
    client = make_client(modern)
    client.referrers(REPOSITORY, subject)
    modern.faults.add(Fault(path_pattern="/referrers/", status=403))
    assert "403" in client.referrers(REPOSITORY, subject).denial
    assert digests_of(client.referrers(REPOSITORY, subject)) == {signature}


def test_a_fallback_tag_that_is_not_among_the_known_tags_is_not_asked_for(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    signature = registry.add_signature(REPOSITORY, subject)
    client = make_client(registry)
    assert client.referrers(REPOSITORY, subject, known_tags={"1"}) == ReferrerList()
    assert client.referrers_version(REPOSITORY, subject, known_tags={"1"}) == ""
    assert [request.path for request in registry.requests] == [f"/v2/{REPOSITORY}/referrers/{subject}"]
    assert digests_of(client.referrers(REPOSITORY, subject, known_tags={fallback_tag(subject)})) == {signature}


def test_what_a_registry_with_the_api_still_has_under_the_fallback_tag_is_read_as_well(modern, make_client):
    subject = modern.add_image(REPOSITORY, "1")
    new = modern.add_signature(REPOSITORY, subject, note="new")
    old = modern.add_image(REPOSITORY, None, layers=[b"an old signature without a subject"])
    modern.list_as_referrer(
        REPOSITORY, subject, {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": old, "size": 1}
    )
    listed = make_client(modern).referrers(REPOSITORY, subject, known_tags={fallback_tag(subject)})
    assert digests_of(listed) == {old, new}


@pytest.mark.parametrize("has_api", [False, True])
def test_the_version_changes_with_the_list_and_costs_less_than_it(make_client, has_api):
    with MemoryRegistry(referrers=has_api) as registry:
        subject = registry.add_image(REPOSITORY, "1")
        client = make_client(registry)
        versions = [client.referrers_version(REPOSITORY, subject)]
        for note in ("first", "second"):
            registry.add_signature(REPOSITORY, subject, note=note)
            versions.append(client.referrers_version(REPOSITORY, subject))
            assert client.referrers(REPOSITORY, subject).version == versions[-1]
        assert versions[0] == ""
        assert len(set(versions)) == 3


def test_a_referrer_of_a_registry_with_the_api_needs_no_tag(modern, make_client):
    subject = modern.add_image(REPOSITORY, "1")
    referrer = referrer_of(modern, subject)

    make_client(modern).put_referrer(REPOSITORY, referrer)

    assert modern.tags(REPOSITORY) == {"1": subject}
    assert digests_of(make_client(modern).referrers(REPOSITORY, subject)) == {referrer.digest}


def test_without_the_api_the_fallback_tag_lists_a_referrer_as_the_specification_has_it(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    referrer = referrer_of(registry, subject)

    make_client(registry).put_referrer(REPOSITORY, referrer)

    index = registry.manifests(REPOSITORY)[registry.tags(REPOSITORY)[fallback_tag(subject)]]
    assert index.document == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {
                "mediaType": referrer.media_type,
                "digest": referrer.digest,
                "size": referrer.size_bytes,
                "artifactType": "application/vnd.test.sbom",
            }
        ],
    }


def test_a_referrer_pushed_twice_is_listed_once_and_costs_one_look(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    referrer = referrer_of(registry, subject)
    client = make_client(registry)
    client.put_referrer(REPOSITORY, referrer)
    registry.requests.clear()

    assert client.list_under_fallback_tag(REPOSITORY, subject, [referrer]) == frozenset()

    assert registry.referrers_under_tag(REPOSITORY, subject) == [referrer.digest]
    assert [request.method for request in registry.requests] == ["GET"]


def test_what_others_say_in_the_index_stays(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    foreign = registry.add_image(REPOSITORY, None, layers=[b"theirs"])
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": foreign,
        "size": len(registry.manifests(REPOSITORY)[foreign].content),
        "annotations": {"theirs": "yes"},
        "x-unknown": [1],
    }
    registry.list_as_referrer(REPOSITORY, subject, entry)
    referrer = referrer_of(registry, subject)

    make_client(registry).list_under_fallback_tag(REPOSITORY, subject, [referrer_put(registry, referrer)])

    index = registry.manifests(REPOSITORY)[registry.tags(REPOSITORY)[fallback_tag(subject)]].document
    assert index["manifests"][0] == entry
    assert [e["digest"] for e in index["manifests"]] == [foreign, referrer.digest]


def referrer_put(registry, referrer):
    """Store a referrer's manifest without listing it."""
    with registry.store.changing(REPOSITORY) as kept:
        kept.manifests[referrer.digest] = StoredManifest(referrer.media_type, referrer.content)
    return referrer


def test_a_tag_that_is_something_else_is_left_alone(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    theirs = registry.add_image(REPOSITORY, fallback_tag(subject))
    with pytest.raises(UnsupportedError, match="another thing"):
        make_client(registry).list_under_fallback_tag(REPOSITORY, subject, [referrer_of(registry, subject)])
    assert registry.tags(REPOSITORY)[fallback_tag(subject)] == theirs


def test_an_entry_whose_manifest_was_deleted_is_not_in_the_way(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    gone = registry.add_signature(REPOSITORY, subject)
    registry.store.delete_manifest(REPOSITORY, gone)
    referrer = referrer_of(registry, subject)

    make_client(registry).put_referrer(REPOSITORY, referrer)

    assert registry.referrers_under_tag(REPOSITORY, subject) == [referrer.digest]


def write_between(registry, subject, foreign, *, times):
    """Have somebody else overwrite the tag with their own index right after each of our writes."""
    left = [times]

    def rewrite(response, request):
        if request.method == "PUT" and left[0]:
            left[0] -= 1
            registry.remove_tag(REPOSITORY, fallback_tag(subject))
            registry.list_as_referrer(REPOSITORY, subject, foreign)
        return response

    registry.faults.add(
        Fault(method="PUT", path_pattern=fallback_tag(subject), action="alter", times=None, rewrite=rewrite)
    )


def foreign_entry(registry):
    digest = registry.add_image(REPOSITORY, None, layers=[b"theirs"])
    size = len(registry.manifests(REPOSITORY)[digest].content)
    return {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size}


def test_an_entry_that_a_foreign_writer_lost_is_put_back(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    foreign = foreign_entry(registry)
    write_between(registry, subject, foreign, times=2)
    referrer = referrer_of(registry, subject)

    make_client(registry).put_referrer(REPOSITORY, referrer)

    assert set(registry.referrers_under_tag(REPOSITORY, subject)) == {foreign["digest"], referrer.digest}


def test_a_writer_that_never_gives_way_is_told_of(registry, make_client, monkeypatch):
    monkeypatch.setattr("registry.client.fallback._FIRST_PAUSE_SECONDS", 0.0)
    subject = registry.add_image(REPOSITORY, "1")
    write_between(registry, subject, foreign_entry(registry), times=ATTEMPTS)
    with pytest.raises(ServerError, match="go on overwriting"):
        make_client(registry).put_referrer(REPOSITORY, referrer_of(registry, subject))


def test_who_was_overtaken_between_reading_and_writing_overwrites_nobody(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    foreign = foreign_entry(registry)
    registry.add_signature(REPOSITORY, subject)
    referrer = referrer_of(registry, subject)

    def overtake(response, request):
        if foreign["digest"] not in registry.referrers_under_tag(REPOSITORY, subject):
            registry.list_as_referrer(REPOSITORY, subject, foreign)
        return response

    tag = fallback_tag(subject)
    registry.faults.add(Fault(method="GET", path_pattern=f"manifests/{tag}", action="alter", rewrite=overtake))
    make_client(registry).put_referrer(REPOSITORY, referrer)

    assert {foreign["digest"], referrer.digest} <= set(registry.referrers_under_tag(REPOSITORY, subject))
    assert [r.status for r in registry.requests_for("PUT", tag)] == [412, 201]


def test_a_tag_that_must_not_change_is_an_error_at_once(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    registry.add_signature(REPOSITORY, subject)
    body = b'{"errors": [{"code": "PRECONDITION", "message": "the tag is immutable"}]}'
    registry.faults.add(Fault(method="PUT", path_pattern=fallback_tag(subject), times=None, status=412, body=body))
    with pytest.raises(ImmutableError):
        make_client(registry).put_referrer(REPOSITORY, referrer_of(registry, subject))
    assert len(registry.requests_for("PUT", fallback_tag(subject))) == 2


def test_many_threads_that_push_referrers_of_one_subject_lose_none(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    referrers = [referrer_of(registry, subject, str(number)) for number in range(12)]
    together = threading.Barrier(4)
    # The registry knows no conditions, as distribution: the lock alone keeps the writers apart.
    registry.faults.add(
        Fault(method="PUT", path_pattern="sha256-", action="alter", times=None, without_request_headers=("if-match",))
    )

    def push(position):
        client = make_client(registry)
        together.wait()
        for referrer in referrers[position::4]:
            client.put_referrer(REPOSITORY, referrer)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, range(4)))

    assert sorted(registry.referrers_under_tag(REPOSITORY, subject)) == sorted(r.digest for r in referrers)
    assert len(registry.requests_for("PUT", fallback_tag(subject))) == 12


def test_a_denied_write_of_the_list_comes_through(registry, make_client):
    subject = registry.add_image(REPOSITORY, "1")
    registry.faults.add(Fault(method="PUT", path_pattern=fallback_tag(subject), status=403))
    with pytest.raises(DeniedError):
        make_client(registry).put_referrer(REPOSITORY, referrer_of(registry, subject))
