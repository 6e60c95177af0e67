"""Tags that are about another artifact: the fallback tag of its referrers, and those of cosign's objects.

Fallback tag: OCI distribution-spec, "Referrers Tag Schema". Cosign's tags: sigstore/cosign, specs/SIGNATURE_SPEC.md,
"Tag-based discovery".
"""

import re
from dataclasses import dataclass

COSIGN_SUFFIXES = (".sig", ".att", ".sbom")
_COMPANION = re.compile(r"((?:sha256|sha512)-[0-9a-f]{64})(\.sig|\.att|\.sbom)?")
_ALGORITHM_LIMIT, _ENCODED_LIMIT = 32, 64


@dataclass(frozen=True, slots=True)
class CompanionTag:
    """A companion's tag taken apart. ``fallback_tag`` names the subject, ``suffix`` is empty for that tag itself."""

    fallback_tag: str
    suffix: str = ""

    @property
    def is_list(self) -> bool:
        """Answer whether it names the index of a subject's referrers, and not one of cosign's objects."""
        return not self.suffix

    @property
    def subject(self) -> str:
        """The subject's digest; empty where the tag holds only a part of it (sha512)."""
        algorithm, _, encoded = self.fallback_tag.partition("-")
        return f"{algorithm}:{encoded}" if algorithm == "sha256" else ""


def fallback_tag(digest: str) -> str:
    """Return the tag under which registries without the API keep the index of a digest's referrers.

    >>> fallback_tag("sha256:" + "a" * 64) == "sha256-" + "a" * 64
    True
    >>> fallback_tag("sha512+b64u:x=y")
    'sha512-b64u-x-y'
    """
    algorithm, _, encoded = digest.partition(":")
    return re.sub(r"[^a-zA-Z0-9._-]", "-", f"{algorithm[:_ALGORITHM_LIMIT]}-{encoded[:_ENCODED_LIMIT]}")


def read_companion_tag(tag: str) -> CompanionTag | None:
    """Take a companion's tag apart; None for any other tag.

    >>> read_companion_tag("sha256-" + "a" * 64 + ".sig").suffix
    '.sig'
    >>> read_companion_tag("v1") is None
    True
    """
    found = _COMPANION.fullmatch(tag)
    return CompanionTag(found[1], found[2] or "") if found else None
