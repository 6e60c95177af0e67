"""How the parts of the installation are, for `/health`. Asked at most every ten seconds, as in Harbor."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from kombu.exceptions import KombuError
from redis import Redis
from redis.exceptions import RedisError

from harborsync.celery import app
from targets.models import Endpoint

logger = logging.getLogger(__name__)

CACHE_KEY = "harborsync.api.health"
KEEP_SECONDS = 10
WORKER_ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Component:
    """A part and what is wrong with it; an empty error means healthy."""

    name: str
    error: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the part as `/health` lists it."""
        if self.error:
            return {"name": self.name, "status": "unhealthy", "error": self.error}
        return {"name": self.name, "status": "healthy"}


def check_health() -> list[Component]:
    """Return the parts sorted by name, at most ten seconds old. The errors carry nothing a stranger may not know."""
    found: list[Component] | None = cache.get(CACHE_KEY)
    if found is None:
        found = _look()
        cache.set(CACHE_KEY, found, KEEP_SECONDS)
    return found


def _look() -> list[Component]:
    checks: dict[str, Callable[[], str]] = {"database": _database, "redis": _broker, "jobservice": _workers}
    components = [Component("core"), *(Component(name, check()) for name, check in checks.items())]
    if not components[1].error:
        components += _registry()
    return sorted(components, key=lambda component: component.name)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("health.database error=%s", error)
        return "the database does not answer"
    return ""


def _broker() -> str:
    try:
        with Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1) as broker:
            broker.ping()
    except (RedisError, OSError) as error:
        logger.warning("health.redis error=%s", error)
        return "the broker does not answer"
    return ""


def _workers() -> str:
    """Ask the workers themselves; the first answer is enough. A worker answers while its children copy."""
    if _broker():
        return "the broker does not answer, so no worker can be called"
    try:
        answers = app.control.ping(timeout=WORKER_ANSWER_SECONDS, limit=1)
    except (KombuError, RedisError, OSError) as error:
        logger.warning("health.jobservice error=%s", error)
        return "the workers could not be called"
    return "" if answers else "no worker answers"


def _registry() -> list[Component]:
    """Return the local registry as last checked; one that was never checked is left out, for nothing is known."""
    local = Endpoint.objects.local()
    if local is None or local.health == Endpoint.Health.UNVERIFIED:
        return []
    healthy = local.health == Endpoint.Health.HEALTHY
    return [Component("registry", "" if healthy else f"the local registry is unhealthy ({local.health_code})")]
