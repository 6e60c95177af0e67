"""Whether a tag at a target is what it should be, told from what was put there before. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from registry.platforms import PlatformChoice

SPARSE = "sparse "


@dataclass(frozen=True, slots=True)
class Put:
    """What was put under a tag: its digest there, that of the source where it differs, the platforms chosen.

    `is_trusted`: the place was seen to hold it lately enough not to be asked again.
    """

    digest: str
    source_digest: str = ""
    selection: str = ""
    is_trusted: bool = False

    @property
    def origin(self) -> str:
        """Return the digest that it had at the source."""
        return self.source_digest or self.digest

    @property
    def is_reduced(self) -> bool:
        """Say whether platforms were left out, so that it has another digest than its source."""
        return self.origin != self.digest

    @property
    def is_sparse(self) -> bool:
        """Say whether it is an index whose images may not all be there."""
        return self.selection.startswith(SPARSE)


@dataclass(frozen=True)
class Memory:
    """What is known of one target's tags (`puts`) and of what we put at the source ourselves (`origins`).

    `is_fed_by_target`: a rule that leaves out platforms copies from this target to the source.
    """

    puts: Mapping[str, Put] = field(default_factory=dict)
    choice: PlatformChoice | None = None
    origins: Mapping[str, Put] = field(default_factory=dict)
    is_fed_by_target: bool = False

    @property
    def selection(self) -> str:
        """Return the platforms that the rule takes, as they are remembered."""
        return str(self.choice or "")

    def digests(self, *, trusted: bool) -> dict[str, str]:
        """Return `{tag: digest}` of all that is known, or only of what is trusted."""
        return {tag: put.digest for tag, put in self.puts.items() if put.is_trusted or not trusted}

    def doubted(self) -> "Memory":
        """Return the same with nothing trusted, so that the target is asked for every tag."""
        return replace(self, puts={tag: replace(put, is_trusted=False) for tag, put in self.puts.items()})

    def became(self) -> dict[str, str]:
        """Return `{source digest: digest}` for what this choice of platforms was found to make of an artifact.

        It is a fact for ever, whatever the target holds now.
        """
        return {put.origin: put.digest for put in self.puts.values() if self.choice and put.selection == self.selection}

    def is_in_step(self, tag: str, source_digest: str, digest: str, became: Mapping[str, str]) -> bool | None:
        """Say whether the target, which has `digest` under the tag, needs nothing; None when `became` must tell."""
        if self._came_from_there(tag, source_digest, digest):
            return True
        if self.choice is not None and self.choice.mode != "sparse":
            return became[source_digest] == digest if source_digest in became else None
        if source_digest != digest:
            return False
        put = self.puts.get(tag)
        if put is None or put.digest != digest:
            # Anything that stands there is complete, unless it may have been put there with parts left out.
            return self.choice is None
        return not put.is_sparse or put.selection == self.selection

    def put(self, tag: str, source_digest: str, digest: str) -> Put:
        """Return what to remember of a tag found in step."""
        if self.choice is None or self._came_from_there(tag, source_digest, digest):
            return Put(digest, is_trusted=True)
        return Put(digest, source_digest if source_digest != digest else "", self.selection, is_trusted=True)

    def _came_from_there(self, tag: str, source_digest: str, digest: str) -> bool:
        """Say whether the source only has a copy of what the target has, with platforms left out.

        To send that back would take the other platforms away where the whole image is at home.
        """
        put = self.origins.get(tag)
        if put is None or put.digest != source_digest or not put.is_reduced:
            return False
        return self.is_fed_by_target or put.origin == digest
