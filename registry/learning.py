"""What a registry taught us, as a JSON document: whatever fields ``Learned`` has, as long as they are plain values."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from registry.connection import Learned

_PLAIN = (bool, int, float, str)


def learned_document(learned: Learned) -> dict[str, Any]:
    """Return what differs from knowing nothing.

    >>> learned_document(Learned(tag_delete=False))
    {'tag_delete': False}
    """
    nothing = Learned()
    found = {each.name: getattr(learned, each.name) for each in fields(Learned)}
    return {
        name: value for name, value in found.items() if isinstance(value, _PLAIN) and value != getattr(nothing, name)
    }


def learned_from(document: Mapping[str, Any]) -> Learned:
    """Return what a document says; what is no field of today, or not of its type, is passed over.

    >>> learned_from({"tag_delete": True, "chunk_limit_bytes": "many", "colour": "blue"}).tag_delete
    True
    """
    hints = get_type_hints(Learned)
    known = {name: value for name, value in document.items() if name in hints and _fits(value, hints[name])}
    return Learned(**known)


def _fits(value: object, hint: Any) -> bool:
    """Answer whether a plain value is of the type; True is no number here."""
    return isinstance(value, _PLAIN) and type(value) in (get_args(hint) or (hint,))
