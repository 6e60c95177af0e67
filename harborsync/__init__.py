"""The composition root: settings, URLs, the Celery application and the checks that hold the apps together."""

__version__ = "0.1.0"
