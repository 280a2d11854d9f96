"""The Celery application. Settings are in `settings.py`, what runs when is in `schedule.py`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "consumption_cs.settings")
app = Celery("consumption_cs")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
