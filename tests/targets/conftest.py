"""What tests of limits share: a clock, and the way to a Valkey that holds nothing yet."""

import pytest
import redis

from targets.limits.broker import Broker
from tests.servers import ValkeyServer
from tests.targets.limiting import Clock


@pytest.fixture
def clock() -> Clock:
    """Give a clock that only moves when somebody sleeps."""
    return Clock()


@pytest.fixture
def broker(valkey_server: ValkeyServer) -> Broker:
    """Give the way to an empty Valkey."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return Broker(valkey_server.url)
