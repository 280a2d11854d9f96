"""What Celery runs: thin, short, repeatable; ids as text. Rows are the truth, a task is only a push."""

import logging
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_process_shutdown
from django.db import transaction
from django.utils import timezone

from accounts.reports import organization_ids
from budgets.actions import catch_up as catching_up
from budgets.actions import (
    deliver,
    evaluate,
    forecast,
    forecast_calibration,
    forecast_scores,
    report_mails,
    report_subscriptions,
    reports,
    verify,
)
from budgets.actions import detect as detecting
from budgets.exports.report_files import render

logger = logging.getLogger(__name__)

courier = deliver.Courier()
SECONDS_FOR_FORECASTS = 20.0  # for one organization, then the next has its turn


@shared_task
def catch_up(organization_id: str) -> None:
    """The wake-up after a request: merge and settle at once, so that a single event is on the screen in a second."""
    catching_up.catch_up(UUID(organization_id), timezone.now(), catching_up.SECONDS_FOR_ONE)


@shared_task
def catch_up_all() -> None:
    """The tick."""
    catching_up.catch_up_all(timezone.now)


@shared_task
def settle_all() -> None:
    """Settle beside the tick, on a queue of its own: the many days that a new price touches must not hold it up."""
    catching_up.settle_all(timezone.now)


@shared_task
def verify_ledgers() -> None:
    """Have each organization's ledger checked, in a task of its own: it reads every event."""
    for organization_id in organization_ids():
        verify_ledger.delay(str(organization_id), nightly=True)


@shared_task(soft_time_limit=3 * 3600, time_limit=3 * 3600 + 60)
def verify_ledger(organization_id: str, nightly: bool = False) -> None:
    """Accepted = rolled up = rated = drawn + overage, exactly, for one organization."""
    check = verify.verify_nightly if nightly else verify.verify_ledger
    check(UUID(organization_id), timezone.now())


@shared_task
def deliver_all() -> None:
    """Send what waits in the outbox, for some seconds: slow receivers are waited for beside the next calls."""
    courier.round(organization_ids(), timezone.now)


@worker_process_shutdown.connect
def finish_deliveries(**_: Any) -> None:
    """A worker that is told to end waits for the answers that are under way."""
    courier.finish(timezone.now)


@shared_task
def refresh_forecasts() -> None:
    """Forecast what is due, organization by organization, in short turns."""
    for organization_id in organization_ids():
        forecast.refresh(organization_id, timezone.now(), seconds=SECONDS_FOR_FORECASTS)


@shared_task
def watch_alerts() -> None:
    """Escalate, wake and resolve alerts, and let paces recover."""
    for organization_id in organization_ids():
        evaluate.watch(organization_id, timezone.now())


@shared_task
def watch_limits() -> None:
    """Take limits further whose grace or lift has just ended."""
    for organization_id in organization_ids():
        evaluate.advance_due(organization_id, timezone.now())


@shared_task(soft_time_limit=600, time_limit=660)
def detect_unusual() -> None:
    """Look at the hours that have just closed for what is out of the ordinary."""
    for organization_id in organization_ids():
        detecting.detect(organization_id, timezone.now())


@shared_task
def score_forecasts() -> None:
    """Compare forecasts whose days have passed with what happened."""
    for organization_id in organization_ids():
        forecast_scores.score_runs(organization_id, timezone.now())


@shared_task
def recalibrate_forecasts() -> None:
    """Make intervals as wide as their realised coverage asks for."""
    for organization_id in organization_ids():
        forecast_calibration.recalibrate(organization_id, timezone.now())


@shared_task(soft_time_limit=15 * 60, time_limit=16 * 60)
def make_report(organization_id: str, report_id: str) -> None:
    """Take a report some seconds further, and queue the next task if there is more to do."""
    if reports.work(UUID(organization_id), UUID(report_id), timezone.now, render):
        _push_report(organization_id, report_id)


@shared_task
def make_reports() -> None:
    """Take up the reports that nobody works on, and mails that could not be sent."""
    for organization_id in organization_ids():
        report_mails.mail_finished(organization_id, timezone.now())
        for report_id in reports.waiting(organization_id, timezone.now()):
            _push_report(str(organization_id), str(report_id))


@shared_task
def send_monthly_reports() -> None:
    """Ask for the monthly reports that are due."""
    for organization_id in organization_ids():
        for report_id in report_subscriptions.make_due(organization_id, timezone.now()):
            _push_report(str(organization_id), str(report_id))


@shared_task
def prune_reports() -> None:
    """Remove files older than 30 days."""
    for organization_id in organization_ids():
        reports.prune_reports(organization_id, timezone.now())


def request_report(organization_id: UUID, report_id: UUID) -> None:
    """Have a worker make a report once the request's transaction is over."""
    arguments = (str(organization_id), str(report_id))
    transaction.on_commit(lambda: _push_report(*arguments), robust=True)


def _push_report(organization_id: str, report_id: str) -> None:
    """A broker that is away does not matter: `make_reports` finds the report within a minute."""
    try:
        make_report.apply_async((organization_id, report_id), retry=False, expires=60)
    except make_report.OperationalError:
        logger.warning("report.not_sent report=%s", report_id)
