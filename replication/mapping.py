"""Where a source repository goes at the target: namespace and flattening, as Harbor does it."""

from registry.kinds import RegistryKind
from registry.reference import is_repository_name


class MappingError(ValueError):
    """The repository has no valid place at the target; the text says why."""


def map_repository(repository: str, *, namespace: str, flatten_level: int) -> str:
    """Return the target repository.

    `flatten_level` is Harbor's dest_namespace_replace_count: how many leading path components the namespace stands
    for; -1: all but the last. Without a namespace the path stays as it is and the level does not count.
    Raises MappingError.

    >>> [map_repository("a/b/img", namespace="ns", flatten_level=level) for level in (-1, 0, 1, 2)]
    ['ns/img', 'ns/a/b/img', 'ns/b/img', 'ns/img']
    """
    if not namespace:
        return repository
    *path, name = repository.split("/")
    if flatten_level > len(path):
        raise MappingError(
            f"{repository} has {len(path)} path components before its name, but the rule replaces {flatten_level}: "
            "choose a lower flattening level"
        )
    kept = [] if flatten_level < 0 else path[flatten_level:]
    target = "/".join([namespace, *kept, name])
    if not is_repository_name(target):
        raise MappingError(f"{target} is not a valid repository name (lower case, at most 255 characters)")
    return target


def check_path(repository: str, kind: RegistryKind | None) -> None:
    """Refuse a path that the target's kind of registry cannot hold. Raises MappingError."""
    if kind is None or kind.accepts_path(repository):
        return
    count = repository.count("/") + 1
    if kind.path_rule == "exactly-two" and count > 2:
        raise MappingError(f"{repository} has {count} path components, but {kind.title} allows 2: flatten more levels")
    raise MappingError(f"{repository} has {count} path component, but {kind.title} needs 2: set a namespace")
