"""What to do for one repository: a comparison of two sides, with no I/O."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from registry.companions import read_companion_tag
from registry.platforms import Mode, PlatformChoice
from replication.filters import FilterSpec


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """One place a rule writes to."""

    endpoint_id: int
    namespace: str = ""
    flatten_level: int = 1


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule as a value: what an execution keeps of it, so that later edits do not change a run in progress."""

    source_id: int
    namespace: str = ""
    filters: tuple[FilterSpec, ...] = ()
    targets: tuple[TargetSpec, ...] = ()
    override: bool = True
    deletion: bool = False
    kilobits_per_second: int = 0
    copy_by_chunk: bool = False
    referrers: bool = True
    platforms: tuple[str, ...] = ()
    platform_mode: str = ""

    @property
    def choice(self) -> PlatformChoice | None:
        """Return the platforms that are taken of an index, None for all."""
        return PlatformChoice.parse(self.platforms, cast(Mode, self.platform_mode)) if self.platforms else None

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "RuleSpec":
        """Return the spec that `to_json` wrote."""
        fields = dict(document)
        fields["filters"] = tuple(FilterSpec(**f) for f in fields.get("filters", ()))
        fields["targets"] = tuple(TargetSpec(**t) for t in fields.get("targets", ()))
        fields["platforms"] = tuple(fields.get("platforms", ()))
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Scope:
    """What events named of one repository: tags pushed or deleted, and digests deleted with whatever tags they had.

    `is_whole`: all that the rule takes of the repository, as in a run of everything.
    """

    repository: str
    tags: tuple[str, ...] = ()
    deleted_digests: tuple[str, ...] = ()
    is_whole: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the scope as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Scope":
        """Return the scope that `to_json` wrote."""
        return cls(
            document["repository"],
            tuple(document["tags"]),
            tuple(document["deleted_digests"]),
            bool(document.get("is_whole")),
        )


@dataclass(frozen=True, slots=True)
class PlannedTransfer:
    """One artifact to copy or delete; with `reason_code` set it is only recorded as skipped.

    Without tags only what refers to the artifact is carried over. A companion follows what it is about.
    """

    operation: str  # "copy" | "deletion"
    digest: str
    tags: tuple[str, ...]
    reason_code: str = ""
    reason: str = ""
    is_companion: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """The transfers for one repository and one target, and the tags that need nothing (`{tag: digest}`)."""

    transfers: tuple[PlannedTransfer, ...] = ()
    unchanged: Mapping[str, str] | None = None


def plan_copies(
    source: Mapping[str, str],
    target: Mapping[str, str],
    *,
    override: bool,
    in_step: Collection[str] | None = None,
) -> RepositoryPlan:
    """Compare `{tag: digest}` of both sides and group what differs by digest, so that a digest travels once.

    `in_step` names the tags that need nothing, where that is not those with the same digest on both sides.

    >>> plan = plan_copies({"a": "d1", "b": "d1", "c": "d2"}, {"c": "d2"}, override=True)
    >>> [(t.digest, t.tags) for t in plan.transfers], plan.unchanged
    ([('d1', ('a', 'b'))], {'c': 'd2'})
    """
    if in_step is None:
        in_step = {tag for tag, digest in source.items() if target.get(tag) == digest}
    unchanged = {tag: target[tag] for tag in source if tag in in_step}
    wanted: dict[tuple[str, bool], list[str]] = {}
    for tag, digest in sorted(source.items()):
        if tag not in unchanged:
            # The same digest is not another image: a sparse index may want to be completed.
            kept = tag in target and target[tag] != digest and not override
            wanted.setdefault((digest, kept), []).append(tag)
    transfers = tuple(_copy(digest, tags, kept=kept) for (digest, kept), tags in wanted.items())
    return RepositoryPlan(transfers=transfers, unchanged=unchanged)


def _copy(digest: str, tags: list[str], *, kept: bool) -> PlannedTransfer:
    if not kept:
        return PlannedTransfer("copy", digest, tuple(tags))
    return PlannedTransfer(
        "copy",
        digest,
        tuple(tags),
        reason_code="not_overridden",
        reason="The target has another image under this tag and the rule does not override.",
    )


def with_companions(copies: Iterable[PlannedTransfer], *, changed: Collection[str]) -> tuple[PlannedTransfer, ...]:
    """Mark the companions among the copies, and add what is in step but for its referrers.

    A copy takes referrers along, so a `changed` digest that is copied needs nothing more.

    >>> [(t.digest, t.tags) for t in with_companions([PlannedTransfer("copy", "d1", ("v1",))], changed={"d1", "d2"})]
    [('d1', ('v1',)), ('d2', ())]
    """
    marked = [replace(copy, is_companion=all(map(read_companion_tag, copy.tags))) for copy in copies]
    copied = {copy.digest for copy in marked if not copy.reason_code}
    return (*marked, *(PlannedTransfer("copy", digest, ()) for digest in sorted(set(changed) - copied)))


def plan_deletions(
    gone: Collection[str], put: Mapping[str, str], target: Mapping[str, str]
) -> tuple[PlannedTransfer, ...]:
    """Return the deletions for tags that the source no longer has.

    Only what we put there (`put`, `{tag: digest}`) and what is still there unchanged (`target`) is deleted.

    >>> [(t.digest, t.tags) for t in plan_deletions(["a", "b"], {"a": "d1", "b": "d1"}, {"a": "d1", "b": "d1"})]
    [('d1', ('a', 'b'))]
    """
    deleted: dict[str, list[str]] = {}
    changed = []
    for tag in sorted(gone):
        if tag not in put or tag not in target:
            continue
        if target[tag] == put[tag]:
            deleted.setdefault(put[tag], []).append(tag)
        else:
            changed.append(_changed(tag, target[tag]))
    return (*(PlannedTransfer("deletion", digest, tuple(tags)) for digest, tags in deleted.items()), *changed)


def _changed(tag: str, digest: str) -> PlannedTransfer:
    return PlannedTransfer(
        "deletion",
        digest,
        (tag,),
        reason_code="target_changed",
        reason="Somebody else put another image under this tag at the target; it is left alone.",
    )
