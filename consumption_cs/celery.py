"""The Celery application. Settings are in `settings.py`, what runs when is in `schedule.py`."""

import os
import sys
from typing import Any

from celery import Celery
from celery.signals import task_prerun, worker_init
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "consumption_cs.settings")
app = Celery("consumption_cs")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def refuse_unsafe_start(**_: Any) -> None:
    """Celery's only way to look before a worker starts; it swallows exceptions but not an exit."""
    from usage import checks  # needs the apps to be loaded

    try:
        checks.refuse_unsafe_start()
    except ImproperlyConfigured as error:
        sys.exit(str(error))


@task_prerun.connect
def drop_broken_connections(**_: Any) -> None:
    """What Django does at the start of a request: see whether the kept connection still works, and is not too old."""
    from django.db import close_old_connections  # needs the settings

    close_old_connections()
