"""Telling why something was not found: whether the source lost it, or the target lacks where to put it."""

from registry import CopySource, CopyTarget, NotFoundError, ProtocolError, RegistryError, Stopped


class SourceGoneError(NotFoundError):
    """The tag moved or went after planning; the event (or the next run) about that brings the new state."""

    code = "source_gone"


def after_not_found(source: CopySource, target: CopyTarget, error: NotFoundError) -> Exception:
    """Tell a source that lost the artifact from a target where something is missing, such as the project."""
    try:
        found = source.client.head_manifest(source.repository, source.digest)
    except (RegistryError, Stopped) as other:
        return other
    if found:
        return error
    return _misnamed(source, target) or SourceGoneError(f"The source no longer has {source.digest}.")


def _misnamed(source: CopySource, target: CopyTarget) -> Exception | None:
    """Tell a tag that moved on from one whose digest header is wrong: it goes on to name what is not there."""
    if not target.tags:
        return None
    tag = target.tags[0]
    try:
        is_misnamed = source.client.is_misnamed(source.repository, tag, source.digest)
    except (RegistryError, Stopped) as other:
        return other
    if not is_misnamed:
        return None
    return ProtocolError(f"The source names {source.digest} for {source.repository}:{tag}, but does not have it.")
