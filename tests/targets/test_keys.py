"""Rotating the keys that secrets are encrypted with, and making them."""

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from harborsync.lib.env import read_or_create
from targets.models import Endpoint
from tests.factories import make_endpoint

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.mark.django_db
def test_after_a_rotation_the_old_key_can_go(settings):
    settings.ENCRYPTION_KEYS = [OLD]
    endpoint = make_endpoint(secret="Hidden-Secret-7", notification_token="token")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    call_command("rotate_encryption_keys")
    settings.ENCRYPTION_KEYS = [NEW]
    endpoint = Endpoint.objects.get(pk=endpoint.pk)
    assert endpoint.reveal_secret() == "Hidden-Secret-7"
    assert endpoint.reveal_notification_token() == "token"


@pytest.mark.django_db
def test_a_rotation_without_the_old_key_changes_nothing_and_names_the_endpoint(settings):
    settings.ENCRYPTION_KEYS = [OLD]
    endpoint = make_endpoint(name="far-away", secret="Hidden-Secret-7")
    before = endpoint.secret_encrypted
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(CommandError, match="far-away"):
        call_command("rotate_encryption_keys")
    endpoint.refresh_from_db()
    assert endpoint.secret_encrypted == before


def test_a_generated_key_is_made_once_and_closed_to_others(tmp_path):
    path = tmp_path / "keys" / "encryption_key"
    first = read_or_create(path, make="encryption_key")
    assert read_or_create(path, make="encryption_key") == first
    assert path.stat().st_mode & 0o777 == 0o600
    Fernet(first)


def test_an_empty_key_file_is_an_error_that_says_what_to_do(tmp_path):
    path = tmp_path / "secret_key"
    path.touch()
    with pytest.raises(RuntimeError, match="Delete it"):
        read_or_create(path, make="secret_key")
