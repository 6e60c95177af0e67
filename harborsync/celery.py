"""The Celery application: a doorbell for the workers. No state of the mission lives in it."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborsync.settings")

app = Celery("harborsync")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["replication", "targets"])
