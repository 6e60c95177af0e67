"""`manage.py prepare`: what has to be there before the parts start. Run it once per release; again is harmless."""

import secrets
from typing import Any

import environ
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from targets.services import ensure_local_endpoint

env = environ.FileAwareEnv()


class Command(BaseCommand):
    """Brings the database up to date, makes the first administrator and the local registry."""

    help = "Migrate the database, create the first administrator and the local registry from the environment."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do the three in order."""
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except OperationalError as error:
            raise CommandError(f"The database cannot be used: {error}") from error
        self._make_administrator()
        self._make_local_registry()

    def _make_administrator(self) -> None:
        """Create an administrator where there is none; an existing one keeps its password."""
        if User.objects.filter(is_superuser=True, is_active=True).exists():
            return
        username = env.str("HARBORSYNC_ADMIN_USERNAME", default="admin")
        given = env.str("HARBORSYNC_ADMIN_PASSWORD", default="")
        password = given or secrets.token_urlsafe(12)
        User.objects.create_superuser(username=username, password=password)
        self.stdout.write(f"Administrator created: {username}")
        if not given:
            self.stdout.write(f"Its password, shown only this once: {password}")

    def _make_local_registry(self) -> None:
        url = env.str("HARBORSYNC_LOCAL_REGISTRY_URL", default="")
        if not url:
            return
        try:
            endpoint = ensure_local_endpoint(
                url=url,
                username=env.str("HARBORSYNC_LOCAL_REGISTRY_USERNAME", default=""),
                password=env.str("HARBORSYNC_LOCAL_REGISTRY_PASSWORD", default=""),
                notification_token=env.str("HARBORSYNC_LOCAL_REGISTRY_NOTIFICATION_TOKEN", default=""),
            )
        except ValidationError as error:
            reasons = " ".join(error.messages)
            raise CommandError(f"HARBORSYNC_LOCAL_REGISTRY_URL={url}: {reasons}") from error
        self.stdout.write(f"Local registry: {endpoint.url}")
