"""When to try again, and when to give up."""

import random
from dataclasses import dataclass

from registry import (
    ImmutableError,
    NoMatchingPlatformError,
    PausedError,
    RateLimitedError,
    RegistryError,
    SiblingTagsError,
    Stopped,
)

# A registry that asks for patience gets it, up to this.
RETRY_AFTER_CAP_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to go on: full jitter between attempts, and an end counted from the first attempt."""

    base_seconds: float
    cap_seconds: float
    give_up_seconds: float

    def delay_seconds(self, attempts: int, *, random_number: float, retry_after_seconds: float | None = None) -> float:
        """Return the pause after attempt number `attempts` (from 1).

        `random_number` is in [0, 1). Source: "full jitter", AWS Architecture Blog, Exponential Backoff And Jitter;
        a floor of half the base keeps two attempts apart.
        """
        if retry_after_seconds is not None:
            return min(max(retry_after_seconds, self.base_seconds), RETRY_AFTER_CAP_SECONDS)
        ceiling = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempts - 1, 30))
        return max(self.base_seconds / 2, random_number * ceiling)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a piece of work that ended in an exception."""

    status: str  # "pending" (try again) | "failed" | "skipped" | "stopped"
    code: str = ""
    message: str = ""
    delay_seconds: float = 0.0


def judge(error: BaseException, *, attempts: int, elapsed_seconds: float, policy: RetryPolicy) -> Verdict:
    """Decide by the kind of error; `elapsed_seconds` counts from the first attempt since the last rate limit.

    A rate limit is never given up: the registry is there and has said that it will serve us later.
    """
    if isinstance(error, Stopped):
        return Verdict("stopped")
    if not isinstance(error, RegistryError):
        return Verdict("failed", "internal_error", f"{type(error).__name__}: {error}")
    if isinstance(error, ImmutableError | SiblingTagsError | NoMatchingPlatformError):
        return Verdict("skipped", error.code, str(error))
    if isinstance(error, PausedError) and error.retry_after_seconds is not None:
        return Verdict("pending", error.code, str(error), error.retry_after_seconds)
    is_patience_over = elapsed_seconds > policy.give_up_seconds and not isinstance(error, RateLimitedError)
    if not error.is_temporary or is_patience_over:
        return Verdict("failed", error.code, str(error))
    delay = policy.delay_seconds(
        attempts,
        random_number=random.random(),  # noqa: S311
        retry_after_seconds=error.retry_after_seconds,
    )
    return Verdict("pending", error.code, _told(error), delay)


def _told(error: RegistryError) -> str:
    """Return the error's sentence; of two registries the one that wants to be left alone is named."""
    if isinstance(error, RateLimitedError) and error.registry_name:
        return f"{error.registry_name}: {error}"
    return str(error)
