"""The way to Redis for limits: quick, and without Redis there are no limits that workers share."""

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

# A request to a registry waits for this: better no limit than a long pause.
TIMEOUT_SECONDS = 0.5
AWAY_SECONDS = 5.0

Answer = TypeVar("Answer")


class Broker:
    """One Redis server. One that is away is left alone for a while, and said so once."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        # Once more at once: an idle connection may have been cut.
        self._redis = Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            decode_responses=True,
            encoding_errors="replace",  # what is no text was not written by us: it is refused where it is looked at
            retry=Retry(NoBackoff(), 1),
        )
        self._clock = clock
        self._away_until = 0.0
        self._is_away = False

    def ask(self, question: Callable[["Redis"], Answer], otherwise: Answer) -> Answer:
        """Return the answer to a question, or `otherwise` while Redis is away."""
        if self._clock() < self._away_until:
            return otherwise
        try:
            answer = question(self._redis)
        except (RedisError, OSError) as error:
            self._away_until = self._clock() + AWAY_SECONDS
            if not self._is_away:
                logger.warning("limits.unshared error=%s", error)
            self._is_away = True
            return otherwise
        if self._is_away:
            logger.info("limits.shared_again")
            self._is_away = False
        return answer

    def run(self, script: str, *, keys: list[str], arguments: list[Any], otherwise: Any) -> Any:
        """Run a Lua script, which Redis does as a whole, and return what it returns."""
        return self.ask(lambda redis: redis.register_script(script)(keys=keys, args=arguments), otherwise)


@cache
def broker_at(url: str) -> Broker:
    """Return this process's way to a Redis."""
    return Broker(url)
