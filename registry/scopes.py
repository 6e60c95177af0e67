"""What a token is asked for (distribution ``spec/auth/scope.md``)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """Resource scopes, such as ``("repository:a/b:pull,push",)``. Empty: a token that proves who we are."""

    entries: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Return the scope of a challenge: entries separated by spaces."""
        return cls(tuple(text.split()))

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def first(self) -> str:
        """The entry that matters most; some registries look at no other."""
        return self.entries[0] if self.entries else ""

    def and_pull(self, repository: str) -> "Scope":
        """Return the scope with the right to read another repository, for a mount; the target stays first."""
        return Scope((*self.entries, f"repository:{repository}:pull"))


NO_SCOPE = Scope()
CATALOGUE = Scope(("registry:catalog:*",))


def pull(repository: str) -> Scope:
    """Return the scope for reading."""
    return Scope((f"repository:{repository}:pull",))


def push(repository: str) -> Scope:
    """Return the scope for writing."""
    return Scope((f"repository:{repository}:pull,push",))


def delete(repository: str) -> Scope:
    """Return the scope for deleting; asked for only then, because not every account has it."""
    return Scope((f"repository:{repository}:pull,push,delete",))
