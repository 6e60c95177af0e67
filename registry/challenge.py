"""The ``WWW-Authenticate`` header (RFC 9110 §11.6.1): several challenges, in one line or many.

A tokenizer, not a regular expression: real registries send quoted pairs, commas inside quotes, unquoted values,
odd cases, and schemes we do not know before the one that we do.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TOKEN68 = frozenset("-._~+/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class Challenge:
    """One challenge; ``scheme`` and the parameters' names are in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return a parameter, empty when it is missing."""
        return self.parameters.get(name, "")


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Return the challenges of all header lines, in order; what cannot be read is left out.

    >>> parse_challenges(['Bearer realm="https://a/t",service=b'])[0].parameters
    {'realm': 'https://a/t', 'service': 'b'}
    """
    return [challenge for line in headers for challenge in _challenges_of_line(line)]


def pick_challenge(challenges: Iterable[Challenge]) -> Challenge | None:
    """Return the first Bearer challenge with a realm, else the first Basic one, else None."""
    usable = list(challenges)
    bearer = next((found for found in usable if found.scheme == "bearer" and found["realm"]), None)
    return bearer or next((found for found in usable if found.scheme == "basic"), None)


def format_challenge(challenge: Challenge) -> str:
    """Return the header value of a challenge; the inverse of ``parse_challenges``."""
    parts = [f'{name}="{_escape(value)}"' for name, value in challenge.parameters.items()]
    return f"{challenge.scheme} {', '.join(parts)}".rstrip()


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _challenges_of_line(line: str) -> Iterator[Challenge]:
    reader = _Reader(line)
    while reader.skip_separators():
        scheme = reader.take(_TOKEN).lower()
        if not scheme:
            reader.skip_one()
            continue
        reader.skip_spaces()
        reader.skip_token68()
        yield Challenge(scheme, dict(reader.parameters()))


class _Reader:
    """A position in a header line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def skip_separators(self) -> bool:
        """Pass commas and white space; answer whether anything is left."""
        self._skip(" \t,")
        return self._position < len(self._text)

    def skip_spaces(self) -> None:
        self._skip(" \t")

    def skip_one(self) -> None:
        self._position += 1

    def skip_token68(self) -> None:
        """Pass the one opaque value of schemes such as Negotiate, if one stands here."""
        start = self._position
        taken = self.take(_TOKEN68)
        self._skip("=")
        self._skip(" \t")
        if not taken or self._peek() not in ("", ","):
            self._position = start

    def parameters(self) -> Iterator[tuple[str, str]]:
        """Yield ``name, value`` until the next scheme begins."""
        while True:
            start = self._position
            if not self.skip_separators():
                return
            name = self.take(_TOKEN)
            self.skip_spaces()
            if not name or self._peek() != "=":
                self._position = start
                if not name and self._peek() not in ("", ",", " ", "\t"):
                    self.skip_one()
                return
            self.skip_one()
            self.skip_spaces()
            yield name.lower(), self._value()

    def take(self, allowed: frozenset[str]) -> str:
        """Take the longest run of allowed characters."""
        start = self._position
        while self._position < len(self._text) and self._text[self._position] in allowed:
            self._position += 1
        return self._text[start : self._position]

    def _value(self) -> str:
        if self._peek() == '"':
            return self._quoted()
        start = self._position
        while self._peek() not in ("", ",", " ", "\t"):
            self._position += 1
        return self._text[start : self._position]

    def _quoted(self) -> str:
        """Take a quoted string; a missing closing quote ends it with the line."""
        self.skip_one()
        characters: list[str] = []
        while (current := self._peek()) not in ("", '"'):
            if current == "\\" and self._position + 1 < len(self._text):
                self.skip_one()
                current = self._peek()
            characters.append(current)
            self.skip_one()
        self.skip_one()
        return "".join(characters)

    def _skip(self, characters: str) -> None:
        while self._position < len(self._text) and self._text[self._position] in characters:
            self._position += 1

    def _peek(self) -> str:
        return self._text[self._position] if self._position < len(self._text) else ""
