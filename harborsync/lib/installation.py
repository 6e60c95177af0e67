"""Which release and which installation this is, and how it names itself to registries."""

import hashlib
from functools import lru_cache

from django.conf import settings

VERSION = "0.1.0"


@lru_cache(maxsize=1)
def installation_id() -> str:
    """Return a short id derived from the secret key, which all processes of an installation share."""
    return hashlib.sha256(b"installation:" + settings.SECRET_KEY.encode()).hexdigest()[:16]


def user_agent() -> str:
    """Return how we name ourselves, so that notifications about our own writes are recognised."""
    return f"HarborSync/{VERSION} ({installation_id()})"


def is_own_user_agent(text: str) -> bool:
    """Say whether a request with this User-Agent was made by this installation."""
    return f"({installation_id()})" in text
