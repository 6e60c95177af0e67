"""`manage.py compilemessages`: as Django's, without GNU gettext on the machine."""

from typing import Any

import polib
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Writes the .mo file beside every .po file of this project that is newer."""

    help = "Compile the project's translations."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Compile what has changed; a file that cannot be read is an error."""
        for directory in settings.LOCALE_PATHS:
            for source in sorted(directory.glob("*/LC_MESSAGES/*.po")):
                target = source.with_suffix(".mo")
                if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
                    continue
                try:
                    catalogue = polib.pofile(str(source))
                except OSError as error:
                    raise CommandError(f"{source}: {error}") from error
                catalogue.save_as_mofile(str(target))
                self.stdout.write(f"{source.relative_to(directory)}: {len(catalogue.translated_entries())} messages")
