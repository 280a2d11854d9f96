"""What Celery runs: thin, short, repeatable; ids as text. Rows are the truth, a task is only a push."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from budgets.actions import catch_up as catching_up


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
