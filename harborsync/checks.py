"""System checks: a set-up that would lose secrets or let strangers in is refused at start, with what to do."""

from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

LOOPBACK = {"localhost", "127.0.0.1", "[::1]", "::1"}


@register("harborsync")
def check_encryption_keys(**kwargs: Any) -> list[CheckMessage]:
    """Each key must be one that Fernet can use."""
    for key in settings.ENCRYPTION_KEYS:
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    "ENCRYPTION_KEYS holds something that is not a Fernet key.",
                    hint="A key is 32 url-safe base64-encoded bytes. Make one: python -c "
                    "'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
                    id="harborsync.E001",
                )
            ]
    return []


@register("harborsync")
def check_keys_are_shared(**kwargs: Any) -> list[CheckMessage]:
    """Parts on several machines must not each make keys of their own."""
    uses_sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if uses_sqlite or not settings.KEYS_ARE_GENERATED:
        return []
    return [
        Error(
            "DATABASE_URL names a database server, but SECRET_KEY and ENCRYPTION_KEYS are not both set.",
            hint="Give every part the same SECRET_KEY and ENCRYPTION_KEYS (or SECRET_KEY_FILE, ENCRYPTION_KEYS_FILE); "
            "a generated key would differ from machine to machine and stored secrets could not be read.",
            id="harborsync.E002",
        )
    ]


@register("harborsync")
def check_debug_is_off(**kwargs: Any) -> list[CheckMessage]:
    """DEBUG shows settings and tracebacks to whoever asks."""
    if settings.DEBUG and not LOOPBACK.issuperset(settings.ALLOWED_HOSTS):
        return [
            Error(
                "DEBUG is on while other hosts than this machine are served.",
                hint="Unset DEBUG, or serve localhost only (ALLOWED_HOSTS, EXTERNAL_URL).",
                id="harborsync.E003",
            )
        ]
    return []


@register("harborsync")
def check_external_url(**kwargs: Any) -> list[CheckMessage]:
    """The address people and registries use must be one."""
    parts = urlsplit(settings.EXTERNAL_URL)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [
            Error(
                f"EXTERNAL_URL is {settings.EXTERNAL_URL}, which is no web address.",
                hint="Write the address that browsers use, such as https://sync.example.com.",
                id="harborsync.E004",
            )
        ]
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return [
            Warning(
                "EXTERNAL_URL is plain http: passwords and session cookies travel in clear.",
                hint="Put a TLS proxy in front, set EXTERNAL_URL to its https address and BEHIND_PROXY=1.",
                id="harborsync.W001",
            )
        ]
    return []


@register("harborsync")
def check_numbers(**kwargs: Any) -> list[CheckMessage]:
    """Counts and times that make no sense are named."""
    wrong = [
        name
        for name in ("WORKER_PROCESSES", "LEASE_SECONDS", "DRAINS_PER_EXECUTION", "HEALTH_CHECK_SECONDS")
        if getattr(settings, name) < 1
    ]
    return [
        Error(f"{name} must be at least 1, it is {getattr(settings, name)}.", id="harborsync.E005") for name in wrong
    ]
