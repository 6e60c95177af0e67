"""Taking some platforms of a multi-platform image (OCI image-spec, image-index.md, "platform").

Platforms are written as on command lines: ``os/arch``, ``os/arch/variant``, each with ``:os.version`` behind where it
matters. What is understood under a name (after containerd's ``platforms`` package): ``linux/arm64`` is v8 and
``linux/amd64`` is v1, which are also what an image without a variant is; ``linux/arm`` is every variant of it.

Of an index stay: the entries that match; those without a platform, which may be for any; attestations of what stays
(BuildKit's: platform ``unknown/unknown``, annotated with the digest of the image that they are about); and what else
is of an unknown platform, though that alone is no match. An index inside an index is an entry like any other: it is
taken or left as a whole. What is no index has one platform, whichever: it is taken as it is.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from registry.digests import digest_of
from registry.errors import AmbiguousPlatformError, NoMatchingPlatformError
from registry.media import INDEX_TYPES, Descriptor, Manifest, Platform

Mode = Literal["sparse", "rewritten", "single"]
"""sparse: the index as it is, without those of its images that are not wanted. rewritten: an index of what is wanted,
with a digest of its own. single: the one image, without an index."""
MODES: tuple[Mode, ...] = get_args(Mode)

ATTESTATION_TYPE = "attestation-manifest"
TYPE_ANNOTATION = "vnd.docker.reference.type"
SUBJECT_ANNOTATION = "vnd.docker.reference.digest"

_PART = r"[a-z0-9][a-z0-9._-]*"
_NOTATION = re.compile(rf"({_PART})/({_PART})(?:/({_PART}))?(?::({_PART}))?")
_USUAL_NAMES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "x64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "x86": "386",
    "armhf": "arm/v7",
    "armel": "arm/v6",
    "armv6": "arm/v6",
    "armv7": "arm/v7",
    "macos": "darwin",
}
# What an image without a variant is for.
_STANDARD_VARIANTS = {"amd64": "v1", "arm64": "v8", "arm": "v7"}
# Where a name without a variant means the standard one, and not any.
_STRICT_ARCHITECTURES = frozenset({"amd64", "arm64"})
_LISTED_AT_MOST = 12


class PlatformTextError(ValueError):
    """A text that is no platform; ``suggestion`` is what was probably meant, or empty."""

    def __init__(self, text: str, suggestion: str = "") -> None:
        self.text = text
        self.suggestion = suggestion
        right = f"write {suggestion}" if suggestion else "write os/arch or os/arch/variant, as in linux/amd64"
        super().__init__(f"{text!r} is not a platform: {right}")


def parse_platform(text: str) -> Platform:
    """Read ``os/arch[/variant][:os.version]``; a variant that goes without saying is left out. Raise PlatformTextError.

    >>> [format_platform(parse_platform(text)) for text in ("linux/arm64/v8", "Linux/arm/v7", "windows/amd64:10.0.1")]
    ['linux/arm64', 'linux/arm/v7', 'windows/amd64:10.0.1']
    """
    match = _NOTATION.fullmatch(text.strip().lower())
    if match is None:
        raise PlatformTextError(text, _suggestion(text.strip().lower()))
    operating_system, architecture, variant, os_version = (part or "" for part in match.groups())
    if operating_system in _USUAL_NAMES or architecture in _USUAL_NAMES:
        raise PlatformTextError(text, _suggestion(match[0]))
    if architecture in _STRICT_ARCHITECTURES and variant == _STANDARD_VARIANTS[architecture]:
        variant = ""
    return Platform(operating_system, architecture, variant, os_version)


def _suggestion(text: str) -> str:
    """Return the text with usual names, if that is a platform; a bare architecture is taken to be Linux's."""
    platform, _, os_version = text.partition(":")
    parts = [_USUAL_NAMES.get(part, part) for part in platform.split("/")]
    known = {*_USUAL_NAMES.values(), *_STANDARD_VARIANTS}
    if len(parts) == 1 and parts[0] in known - {"darwin"}:
        parts.insert(0, "linux")
    named = "/".join(parts) + (f":{os_version}" if os_version else "")
    return named if named != text and _NOTATION.fullmatch(named) else ""


def format_platform(platform: Platform) -> str:
    """Write a platform as `parse_platform` reads it."""
    return f"{platform}:{platform.os_version}" if platform.os_version else str(platform)


@dataclass(frozen=True, slots=True)
class PlatformChoice:
    """Which platforms are wanted, and how an index is to carry that out."""

    platforms: tuple[Platform, ...]
    mode: Mode

    @classmethod
    def parse(cls, platforms: Iterable[str], mode: Mode) -> "PlatformChoice":
        """Read the platforms. Raise PlatformTextError."""
        return cls(tuple(parse_platform(platform) for platform in platforms), mode)

    def __str__(self) -> str:
        """Write it so that equal choices are equal texts: it is remembered beside what came of it.

        >>> str(PlatformChoice.parse(["linux/arm64/v8", "linux/amd64"], "rewritten"))
        'rewritten linux/amd64,linux/arm64'
        """
        return f"{self.mode} {','.join(sorted({format_platform(platform) for platform in self.platforms}))}"

    def matches(self, offered: Platform) -> bool:
        """Answer whether one of the wanted platforms is this one."""
        return any(_is_meant(wanted, offered) for wanted in self.platforms)


def _is_meant(wanted: Platform, offered: Platform) -> bool:
    if (wanted.operating_system, wanted.architecture) != (offered.operating_system, offered.architecture):
        return False
    version = wanted.os_version
    if version and not f"{offered.os_version.lower()}.".startswith(f"{version}."):
        return False
    standard = _STANDARD_VARIANTS.get(wanted.architecture, "")
    if not wanted.variant and wanted.architecture not in _STRICT_ARCHITECTURES:
        return True
    return (wanted.variant or standard) == (offered.variant or standard)


@dataclass(frozen=True)
class Selection:
    """What is taken of an artifact. ``digest`` is what stands under the tags of a target then."""

    digest: str
    manifest: Manifest | None
    """What has this digest; None where it is still to be read (the one image of an index)."""
    left_out: frozenset[str] = frozenset()
    """Digests that ``manifest`` names and that are not taken: an index with some is sparse."""
    summary: str = ""
    """What was taken of how many, in words; empty when it is the whole."""


def select(artifact: Manifest, choice: PlatformChoice) -> Selection:
    """Return what of an artifact is taken; the same artifact and choice always give the same digest.

    Raise NoMatchingPlatformError, AmbiguousPlatformError.
    """
    if not artifact.is_index:
        return Selection(artifact.digest, artifact)
    if choice.mode == "single":
        return _single(artifact, choice)
    entries = [Descriptor.parse(entry) for entry in artifact.document.get("manifests") or ()]
    keep = _kept(entries, choice)
    kept = [entry for entry, is_kept in zip(entries, keep, strict=True) if is_kept]
    if not any(_is_match(entry, choice) for entry in kept):
        raise NoMatchingPlatformError(_nothing_matches(artifact, choice))
    if all(keep):
        return Selection(artifact.digest, artifact)
    summary = f"{_names(kept)} of {_count(entries)}"
    if choice.mode == "sparse":
        left_out = {entry.digest for entry in entries} - {entry.digest for entry in kept}
        return Selection(artifact.digest, artifact, frozenset(left_out), summary)
    rewritten = _rewritten(artifact, keep)
    return Selection(rewritten.digest, rewritten, summary=summary)


def _single(index: Manifest, choice: PlatformChoice) -> Selection:
    """Take the one image that matches; of those without a platform one, if there is nothing else."""
    images = [entry for entry in index.children if not _is_attestation(entry) and entry.media_type not in INDEX_TYPES]
    matching = [entry for entry in images if entry.platform and _is_match(entry, choice)]
    matching = matching or [entry for entry in images if _is_match(entry, choice)]
    if not matching:
        raise NoMatchingPlatformError(_nothing_matches(index, choice))
    if len({entry.platform or entry.digest for entry in matching}) > 1:
        raise AmbiguousPlatformError(
            f"{_wanted(choice)} is more than one image of the index {index.digest}: {_names(matching)}. "
            "Name the variant or version in the rule."
        )
    # One platform twice (in two compressions, say): clients take the first.
    return Selection(matching[0].digest, None, summary=f"{_names(matching[:1])} of {_count(index.children)}")


def _kept(entries: list[Descriptor], choice: PlatformChoice) -> list[bool]:
    """Say of each entry whether it stays. Blobs (of cache indexes) have no platform and do."""
    taken = {entry.digest for entry in entries if _is_match(entry, choice)}
    return [
        entry.annotations.get(SUBJECT_ANNOTATION) in taken
        if _is_attestation(entry)
        else entry.is_blob or _is_unknown(entry.platform) or _is_match(entry, choice)
        for entry in entries
    ]


def _is_match(entry: Descriptor, choice: PlatformChoice) -> bool:
    platform = entry.platform
    if _is_attestation(entry) or _is_unknown(platform):
        return False
    return platform is None or not platform.architecture or choice.matches(platform)


def _is_unknown(platform: Platform | None) -> bool:
    return platform is not None and "unknown" in (platform.operating_system, platform.architecture)


def _is_attestation(entry: Descriptor) -> bool:
    return entry.annotations.get(TYPE_ANNOTATION) == ATTESTATION_TYPE


def _rewritten(index: Manifest, keep: list[bool]) -> Manifest:
    """Return the index with these of its entries only; all else stays as it is, in its order, a subject too."""
    document: dict[str, Any] = dict(index.document)
    document["manifests"] = [entry for entry, is_kept in zip(document["manifests"], keep, strict=True) if is_kept]
    content = json.dumps(document, separators=(",", ":")).encode()
    return Manifest(index.media_type, content, digest_of(content))


def _nothing_matches(index: Manifest, choice: PlatformChoice) -> str:
    images = [entry for entry in index.children if not _is_attestation(entry) and not _is_unknown(entry.platform)]
    has = _names(images) if images else "no image of a known platform"
    return f"The index {index.digest} has no image for {_wanted(choice)}; it has {has}."


def _wanted(choice: PlatformChoice) -> str:
    return ", ".join(format_platform(platform) for platform in choice.platforms)


def _names(entries: Iterable[Descriptor]) -> str:
    """List the platforms of images, each once."""
    images = [entry for entry in entries if not _is_attestation(entry) and not _is_unknown(entry.platform)]
    names = list(dict.fromkeys(_name(entry.platform) for entry in images))
    more = f" and {len(names) - _LISTED_AT_MOST} more" if len(names) > _LISTED_AT_MOST else ""
    return ", ".join(names[:_LISTED_AT_MOST]) + more


def _name(platform: Platform | None) -> str:
    return format_platform(platform) if platform and platform.architecture else "images without a platform"


def _count(entries: Iterable[Descriptor]) -> str:
    images = [entry for entry in entries if not _is_attestation(entry) and not _is_unknown(entry.platform)]
    platforms = len({_name(entry.platform) for entry in images})
    return "1 platform" if platforms == 1 else f"{platforms} platforms"
