"""Settings from the environment, and the secrets that the embedded default makes for itself."""

import secrets
from pathlib import Path

from cryptography.fernet import Fernet


def read_or_create(path: Path, *, make: str) -> str:
    """Return the text of `path`, written once with mode 0600 when it is missing.

    `make` names what to generate: "secret_key" (Django) or "encryption_key" (Fernet).
    Two processes that start together agree: the file is created exclusively and the loser reads it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    value = secrets.token_urlsafe(50) if make == "secret_key" else Fernet.generate_key().decode()
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return _read_when_written(path)
    path.write_text(value, encoding="ascii")
    return value


def _read_when_written(path: Path) -> str:
    """Read a file that another process may be about to fill."""
    for _ in range(1000):
        if text := path.read_text(encoding="ascii").strip():
            return text
    raise RuntimeError(f"{path} is empty. Delete it to have a new key made, or set the value in the environment.")
