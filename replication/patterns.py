"""Doublestar patterns, as Harbor's rules use them.

Grammar (bmatcuk/doublestar, the library behind Harbor's filters): `*` any run of characters but `/`; `**` as a whole
path component, zero or more components; `?` one character but `/`; `[abc]`, `[a-z]`, `[^a-z]` one character of a class;
`{a,b}` alternatives; `\\x` the character x itself. Case sensitive, and the whole text must match.
"""

import re
from functools import lru_cache

MAX_ALTERNATIVES = 1000


class PatternError(ValueError):
    """The pattern cannot be read; the text says where and what would be right."""


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a doublestar pattern. Raises PatternError.

    >>> bool(compile_pattern("library/**").fullmatch("library/my/hello-world"))
    True
    >>> bool(compile_pattern("library/*").fullmatch("library/my/hello-world"))
    False
    >>> bool(compile_pattern("v2.[4-7].*").fullmatch("v2.5.1"))
    True
    """
    return re.compile("|".join(f"(?:{_translate(alternative)})" for alternative in expand_braces(pattern)))


def literals(pattern: str) -> list[str] | None:
    """Return the texts that the pattern stands for when it has no wildcard, else None.

    >>> literals("{library,team}/{a,b}")
    ['library/a', 'library/b', 'team/a', 'team/b']
    >>> literals("library/*") is None
    True
    """
    found = []
    for alternative in expand_braces(pattern):
        if re.search(r"(?<!\\)[*?\[]", alternative):
            return None
        found.append(re.sub(r"\\(.)", r"\1", alternative))
    return found


def expand_braces(pattern: str) -> list[str]:
    """Return the pattern's alternatives, each without braces. Raises PatternError."""
    alternatives = [""]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            piece, position = [_escaped(pattern, position)], position + 2
        elif character == "[":
            end = _class_end(pattern, position)
            piece, position = [pattern[position:end]], end
        elif character == "{":
            end = _brace_end(pattern, position)
            piece = [text for part in _split(pattern[position + 1 : end]) for text in expand_braces(part)]
            position = end + 1
        else:
            piece, position = [character], position + 1
        alternatives = [left + right for left in alternatives for right in piece]
        if len(alternatives) > MAX_ALTERNATIVES:
            raise PatternError(
                f"the pattern stands for more than {MAX_ALTERNATIVES} alternatives: use * in place of some"
            )
    return alternatives


def _escaped(pattern: str, position: int) -> str:
    """Return the backslash and the character it protects."""
    if position + 1 == len(pattern):
        raise PatternError("the pattern ends in a backslash: write \\\\ for a backslash itself")
    return pattern[position : position + 2]


def _class_end(pattern: str, start: int) -> int:
    """Return the position after the `]` that closes the class opened at `start`."""
    position = start + 1
    if pattern[position : position + 1] in ("^", "!"):
        position += 1
    first = position
    while position < len(pattern):
        if pattern[position] == "\\":
            position += 2
            continue
        if pattern[position] == "]" and position > first:
            return position + 1
        position += 1
    raise PatternError("a [ is not closed: write [abc], or \\[ for the bracket itself")


def _brace_end(pattern: str, start: int) -> int:
    """Return the position of the `}` that closes the brace opened at `start`."""
    depth = 0
    position = start
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise PatternError("a { is not closed: write {a,b}, or \\{ for the brace itself")


def _split(inside: str) -> list[str]:
    """Split the inside of a brace at its own commas."""
    parts = [""]
    depth = 0
    position = 0
    while position < len(inside):
        character = inside[position]
        if character == "\\":
            parts[-1] += inside[position : position + 2]
            position += 2
            continue
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
        position += 1
    return parts


def _translate(pattern: str) -> str:
    """Return the regular expression of a pattern without braces."""
    components = _components(pattern)
    if components == ["**"]:
        return r"[\s\S]*"
    expression = ""
    last = len(components) - 1
    for index, component in enumerate(components):
        if component == "**":
            # `a/**` covers a itself and everything below; elsewhere any number of whole components.
            expression = expression.removesuffix("/") + "(?:/[^/]+)*" if index == last else expression + "(?:[^/]+/)*"
        else:
            expression += _component(component) + ("/" if index < last else "")
    return expression


def _components(pattern: str) -> list[str]:
    """Split at the slashes that stand outside classes and escapes."""
    parts = [""]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "/":
            parts.append("")
            position += 1
            continue
        end = position + 1
        if character == "\\":
            end = position + 2
        elif character == "[":
            end = _class_end(pattern, position)
        parts[-1] += pattern[position:end]
        position = end
    return parts


def _component(component: str) -> str:
    """Return the regular expression of one path component."""
    expression = ""
    position = 0
    while position < len(component):
        character = component[position]
        if character == "*":
            expression += "[^/]*"
        elif character == "?":
            expression += "[^/]"
        elif character == "[":
            end = _class_end(component, position)
            expression += _character_class(component[position + 1 : end - 1])
            position = end
            continue
        elif character == "\\":
            position += 1
            expression += re.escape(component[position])
        else:
            expression += re.escape(character)
        position += 1
    return expression


def _character_class(inside: str) -> str:
    """Return the regular expression of a class; a class never matches the slash."""
    negated = inside[:1] in ("^", "!")
    body = inside[1:] if negated else inside
    body = re.sub(r"([\[\]^&~|])", r"\\\1", re.sub(r"\\(.)", lambda match: re.escape(match[1]), body))
    try:
        re.compile(f"[{body}]")
    except re.error as error:
        raise PatternError(
            f"the class [{inside}] cannot be read: a range goes from low to high, as in [a-z]"
        ) from error
    return f"(?!/)[{'^' if negated else ''}{body}]"
