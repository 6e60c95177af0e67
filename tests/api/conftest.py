"""Fixtures of the API's tests: who is asking."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.core.cache import cache

from tests.api.client import ApiClient
from tests.factories import make_admin, make_user
from tests.servers import ValkeyServer


@pytest.fixture(autouse=True)
def _quick_and_fresh(settings: Any) -> None:
    """Hash passwords quickly, and remember no other test's health."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


@pytest.fixture
def administrator(db: None) -> User:
    """Give an administrator."""
    return make_admin(username="alice")


@pytest.fixture
def admin(administrator: User) -> ApiClient:
    """Give the administrator's client."""
    return ApiClient(administrator)


@pytest.fixture
def bob(db: None) -> User:
    """Give a user without rights."""
    return make_user(username="bob")


@pytest.fixture
def outsider(bob: User) -> ApiClient:
    """Give the client of the user without rights."""
    return ApiClient(bob)


@pytest.fixture
def anonymous(db: None) -> ApiClient:
    """Give a client without credentials."""
    return ApiClient()


@pytest.fixture
def celery_broker(valkey_server: ValkeyServer) -> Iterator[None]:
    """Have the doorbell ring at a real broker, where nobody listens."""
    before = current_app.conf.broker_url
    current_app.conf.broker_url = current_app.conf.broker_write_url = current_app.conf.broker_read_url = (
        valkey_server.url
    )
    yield
    current_app.conf.broker_url = current_app.conf.broker_write_url = current_app.conf.broker_read_url = before
