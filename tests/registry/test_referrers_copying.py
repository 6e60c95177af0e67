"""Copying an artifact together with what refers to it, between registries with and without the referrers API."""

import json
from contextlib import ExitStack

import pytest

from registry import (
    CopyOptions,
    CopyResult,
    CopySource,
    CopyTarget,
    DeniedError,
    Note,
    UnsupportedError,
    copy_artifact,
)
from registry.companions import fallback_tag
from registry.copying.events import ArtifactSized, BlobCopied, BlobMounted, BlobPresent, ManifestPushed
from registry.platforms import PlatformChoice
from registry.testkit import BuiltManifest, Fault, MemoryRegistry, build_artifact, build_index

SOURCE, TARGET = "team/app", "mirror/app"
WITH_REFERRERS = CopyOptions(referrers=True)


@pytest.fixture
def start():
    """Start registries: `start(referrers=True)`."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(MemoryRegistry(**options))


@pytest.fixture
def copy(make_client):
    """Copy a digest: `copy(source, target, digest, "1", known=frozenset())`; several targets give several outcomes."""

    def run(source, targets, digest, *tags, known=None, options=WITH_REFERRERS, events=None):
        several = targets if isinstance(targets, list) else [targets]
        outcomes = copy_artifact(
            CopySource(make_client(source), SOURCE, digest, referrer_tags=known),
            [CopyTarget(make_client(target), TARGET, tags) for target in several],
            options=options,
            on_event=lambda _, event: events.append(event) if events is not None else None,
        )
        if isinstance(targets, list):
            return outcomes
        if not isinstance(outcomes[0], CopyResult):
            raise outcomes[0]
        return outcomes[0]

    return run


def referrers_at(registry, subject, make_client):
    """Give what a client finds at the target."""
    return {d.digest for d in make_client(registry).referrers(TARGET, subject).descriptors}


def fallback_tags(registry, repository=TARGET):
    return {tag for tag in registry.tags(repository) if tag.startswith("sha256-")}


def writes(registry):
    return [request.path.rpartition("/")[2] for request in registry.requests_for("PUT", "/manifests/")]


directions = pytest.mark.parametrize(
    ("source_api", "target_api"),
    [(True, True), (False, True), (True, False), (False, False)],
    ids=["api_to_api", "tag_to_api", "api_to_tag", "tag_to_tag"],
)


@directions
def test_referrers_arrive_byte_for_byte_whatever_the_registries_offer(start, copy, make_client, source_api, target_api):
    source, target = start(referrers=source_api), start(referrers=target_api)
    digest = source.add_image(SOURCE, "1", layer_sizes=[50_000])
    signatures = {source.add_signature(SOURCE, digest, note=note) for note in ("a", "b")}

    result = copy(source, target, digest, "1")

    assert referrers_at(target, digest, make_client) == signatures
    for signature in signatures:
        assert target.manifests(TARGET)[signature] == source.manifests(SOURCE)[signature]
    assert target.tags(TARGET)["1"] == digest
    assert fallback_tags(target) == (set() if target_api else {fallback_tag(digest)})
    assert result.referrers_copied == 2
    assert set(target.blobs(TARGET)) == set(source.blobs(SOURCE))


def test_subject_first_then_what_refers_to_it_and_the_tags_last(start, copy):
    source, target = start(referrers=True), start()
    digest = source.add_index(SOURCE, "1")
    children = [entry["digest"] for entry in source.manifests(SOURCE)[digest].document["manifests"]]
    of_index = source.add_signature(SOURCE, digest)
    of_child = source.add_signature(SOURCE, children[1])

    copy(source, target, digest, "1", "latest")

    tags = [fallback_tag(digest), fallback_tag(children[1])]
    assert writes(target) == [*children, digest, of_index, of_child, *tags, "1", "latest"]


@directions
def test_what_refers_to_the_children_of_an_index_travels_too(start, copy, make_client, source_api, target_api):
    source, target = start(referrers=source_api), start(referrers=target_api)
    digest = source.add_index(SOURCE, "1")
    children = [entry["digest"] for entry in source.manifests(SOURCE)[digest].document["manifests"]]
    signatures = {child: source.add_signature(SOURCE, child) for child in children}

    result = copy(source, target, digest, "1")

    for child, signature in signatures.items():
        assert referrers_at(target, child, make_client) == {signature}
    assert set(result.referrer_versions) == {digest, *children, *signatures.values()}
    assert result.referrer_versions[digest] == ""
    assert all(result.referrer_versions[child] for child in children)


@directions
def test_referrers_of_referrers_travel_and_loops_end(start, copy, make_client, source_api, target_api):
    source, target = start(referrers=source_api), start(referrers=target_api)
    digest = source.add_image(SOURCE, "1")
    sbom = source.add_signature(SOURCE, digest, artifact_type="application/vnd.test.sbom")
    signature = source.add_signature(SOURCE, sbom)
    if not source_api:
        # Only an index can go round: it is nobody's content.
        stored = source.manifests(SOURCE)[digest]
        entry = {"mediaType": stored.media_type, "digest": digest, "size": len(stored.content)}
        source.list_as_referrer(SOURCE, signature, entry)
        source.list_as_referrer(SOURCE, digest, entry)

    copy(source, target, digest, "1")

    assert sbom in referrers_at(target, digest, make_client)
    assert signature in referrers_at(target, sbom, make_client)


def test_an_index_that_refers_to_the_artifact_travels_whole(start, copy, make_client):
    source, target = start(), start()
    digest = source.add_image(SOURCE, "1")
    parts = [build_artifact(f"part {n}".encode(), artifact_type="application/vnd.test.part") for n in range(2)]
    for part in parts:
        source.add_manifest(SOURCE, None, part)
    index = build_index(parts)
    source.add_manifest(SOURCE, None, index)
    source.list_as_referrer(SOURCE, digest, index.descriptor())

    copy(source, target, digest, "1")

    assert referrers_at(target, digest, make_client) == {index.digest}
    assert {part.digest for part in parts} <= set(target.manifests(TARGET))


@pytest.mark.parametrize("source_api", [True, False])
def test_entries_that_the_target_has_of_its_own_stay(start, copy, make_client, source_api):
    source, target = start(referrers=source_api), start()
    digest = source.add_image(SOURCE, "1")
    ours = source.add_signature(SOURCE, digest, note="ours")
    copy(source, target, digest, "1", options=CopyOptions())
    theirs = target.add_signature(TARGET, digest, note="theirs")

    result = copy(source, target, digest, "1")

    assert target.referrers_under_tag(TARGET, digest) == [theirs, ours]
    assert result.referrers_copied == 1


def test_a_second_copy_writes_nothing_but_the_tag(start, copy):
    source, target = start(), start()
    digest = source.add_image(SOURCE, "1")
    source.add_signature(SOURCE, digest)
    copy(source, target, digest, "1")
    target.requests.clear()

    result = copy(source, target, digest, "2")

    assert writes(target) == ["2"]
    assert result.referrers_copied == 0


def test_without_tags_only_what_came_later_moves(start, copy, make_client):
    source, target = start(referrers=True), start(referrers=True)
    digest = source.add_image(SOURCE, "1")
    copy(source, target, digest, "1")
    late = source.add_signature(SOURCE, digest)
    target.requests.clear()

    result = copy(source, target, digest)

    assert referrers_at(target, digest, make_client) == {late}
    assert writes(target) == [late]
    assert (result.manifests_pushed, result.referrers_copied) == (1, 1)


def test_a_referrer_at_the_target_that_nobody_lists_there_is_listed(start, copy):
    source, target = start(), start()
    digest = source.add_image(SOURCE, "1")
    signature = source.add_signature(SOURCE, digest)
    copy(source, target, digest, "1")
    target.remove_tag(TARGET, fallback_tag(digest))

    assert copy(source, target, digest).referrers_copied == 1

    assert target.referrers_under_tag(TARGET, digest) == [signature]


def test_a_tagged_referrer_is_listed_at_a_target_without_the_api(start, copy):
    source, target = start(referrers=True), start()
    subject = source.add_image(SOURCE, "1")
    signature = source.add_signature(SOURCE, subject)

    copy(source, target, signature, "attached")

    assert target.tags(TARGET)["attached"] == signature
    assert target.referrers_under_tag(TARGET, subject) == [signature]


def test_several_targets_get_them_and_the_source_is_read_once(start, copy, make_client):
    source, modern, old = start(referrers=True), start(referrers=True), start()
    digest = source.add_image(SOURCE, "1", layer_sizes=[2_000_000])
    signature = source.add_signature(SOURCE, digest)

    copy(source, [modern, old], digest, "1")

    for target in (modern, old):
        assert referrers_at(target, digest, make_client) == {signature}
        assert target.tags(TARGET)["1"] == digest
    assert len({request.path for request in source.requests}) == len(source.requests)


def test_off_means_that_nothing_is_asked_and_nothing_travels(start, copy):
    source, target = start(referrers=True), start()
    digest = source.add_image(SOURCE, "1")
    source.add_signature(SOURCE, digest)

    result = copy(source, target, digest, "1", options=CopyOptions())

    assert set(target.manifests(TARGET)) == {digest}
    assert not source.requests_for("GET", "/referrers/")
    assert (result.referrers_copied, result.referrer_versions) == (0, {})


def test_without_the_api_and_without_such_tags_it_costs_one_question_in_all(start, make_client):
    source, target = start(), start()
    client, there = make_client(source), make_client(target)
    digests = [source.add_image(SOURCE, f"{n}", layer_sizes=[1000]) for n in range(3)]
    digests.append(source.add_index(SOURCE, "index"))
    plain = []
    for options in (CopyOptions(), WITH_REFERRERS):
        source.requests.clear()
        target.requests.clear()
        for n, digest in enumerate(digests):
            order = CopySource(client, SOURCE, digest, referrer_tags=frozenset())
            repository = f"{TARGET}/{options.referrers}".lower()
            (result,) = copy_artifact(order, [CopyTarget(there, repository, (str(n),))], options=options)
            assert isinstance(result, CopyResult)
        plain.append((len(source.requests), len(target.requests)))
    assert plain[1] == (plain[0][0] + 1, plain[0][1])


def test_with_unknown_tags_an_index_costs_one_listing_and_an_image_one_look(start, make_client):
    source, target = start(), start()
    client, there = make_client(source), make_client(target)
    image, index = source.add_image(SOURCE, "1"), source.add_index(SOURCE, "2", ["linux/amd64", "linux/arm64"])
    asked = []
    for digest in (image, index):
        source.requests.clear()
        copy_artifact(CopySource(client, SOURCE, digest), [CopyTarget(there, TARGET, ("x",))], options=WITH_REFERRERS)
        asked.append([r.path.rpartition("/")[2] for r in source.requests if "sha256-" in r.path or "tags" in r.path])
    assert asked == [[fallback_tag(image)], ["list"]]


def test_a_denied_list_is_a_warning_and_the_artifact_arrives(start, copy):
    source, target = start(referrers=True), start()
    digest = source.add_index(SOURCE, "1")
    source.faults.add(Fault(path_pattern="/referrers/", times=None, status=403))
    events = []

    copy(source, target, digest, "1", events=events)

    assert target.tags(TARGET) == {"1": digest}
    warnings = [event.message for event in events if isinstance(event, Note) and event.level == "warning"]
    assert len(warnings) == 1
    assert "403" in warnings[0]
    assert "left behind" in warnings[0]


def test_a_referrer_that_cannot_be_written_fails_the_artifact_before_its_tag(start, copy):
    source, target = start(referrers=True), start()
    digest = source.add_image(SOURCE, "1")
    signature = source.add_signature(SOURCE, digest)
    body = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "no such type"}]}).encode()
    target.faults.add(Fault(method="PUT", path_pattern=signature, times=None, status=400, body=body))
    events = []

    with pytest.raises(UnsupportedError, match="no such type"):
        copy(source, target, digest, "1", events=events)

    assert "1" not in target.tags(TARGET)
    assert any(f"Could not write {signature}, which refers to {digest}" in e.message for e in events if type(e) is Note)


def test_a_list_that_cannot_be_written_fails_the_artifact(start, copy):
    source, target = start(), start()
    digest = source.add_image(SOURCE, "1")
    source.add_signature(SOURCE, digest)
    target.faults.add(Fault(method="PUT", path_pattern=fallback_tag(digest), times=None, status=403))
    with pytest.raises(DeniedError):
        copy(source, target, digest, "1")
    assert "1" not in target.tags(TARGET)


def test_an_entry_that_the_source_itself_does_not_have_is_passed_over_with_a_warning(start, copy):
    source, target = start(), start()
    digest = source.add_image(SOURCE, "1")
    gone, kept = (source.add_signature(SOURCE, digest, note=note) for note in ("gone", "kept"))
    with source.store.changing(SOURCE) as repository:
        del repository.manifests[gone]
    events = []

    copy(source, target, digest, "1", events=events)

    assert target.referrers_under_tag(TARGET, digest) == [kept]
    assert any(gone in e.message and e.level == "warning" for e in events if isinstance(e, Note))


def test_the_figures_count_what_refers_as_well(start, copy):
    source, target = start(), start(referrers=True)
    digest = source.add_image(SOURCE, "1", layer_sizes=[5000])
    source.add_signature(SOURCE, digest)
    events = []

    copy(source, target, digest, "1", events=events)

    total = next(event.size_bytes for event in events if isinstance(event, ArtifactSized))
    blobs = sum(e.size_bytes for e in events if isinstance(e, BlobCopied | BlobMounted | BlobPresent))
    manifests = {e.digest: e.size_bytes for e in events if isinstance(e, ManifestPushed)}
    assert total == blobs + sum(manifests.values())


def test_mounting_inside_one_registry_takes_them_along(start, make_client):
    registry = start()
    digest = registry.add_image(SOURCE, "1", layer_sizes=[100_000])
    signature = registry.add_signature(SOURCE, digest)
    client = make_client(registry)
    target = CopyTarget(client, TARGET, ("1",), is_in_source_registry=True)
    (result,) = copy_artifact(CopySource(client, SOURCE, digest), [target], options=WITH_REFERRERS)
    assert isinstance(result, CopyResult)
    assert result.bytes_copied == 0
    assert registry.referrers_under_tag(TARGET, digest) == [signature]


def test_an_attestation_inside_the_index_is_a_child_and_its_signature_a_companion(start, copy, make_client):
    """BuildKit's attestations are children of the index, and may be signed as any other."""
    source, target = start(), start()
    image = build_artifact(b"program", artifact_type="application/vnd.test.program")
    attestation = build_artifact(b"built so", artifact_type="application/vnd.in-toto+json", subject=image.descriptor())
    for built in (image, attestation):
        source.add_manifest(SOURCE, None, built)
    digest = source.add_manifest(SOURCE, "1", BuiltManifest(*_as_index(image, attestation)))
    source.list_as_referrer(SOURCE, image.digest, attestation.descriptor())
    signature = source.add_signature(SOURCE, attestation.digest)

    copy(source, target, digest, "1")

    assert target.referrers_under_tag(TARGET, image.digest) == [attestation.digest]
    assert referrers_at(target, attestation.digest, make_client) == {signature}


@pytest.mark.parametrize("mode", ["rewritten", "single"])
def test_what_refers_to_an_index_does_not_go_with_a_part_of_it(start, make_client, mode):
    source, target = start(referrers=True), start()
    digest = source.add_index(SOURCE, "1", ["linux/amd64", "linux/arm64"])
    kept, left_out = (entry["digest"] for entry in source.manifests(SOURCE)[digest].document["manifests"])
    signatures = {subject: source.add_signature(SOURCE, subject) for subject in (digest, kept, left_out)}
    choice = PlatformChoice.parse(["linux/amd64"], mode)
    events = []

    (result,) = copy_artifact(
        CopySource(make_client(source), SOURCE, digest, platforms=choice),
        [CopyTarget(make_client(target), TARGET, ("1",))],
        options=WITH_REFERRERS,
        on_event=lambda _, event: events.append(event),
    )

    assert isinstance(result, CopyResult)
    assert referrers_at(target, kept, make_client) == {signatures[kept]}
    assert not {signatures[digest], signatures[left_out]} & set(target.manifests(TARGET))
    assert set(result.referrer_versions) == {digest, kept, signatures[kept]}
    assert any("does not go with a part" in event.message for event in events if isinstance(event, Note))


def test_of_a_sparse_index_the_referrers_of_what_is_there_travel(start, make_client):
    source, target = start(referrers=True), start(sparse_indexes=True)
    digest = source.add_index(SOURCE, "1", ["linux/amd64", "linux/arm64"])
    kept, left_out = (entry["digest"] for entry in source.manifests(SOURCE)[digest].document["manifests"])
    signatures = {subject: source.add_signature(SOURCE, subject) for subject in (digest, kept, left_out)}
    choice = PlatformChoice.parse(["linux/amd64"], "sparse")

    (result,) = copy_artifact(
        CopySource(make_client(source), SOURCE, digest, platforms=choice),
        [CopyTarget(make_client(target), TARGET, ("1",))],
        options=WITH_REFERRERS,
    )

    assert isinstance(result, CopyResult)
    for subject in (digest, kept):
        assert referrers_at(target, subject, make_client) == {signatures[subject]}
    assert signatures[left_out] not in target.manifests(TARGET)
    assert left_out not in result.referrer_versions


def _as_index(*children):
    built = build_index(children)
    return built.media_type, built.content
