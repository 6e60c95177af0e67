#!/usr/bin/env python
"""Run HarborSync's commands: `manage.py up` starts everything, `manage.py help` lists the rest."""

import os
import sys
from importlib import import_module

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Read the settings, so that a wrong one is told in one line, and run the command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborsync.settings")
    try:
        import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except (ImproperlyConfigured, OSError) as error:  # OSError: a NAME_FILE or the data directory cannot be used
        sys.exit(f"The settings cannot be used: {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
