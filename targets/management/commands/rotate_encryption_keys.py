"""`manage.py rotate_encryption_keys`: encrypt every stored secret with the first of ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from harborsync.lib.crypto import SecretUnreadableError, rotate
from targets.models import Endpoint


class Command(BaseCommand):
    """Run it after a new key was put in front of the list, before the old one is dropped."""

    help = "Encrypt every stored secret with the first of ENCRYPTION_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate all in one transaction: all or none."""
        with transaction.atomic():
            endpoints = list(Endpoint.objects.select_for_update())
            for endpoint in endpoints:
                try:
                    endpoint.secret_encrypted = rotate(endpoint.secret_encrypted)
                    endpoint.notification_token_encrypted = rotate(endpoint.notification_token_encrypted)
                except SecretUnreadableError as error:
                    raise CommandError(f"{endpoint.name}: {error}") from error
            Endpoint.objects.bulk_update(endpoints, ["secret_encrypted", "notification_token_encrypted"])
        self.stdout.write(f"{len(endpoints)} endpoints re-encrypted.")
