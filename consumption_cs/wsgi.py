"""The WSGI entry point that the web server loads."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from consumption_cs.lib.ids import remember_ids

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "consumption_cs.settings")
application = get_wsgi_application()
import_module("usage.checks").refuse_unsafe_start()
remember_ids()

# What is loaded now stays for good, so the garbage collector need not look at it again and again; and a batch makes
# thousands of objects that die without its help. A fifth of the CPU of taking events in.
import_module(settings.ROOT_URLCONF)
import_module("usage.wakeup").load()
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 20, 20)
