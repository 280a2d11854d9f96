"""What Celery runs: thin, short, repeatable; ids as text. Rows are the truth, a task is only a push."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from accounts.reports import organization_ids
from budgets.actions import catch_up as catching_up
from budgets.actions import forecast, forecast_scores, verify

SECONDS_FOR_FORECASTS = 20.0  # for one organization, then the next has its turn


@shared_task
def catch_up(organization_id: str) -> None:
    """The wake-up after a request: merge and settle at once, so that a single event is on the screen in a second."""
    catching_up.catch_up(UUID(organization_id), timezone.now(), catching_up.SECONDS_FOR_ALL)


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
def refresh_forecasts() -> None:
    """Forecast what is due, organization by organization, in short turns."""
    for organization_id in organization_ids():
        forecast.refresh(organization_id, timezone.now(), seconds=SECONDS_FOR_FORECASTS)


@shared_task
def score_forecasts() -> None:
    """Compare forecasts whose days have passed with what happened."""
    for organization_id in organization_ids():
        forecast_scores.score_runs(organization_id, timezone.now())


@shared_task
def recalibrate_forecasts() -> None:
    """Make intervals as wide as their realised coverage asks for."""
    for organization_id in organization_ids():
        forecast_scores.recalibrate(organization_id, timezone.now())
