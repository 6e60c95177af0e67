"""Secrets at rest: Fernet with rotating keys.

The first of `settings.ENCRYPTION_KEYS` encrypts; all of them decrypt. To rotate, put a new key in front,
run `manage.py rotate_encryption_keys`, then drop the old one.
"""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SecretUnreadableError(Exception):
    """A stored secret was encrypted with a key that is no longer in ENCRYPTION_KEYS."""

    def __init__(self) -> None:
        super().__init__(
            "A stored secret cannot be decrypted with the present ENCRYPTION_KEYS. "
            "Put the key it was written with back into the list, or enter the secret again."
        )


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])


def encrypt(plain: str) -> str:
    """Return `plain` as a Fernet token (ASCII); the empty string stays empty."""
    return _fernet().encrypt(plain.encode()).decode() if plain else ""


def decrypt(token: str) -> str:
    """Return the plain text of `encrypt`'s token. Raises SecretUnreadableError when no key fits."""
    if not token:
        return ""
    try:
        return _fernet().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadableError from error


def rotate(token: str) -> str:
    """Return the same secret encrypted with the first key. Raises SecretUnreadableError when no key fits."""
    if not token:
        return ""
    try:
        return _fernet().rotate(token.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadableError from error
