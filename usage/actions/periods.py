"""Closing a billing period: rated for the last time, with its minimum spends, then frozen."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Sum

from accounts.actions.audit import audit
from accounts.models import Account, User
from consumption_cs.lib.tenancy import Viewer
from usage.actions import rated_rows
from usage.actions.rated_rows import Stretch
from usage.actions.rating_input import owners_of, rating_of
from usage.actions.rating_output import Changes, compare, write
from usage.calc.billing_periods import Span
from usage.calc.day_rating import rate_days
from usage.models import Adjustment, BillingPeriod, RatedDay, Settlement, TouchedDay
from usage.reports.periods import next_to_close, today_of


class NotClosable(ValueError):
    """A period that cannot be closed now; the message says what to do."""


def close_period(
    viewer: Viewer, account: Account, starts_on: date, now: datetime, closed_by: User | None = None
) -> BillingPeriod:
    """Freeze the account's oldest open billing period, which must have ended, and return it with its amount.

    Minimum spends apply on its last day; from now on what is found for it is an adjustment in the open one.
    `closed_by` None: by the calendar. Within `act_as`; locks the account's Settlement row. Raises NotClosable when
    it is another period's turn, when it goes on, or when something of the account waits to be settled.
    """
    settlement = _locked(viewer, account, now)
    span = _checked(viewer, account, starts_on, now)
    _rate_for_the_last_time(viewer, account, span, now)
    period: BillingPeriod = BillingPeriod.objects.create(
        organization_id=viewer.organization_id,
        account=account,
        starts_on=span.start,
        ends_on=span.end,
        currency=account.currency,
        amount=_amount(viewer, account, span),
        closed_at=now,
        closed_by=closed_by,
    )
    settlement.closed_until = span.end
    settlement.save(update_fields=["closed_until"])
    details = {"amount": f"{period.amount:f}", "currency": period.currency}
    audit(viewer, "period.closed", period, f"{account.name}: {period}", details)
    return period


def _locked(viewer: Viewer, account: Account, now: datetime) -> Settlement:
    settlements = Settlement.objects.visible_to(viewer)
    settlements.get_or_create(organization_id=viewer.organization_id, account_id=account.pk, defaults={"due_at": now})
    settlement: Settlement = settlements.select_for_update().get(account_id=account.pk)
    return settlement


def _checked(viewer: Viewer, account: Account, starts_on: date, now: datetime) -> Span:
    span = next_to_close(viewer, account, now)
    if span is None:
        raise NotClosable(f"{account.name} has no usage yet, so there is no period to close.")
    if span.start != starts_on:
        raise NotClosable(f"Close the period from {span.start} first: periods are closed in their order.")
    if not span.has_ended(today_of(account, now)):
        raise NotClosable(f"The period runs until {span.end - timedelta(days=1)}: close it when it is over.")
    if TouchedDay.objects.visible_to(viewer).filter(account=account).exists():
        raise NotClosable("New usage or a new price is just being settled. Try again in some seconds.")
    return span


def _rate_for_the_last_time(viewer: Viewer, account: Account, span: Span, now: datetime) -> None:
    organization_id, stretch = viewer.organization_id, Stretch(str(account.pk), span.start, span.start, span.end)
    owners = owners_of(organization_id, [stretch.account])
    book = rated_rows.read_prices(organization_id, owners)
    uses = rated_rows.read_uses(organization_id, [stretch])
    existing = rated_rows.read_rated(organization_id, [stretch])
    rating = rating_of(organization_id, owners[stretch.account], book, span)
    changes = Changes()
    outcome = rate_days(rating, uses, {}, last_day=span.end - timedelta(days=1))
    compare(outcome, uses, existing, changes)
    write(organization_id, owners, changes, now)


def _amount(viewer: Viewer, account: Account, span: Span) -> Decimal:
    total = Decimal(0)
    for model in (RatedDay, Adjustment):
        rows = model.objects.visible_to(viewer).filter(account=account, day__gte=span.start, day__lt=span.end)
        total += rows.aggregate(total=Sum("amount", default=Decimal(0)))["total"]
    return total
