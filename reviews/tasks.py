"""What Celery runs: thin, short, repeatable; ids as text. Rows are the truth, a task is only a push."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from accounts.reports import organization_ids
from reviews.actions import digests, expansion, ladder, margin_watch, measure, plans, recipes, reminders


@shared_task
def deliver_digests() -> None:
    """Write the digests that are due; the outbox sends them."""
    for organization_id in organization_ids():
        digests.write_digests(organization_id, timezone.now())


@shared_task
def measure_all() -> None:
    """Have each organization's accounts looked at whose last closed day is not kept or not fresh any more."""
    for organization_id in organization_ids():
        measure_organization.delay(str(organization_id))


@shared_task(soft_time_limit=1800, time_limit=1860)
def measure_organization(organization_id: str) -> None:
    """Look at one organization's accounts."""
    if measure.measure_due(UUID(organization_id), timezone.now()):
        margin_watch.tell_negative_margins(UUID(organization_id), timezone.now())


@shared_task
def thin_all_metrics() -> None:
    """Let go of daily metrics that nobody looks back on any more."""
    for organization_id in organization_ids():
        measure.thin_metrics(organization_id, timezone.now())


@shared_task(soft_time_limit=3600, time_limit=3660)
def try_recipes(organization_id: str) -> None:
    """Try the recipes that wait for it on the past."""
    recipes.run_waiting_trials(UUID(organization_id), timezone.now())


@shared_task
def try_all_recipes() -> None:
    """The tick, for what a lost push or a stopped worker left behind."""
    for organization_id in organization_ids():
        try_recipes.delay(str(organization_id))


@shared_task
def remind_all() -> None:
    """Have each organization's people hear what waits for them, in the morning of each account."""
    for organization_id in organization_ids():
        remind.delay(str(organization_id))


@shared_task(soft_time_limit=900, time_limit=960)
def remind(organization_id: str) -> None:
    """Write one organization's reminders of today."""
    reminders.remind(UUID(organization_id), timezone.now())


@shared_task
def check_all_ladders() -> None:
    """Have each organization's workflows looked at: gates, proposals, steps back."""
    for organization_id in organization_ids():
        check_ladders.delay(str(organization_id))


@shared_task(soft_time_limit=1800, time_limit=1860)
def check_ladders(organization_id: str) -> None:
    """Look at one organization's workflows, and at the milestones that data tick."""
    ladder.check_ladders(UUID(organization_id), timezone.now())
    plans.tick_plans(UUID(organization_id), timezone.now())
    expansion.win_what_runs(UUID(organization_id), timezone.now())
