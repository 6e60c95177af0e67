"""The cast of the web tests: an administrator, a member of a project, and somebody who belongs to nothing."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from projects.models import Membership, Project
from targets.models import Endpoint
from tests.factories import make_admin, make_endpoint, make_local_endpoint, make_project, make_user


@pytest.fixture(autouse=True)
def _settings_of_tests(settings):
    """Name static files as they are (there is no collected manifest), and hash passwords fast."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def alice(db) -> User:
    """Give the administrator."""
    return make_admin(username="alice")


@pytest.fixture
def bob(db) -> User:
    """Give the member of `project`."""
    return make_user(username="bob")


@pytest.fixture
def project(bob: User) -> Project:
    """Give a private project that bob is a guest of."""
    return make_project(
        name="test", endpoint=make_local_endpoint(url="http://registry.test:5000"), members={bob: Membership.Role.GUEST}
    )


@pytest.fixture
def target(db) -> Endpoint:
    """Give a registry to copy to, beside the local one."""
    make_local_endpoint(url="http://local.test:5000")
    return make_endpoint(name="mirror")


@pytest.fixture
def administrator(alice: User) -> Client:
    """Give a browser that the administrator uses."""
    return signed_in_browser(alice)


@pytest.fixture
def member(bob: User, project: Project) -> Client:
    """Give a browser that the member uses."""
    return signed_in_browser(bob)


@pytest.fixture
def outsider(db) -> Client:
    """Give a browser that somebody uses who belongs to nothing."""
    return signed_in_browser(make_user(username="charlie"))


def signed_in_browser(user: User) -> Client:
    """Return a browser in which the user is logged in."""
    client = Client()
    client.force_login(user)
    return client
