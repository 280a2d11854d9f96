"""A small loop outside Celery that does what the ticks do, for when every consumer or the broker hangs."""

import logging
import signal
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from accounts.reports import organization_ids
from budgets.actions.catch_up import catch_up_all
from budgets.actions.deliver import Courier
from budgets.actions.evaluate import advance_due
from usage.checks import refuse_unsafe_start

logger = logging.getLogger(__name__)

SECONDS_TO_RETRY = 1


class Command(BaseCommand):
    help = "Count usage, act at limits and send messages every few seconds, without Celery. Ends on SIGTERM or Ctrl-C."
    requires_system_checks: list[str] = []  # `refuse_unsafe_start` makes those that matter; others load every page

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--interval", type=float, default=5, help="Seconds between two looks (default 5).")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_unsafe_start()
        stop = Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: stop.set())
        interval = options["interval"]
        pause = interval
        courier = Courier()
        while not stop.wait(pause):
            pause = interval if sweep(stop, courier) else min(interval, SECONDS_TO_RETRY)
        courier.finish(timezone.now)


def sweep(stop: Event, courier: Courier) -> bool:
    """Catch up each organization once, and send. A database that is gone is logged; returns whether all went well."""
    try:
        for organization_id in organization_ids():
            advance_due(organization_id, timezone.now())
        courier.round(organization_ids(), timezone.now)
        merged = catch_up_all(timezone.now, lambda: not stop.is_set())
        if merged:
            logger.info("merged %s batches that no worker had merged", merged)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the sweep failed and will be tried again: %s", error)
        connection.close()
        return False
    return True
