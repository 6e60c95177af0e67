"""Settings from the environment, and the secrets that the embedded default makes for itself."""

import secrets
from pathlib import Path
from typing import Any

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured


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


def read_number(env: environ.FileAwareEnv, name: str, default: float) -> float:
    """Return a number from the environment; unset or empty means the default. Raises ImproperlyConfigured."""
    text = env.str(name, default="").strip()
    try:
        return float(text) if text else default
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a number, such as {default:g}; it is {text!r}.") from error


def read_port(env: environ.FileAwareEnv, name: str, default: int) -> int:
    """Return a TCP port from the environment; unset or empty means the default. Raises ImproperlyConfigured."""
    text = env.str(name, default="").strip() or str(default)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ImproperlyConfigured(f"{name} must be a number from 1 to 65535; it is {text!r}.")
    return int(text)


def read_database(url: str, default_path: Path) -> dict[str, Any]:
    """Return Django's settings for DATABASE_URL; empty means SQLite at `default_path`. Raises ImproperlyConfigured."""
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(default_path)}
    if url.partition(":")[0] not in ("postgres", "postgresql", "sqlite"):
        # The URL may hold a password: only what is before the colon is shown.
        raise ImproperlyConfigured(
            f"DATABASE_URL begins with {url.partition(':')[0]!r}. Use postgresql://user:password@host:5432/name, "
            "or sqlite:////path/to/file."
        )
    return dict(environ.Env.db_url_config(url))


def embedded_url_path(data_directory: Path) -> Path:
    """Say where `manage.py up` leaves the address of the broker it started."""
    return data_directory / "valkey" / "url"


def read_broker_url(url: str, data_directory: Path) -> str:
    """Return REDIS_URL; empty means the embedded broker, or a Redis on this machine's usual port without one."""
    path = embedded_url_path(data_directory)
    return url or (path.read_text(encoding="ascii") if path.is_file() else "redis://127.0.0.1:6379/0")
