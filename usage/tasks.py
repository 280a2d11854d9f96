"""What Celery runs: thin, short, repeatable; ids as text. Rows are the truth, a task is only a push."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from usage.actions import catch_up, retention


@shared_task
def roll_up(organization_id: str) -> None:
    """The wake-up after a request: merge and settle at once, so that a single event is on the screen in a second."""
    catch_up.catch_up(UUID(organization_id), timezone.now(), catch_up.SECONDS_FOR_ALL)


@shared_task
def roll_up_all() -> None:
    """The tick."""
    catch_up.catch_up_all(timezone.now)


@shared_task
def settle_all() -> None:
    """Settle beside the tick, on a queue of its own: the many days that a new price touches must not hold it up."""
    catch_up.settle_all(timezone.now)


@shared_task
def make_partitions() -> None:
    """Keep the event table's partitions some months ahead."""
    retention.make_partitions(timezone.now())


@shared_task
def forget_old_rows() -> None:
    """Remove what is past its time."""
    retention.forget_old_rows(timezone.now())
