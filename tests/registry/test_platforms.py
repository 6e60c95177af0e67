"""Platforms: how they are written, what matches, and what of an index is taken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.digests import digest_of
from registry.errors import AmbiguousPlatformError, NoMatchingPlatformError
from registry.media import DOCKER_LIST, OCI_INDEX, Manifest, Platform
from registry.platforms import (
    MODES,
    PlatformChoice,
    PlatformTextError,
    format_platform,
    parse_platform,
    select,
)
from registry.testkit import build_attestation, build_image, build_index

ALL = ("linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7", "windows/amd64:10.0.17763.5")


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        (" Linux/AMD64 ", Platform("linux", "amd64")),
        ("linux/amd64/v1", Platform("linux", "amd64")),
        ("linux/amd64/v3", Platform("linux", "amd64", "v3")),
        ("linux/arm64/v8", Platform("linux", "arm64")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
        ("windows/amd64:10.0.17763", Platform("windows", "amd64", "", "10.0.17763")),
    ],
)
def test_a_platform_is_read(text, platform):
    assert parse_platform(text) == platform


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("amd64", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/armhf", "linux/arm/v7"),
        ("macos/arm64", "darwin/arm64"),
        ("linux", ""),
        ("", ""),
        ("linux/", ""),
        ("linux/arm/v7/x", ""),
        ("linux amd64", ""),
        ("linux,amd64", ""),
        ("linux/amd64:", "linux/amd64"),
        ("*/amd64", ""),
    ],
)
def test_what_is_no_platform_is_refused_with_what_is_right(text, suggestion):
    with pytest.raises(PlatformTextError) as caught:
        parse_platform(text)
    assert caught.value.suggestion == suggestion
    assert (suggestion or "os/arch") in str(caught.value)


part = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        platform = parse_platform(text)
    except PlatformTextError:
        return
    assert parse_platform(format_platform(platform)) == platform


@given(part, part, st.one_of(st.just(""), part), st.one_of(st.just(""), part))
def test_what_is_written_reads_the_same(operating_system, architecture, variant, version):
    text = (
        f"{operating_system}/{architecture}" + (f"/{variant}" if variant else "") + (f":{version}" if version else "")
    )
    try:
        platform = parse_platform(text)
    except PlatformTextError as error:
        platform = parse_platform(error.suggestion)
    assert parse_platform(format_platform(platform)) == platform


@pytest.mark.parametrize(
    ("wanted", "offered", "is_meant"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "windows/amd64", False),
        ("linux/amd64", "linux/amd64/v1", True),
        ("linux/amd64", "linux/amd64/v2", False),
        ("linux/amd64/v2", "linux/amd64/v2", True),
        ("linux/amd64/v2", "linux/amd64", False),
        ("linux/arm64", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64", "linux/arm64/v9", False),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm", "linux/arm/v5", True),
        ("linux/arm", "linux/arm/v7", True),
        ("linux/arm", "linux/arm", True),
        ("linux/arm", "linux/arm64", False),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm/v6", "linux/arm", False),
        ("windows/amd64", "windows/amd64:10.0.17763.5", True),
        ("windows/amd64:10.0.17763", "windows/amd64:10.0.17763.5", True),
        ("windows/amd64:10.0.1776", "windows/amd64:10.0.17763.5", False),
        ("windows/amd64:10.0.17763", "windows/amd64", False),
        ("linux/ppc64le", "linux/ppc64le", True),
    ],
)
def test_a_wanted_platform_matches(wanted, offered, is_meant):
    system, _, version = offered.partition(":")
    platform = Platform(*system.split("/"), os_version=version)
    assert PlatformChoice.parse([wanted], "rewritten").matches(platform) is is_meant


def index_of(*platforms, attested=False, docker=False, **fields):
    """Build an index and return it as the client reads it, with its images by platform."""
    images = {name: build_image([name.encode()], platform=name, docker=docker) for name in platforms}
    listed = [*images.values(), *(build_attestation(image) for image in images.values() if attested)]
    built = build_index(listed, docker=docker)
    content = json.dumps({**json.loads(built.content), **fields}, indent=3).encode()
    return Manifest.parse(content, content_type=built.media_type), images


def listed(manifest):
    return [entry.digest for entry in manifest.children]


def choose(mode, *platforms):
    return PlatformChoice.parse(platforms, mode)


def test_a_rewritten_index_has_what_is_wanted_and_all_else_of_the_document():
    index, images = index_of(*ALL, annotations={"org.example": "ü"}, artifactType="application/x", x_unknown=[1, 2])

    selection = select(index, choose("rewritten", "linux/arm64", "linux/amd64"))

    taken = selection.manifest
    assert listed(taken) == [images["linux/amd64"].digest, images["linux/arm64/v8"].digest]
    assert {**taken.document, "manifests": []} == {**index.document, "manifests": []}
    assert list(taken.document) == list(index.document)
    assert taken.document["manifests"] == index.document["manifests"][:2]
    assert taken.media_type == OCI_INDEX
    assert taken.digest == selection.digest == digest_of(taken.content) != index.digest
    assert selection.summary == "linux/amd64, linux/arm64/v8 of 5 platforms"
    assert not selection.left_out


def test_the_subject_of_a_rewritten_index_stays():
    subject = {"mediaType": OCI_INDEX, "digest": "sha256:" + "a" * 64, "size": 7}
    index, _ = index_of(*ALL, subject=subject)
    assert select(index, choose("rewritten", "linux/amd64")).manifest.subject.digest == subject["digest"]


def test_a_docker_list_stays_one():
    index, images = index_of("linux/amd64", "linux/s390x", docker=True)
    taken = select(index, choose("rewritten", "linux/s390x")).manifest
    assert (taken.media_type, listed(taken)) == (DOCKER_LIST, [images["linux/s390x"].digest])


def test_a_sparse_index_is_the_same_and_names_what_is_left_out():
    index, images = index_of(*ALL)
    selection = select(index, choose("sparse", "linux/arm/v7"))
    assert (selection.digest, selection.manifest) == (index.digest, index)
    assert selection.left_out == {image.digest for name, image in images.items() if name != "linux/arm/v7"}
    assert selection.summary == "linux/arm/v7 of 5 platforms"


def test_the_single_image_is_that_of_the_index():
    index, images = index_of(*ALL, attested=True)
    selection = select(index, choose("single", "linux/arm64"))
    assert (selection.digest, selection.manifest) == (images["linux/arm64/v8"].digest, None)
    assert selection.summary == "linux/arm64/v8 of 5 platforms"


def test_attestations_stay_with_their_images():
    index, images = index_of("linux/amd64", "linux/arm64", attested=True)
    wanted = images["linux/arm64"]
    kept = {wanted.digest, build_attestation(wanted).digest}
    assert set(listed(select(index, choose("rewritten", "linux/arm64")).manifest)) == kept
    assert select(index, choose("sparse", "linux/arm64")).left_out == set(listed(index)) - kept


@pytest.mark.parametrize("mode", ["sparse", "rewritten"])
def test_what_is_wanted_as_a_whole_keeps_its_bytes(mode):
    index, _ = index_of("linux/amd64", "linux/arm64", attested=True)
    selection = select(index, choose(mode, "linux/amd64", "linux/arm64", "linux/riscv64"))
    assert (selection.manifest, selection.left_out, selection.summary) == (index, frozenset(), "")


@pytest.mark.parametrize("mode", MODES)
def test_an_image_that_is_no_index_is_taken_whatever_its_platform(mode):
    built = build_image([b"x"], platform="linux/s390x")
    image = Manifest.parse(built.content)
    selection = select(image, choose(mode, "linux/amd64"))
    assert (selection.digest, selection.manifest, selection.summary) == (image.digest, image, "")


@pytest.mark.parametrize("mode", MODES)
def test_an_index_without_a_match_says_what_it_has(mode):
    index, _ = index_of("linux/amd64", "linux/arm/v7", attested=True)
    with pytest.raises(
        NoMatchingPlatformError, match=r"no image for linux/riscv64; it has linux/amd64, linux/arm/v7\."
    ):
        select(index, choose(mode, "linux/riscv64"))


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_index_has_no_match(mode):
    with pytest.raises(NoMatchingPlatformError, match="no image of a known platform"):
        select(index_of()[0], choose(mode, "linux/amd64"))


def test_many_platforms_are_not_all_named():
    index, _ = index_of(*(f"linux/cpu{number}" for number in range(40)))
    with pytest.raises(NoMatchingPlatformError, match="cpu11 and 28 more"):
        select(index, choose("single", "linux/amd64"))


def test_entries_without_a_platform_may_be_for_any():
    anything = build_image([b"x"], platform="")
    index = Manifest.parse(build_index([build_image([b"y"], platform="linux/s390x"), anything]).content)
    assert listed(select(index, choose("rewritten", "linux/amd64")).manifest) == [anything.digest]
    assert select(index, choose("single", "linux/amd64")).digest == anything.digest
    assert select(index, choose("single", "linux/s390x")).digest != anything.digest


def test_an_index_in_an_index_is_taken_as_a_whole():
    inner = build_index([build_image([b"x"], platform="linux/arm64")])
    index = Manifest.parse(build_index([build_image([b"y"], platform="linux/s390x"), inner]).content)
    assert listed(select(index, choose("rewritten", "linux/amd64")).manifest) == [inner.digest]
    with pytest.raises(NoMatchingPlatformError):
        select(index, choose("single", "linux/amd64"))


def test_what_is_of_an_unknown_platform_stays_but_is_no_match():
    unknown, wanted = build_image([b"x"], platform="unknown/unknown"), build_image([b"y"], platform="linux/arm64")
    other = build_image([b"z"], platform="linux/s390x")
    index = Manifest.parse(build_index([unknown, wanted, other]).content)
    assert listed(select(index, choose("rewritten", "linux/arm64")).manifest) == [unknown.digest, wanted.digest]
    with pytest.raises(NoMatchingPlatformError):
        select(index, choose("rewritten", "linux/amd64"))


def test_an_image_listed_under_two_platforms_is_not_left_out_for_one_of_them():
    image = build_image([b"x"], platform="linux/amd64")
    entries = [{**image.descriptor(), "platform": {"os": "linux", "architecture": a}} for a in ("amd64", "s390x")]
    index = Manifest.parse(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode())
    selection = select(index, choose("sparse", "linux/amd64"))
    assert selection.left_out == frozenset()


def test_a_single_image_must_be_one():
    index, _ = index_of("linux/arm/v6", "linux/arm/v7")
    with pytest.raises(AmbiguousPlatformError, match=r"linux/arm is more than one .*: linux/arm/v6, linux/arm/v7\."):
        select(index, choose("single", "linux/arm"))


def test_of_one_platform_listed_twice_the_first_image_is_taken():
    first, second = (build_image([layer], platform="linux/amd64") for layer in (b"gzip", b"zstd"))
    index = Manifest.parse(build_index([first, second]).content)
    assert select(index, choose("single", "linux/amd64")).digest == first.digest


@given(
    st.lists(st.sampled_from(ALL), unique=True, min_size=1),
    st.lists(st.sampled_from(ALL), unique=True, min_size=1),
    st.booleans(),
)
def test_the_same_choice_of_the_same_index_is_the_same_and_choosing_again_changes_nothing(has, wanted, attested):
    index, images = index_of(*has, attested=attested)
    choice = choose("rewritten", *wanted)
    if not set(has) & set(wanted):
        with pytest.raises(NoMatchingPlatformError):
            select(index, choice)
        return
    taken = select(index, choice).manifest
    again = select(Manifest.parse(index.content), choose("rewritten", *reversed(wanted)))
    assert again.digest == taken.digest
    assert select(taken, choice).digest == taken.digest
    assert {e.digest for e in taken.children if e.platform.architecture != "unknown"} == {
        image.digest for name, image in images.items() if name in wanted
    }


def test_equal_choices_are_equal_texts():
    assert str(choose("sparse", "linux/arm64/v8", "linux/amd64")) == str(choose("sparse", "linux/amd64", "linux/arm64"))
    assert str(choose("sparse", "linux/amd64")) != str(choose("rewritten", "linux/amd64"))
