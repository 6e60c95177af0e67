"""What an answer says about how long to stay away.

``Retry-After`` on 429 and 503 (RFC 9110 §10.2.3, RFC 6585 §4), and Docker Hub's ``ratelimit-limit: 100;w=21600``
with ``ratelimit-remaining: 0;w=21600`` (docs.docker.com, "Docker Hub pull usage and limits"). Plans and numbers changed
often, so all of it is read from the headers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from registry.refusals import retry_after_seconds

_COUNT_AND_WINDOW = re.compile(r"\s*(\d{1,12})\s*;\s*w\s*=\s*(\d{1,9})\s*")
_RESERVE_SHARE = 0.01
_SHORTEST_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 600.0
_ASKING = frozenset({429, 503})


@dataclass(frozen=True)
class Pause:
    """The registry wants to be left alone for a while, and ``why``: it completes "waiting, because …"."""

    seconds: float
    why: str


def asked_pause(status: int, headers: Mapping[str, str]) -> Pause | None:
    """Return the pause that an answer asks for, None when it asks for none.

    >>> asked_pause(429, {"Retry-After": "30"})
    Pause(seconds=30.0, why='the registry asked for 30 s of patience (HTTP 429)')
    >>> asked_pause(200, {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "57;w=21600"})
    """
    if status in _ASKING:
        seconds = retry_after_seconds(headers.get("Retry-After"))
        if seconds:
            return Pause(seconds, f"the registry asked for {seconds:.0f} s of patience (HTTP {status})")
    return _allowance_pause(headers)


def _allowance_pause(headers: Mapping[str, str]) -> Pause | None:
    """Return the pause after which another pull may have come free.

    Pulls come back one by one as they leave the window, so on average one per window / limit; nothing says exactly
    when. A hundredth is left over: other clients share an address's allowance. GitLab's headers of the same names carry
    no window and mean a rate per minute; they are not looked at.
    """
    if "ratelimit-remaining" not in headers:
        return None
    left = _COUNT_AND_WINDOW.fullmatch(headers.get("ratelimit-remaining", ""))
    limit = _COUNT_AND_WINDOW.fullmatch(headers.get("ratelimit-limit", ""))
    if left is None or limit is None:
        return None
    remaining, allowed, window_seconds = int(left[1]), int(limit[1]), int(limit[2])
    if remaining > allowed * _RESERVE_SHARE:
        return None
    each_seconds = window_seconds / max(allowed, 1)
    seconds = min(max(each_seconds, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
    return Pause(seconds, f"{remaining} of {allowed} pulls in {_spelled(window_seconds)} are left at the registry")


def _spelled(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds >= 3600 and seconds % 3600 == 0 else f"{seconds} s"
