"""What Celery runs: thin, short, repeatable; ids as text. Rows are the truth, a task is only a push."""

from datetime import datetime
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from usage.actions import retention
from usage.actions.catch_up import catch_up, organizations_waiting
from usage.actions.settle import settle as settle_organization


@shared_task
def roll_up(organization_id: str) -> None:
    """The wake-up after a request: merge and settle at once, so that a single event is on the screen in a second."""
    catch_up(UUID(organization_id), timezone.now())


@shared_task
def roll_up_all() -> None:
    """The tick."""
    for organization_id in organizations_waiting():
        catch_up(organization_id, timezone.now())


@shared_task
def settle_all() -> None:
    """Settle what something else than an event touched, such as a new price."""
    for organization_id in organizations_waiting():
        settle_organization(organization_id, timezone.now())


@shared_task
def make_partitions() -> None:
    retention.make_partitions(timezone.now())


@shared_task
def forget_old_rows() -> None:
    now: datetime = timezone.now()
    retention.forget_old_rows(now)
