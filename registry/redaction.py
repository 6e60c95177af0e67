"""Removal of what must not be shown: passwords in addresses, signed query strings, authorisation values."""

import re
from urllib.parse import urlsplit, urlunsplit

_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
_CREDENTIAL = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_TEXT_LIMIT = 300


def redact_url(url: str) -> str:
    """Return the address without user name, password, query and fragment.

    >>> redact_url("https://me:secret@storage.example/blob?X-Amz-Signature=abc")
    'https://storage.example/blob'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def redact_text(text: str) -> str:
    """Return a short one-line form of a server's words, with addresses and credentials redacted.

    >>> redact_text("see https://s3.example/x?Signature=abc  Bearer eyJhbGciOi.J9")
    'see https://s3.example/x Bearer …'
    """
    one_line = " ".join(text[: _TEXT_LIMIT * 4].split())
    shown = _CREDENTIAL.sub(r"\1 …", _URL.sub(lambda found: redact_url(found.group()), one_line))
    return shown if len(shown) <= _TEXT_LIMIT else shown[: _TEXT_LIMIT - 1] + "…"
