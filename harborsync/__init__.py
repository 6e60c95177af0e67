"""The composition root: settings, URLs, the Celery application and the checks that hold the apps together."""
