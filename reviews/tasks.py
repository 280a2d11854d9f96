"""What Celery runs: thin, short, repeatable; ids as text. Rows are the truth, a task is only a push."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from accounts.reports import organization_ids
from reviews.actions import measure


@shared_task
def measure_all() -> None:
    """Have each organization's accounts looked at whose last closed day is not kept or not fresh any more."""
    for organization_id in organization_ids():
        measure_organization.delay(str(organization_id))


@shared_task(soft_time_limit=1800, time_limit=1860)
def measure_organization(organization_id: str) -> None:
    """Look at one organization's accounts."""
    measure.measure_due(UUID(organization_id), timezone.now())
