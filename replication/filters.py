"""Which repositories and tags a rule takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replication.patterns import compile_pattern, literals


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """One condition: kind "name" | "tag" | "resource", a doublestar pattern (or "image"/"artifact"), a decoration."""

    kind: str
    value: str
    decoration: str = "matches"

    def accepts(self, text: str) -> bool:
        """Say whether `text` passes. Raises PatternError."""
        matched = compile_pattern(self.value).fullmatch(text) is not None
        return matched is (self.decoration == "matches")


def accepts_repository(filters: Iterable[FilterSpec], repository: str, *, namespace: str = "") -> bool:
    """Say whether a repository's full path passes every name filter and lies inside the namespace, if one is given."""
    if namespace and not repository.startswith(f"{namespace}/"):
        return False
    return all(condition.accepts(repository) for condition in filters if condition.kind == "name")


def accepts_tag(filters: Iterable[FilterSpec], tag: str) -> bool:
    """Say whether a tag passes every tag filter."""
    return all(condition.accepts(tag) for condition in filters if condition.kind == "tag")


def wanted_resource(filters: Iterable[FilterSpec]) -> str:
    """Return "image", "artifact", or "" for any."""
    return next((condition.value for condition in filters if condition.kind == "resource"), "")


def named_repositories(filters: Sequence[FilterSpec], *, namespace: str = "") -> list[str] | None:
    """Return the repositories when a filter names them outright, so that no catalogue is needed; else None.

    >>> named_repositories([FilterSpec("name", "library/{a,b}")])
    ['library/a', 'library/b']
    """
    names = _named(filters, "name")
    if names is None:
        return None
    return [name for name in names if accepts_repository(filters, name, namespace=namespace)]


def named_tags(filters: Sequence[FilterSpec]) -> list[str] | None:
    """Return the tags when a filter names them outright, so that no listing is needed; else None.

    >>> named_tags([FilterSpec("tag", "{v1,latest}"), FilterSpec("tag", "latest", "excludes")])
    ['v1']
    """
    tags = _named(filters, "tag")
    return None if tags is None else [tag for tag in tags if accepts_tag(filters, tag)]


def _named(filters: Iterable[FilterSpec], kind: str) -> list[str] | None:
    """Return what the first filter of a kind that has no wildcard names, None without such a filter."""
    for condition in filters:
        if condition.kind == kind and condition.decoration == "matches":
            names = literals(condition.value)
            if names is not None:
                return list(dict.fromkeys(names))
    return None
