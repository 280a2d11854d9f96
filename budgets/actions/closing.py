"""Billing periods are closed by the calendar or by hand: rated for the last time, drawn, then frozen."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import transaction

from accounts.models import Account, Organization, User
from budgets.actions.draw import draw_accounts
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.actions.periods import NotClosable, close_period
from usage.models import BillingPeriod
from usage.reports.periods import next_to_close, oldest_open_spans

_REASON = "The billing period was closed: minimum spend counts on its last day"


class ClosingError(ValueError):
    """A period that cannot be closed; the message says what to do."""


def close_due_periods(organization_id: UUID, now: datetime, account_ids: Sequence[str]) -> int:
    """Close each period that ended `close_after_days` ago or earlier, oldest first; return how many.

    Within `act_as`, after the draw, with the accounts' Settlement rows locked.
    """
    viewer = Viewer(organization_id)
    wait = timedelta(days=Organization.objects.values_list("close_after_days", flat=True).get(pk=organization_id))
    closed = 0
    first_days: dict[str, date] = {}
    for account in _may_be_due(organization_id, now, account_ids, wait):
        periods = _close_all_due(viewer, account, now, wait)
        closed += len(periods)
        if periods:
            first_days[str(account.pk)] = periods[0].starts_on
    if first_days:
        draw_accounts(organization_id, now, first_days, _REASON)
    return closed


def close_by_hand(viewer: Viewer, account: Account, starts_on: date, now: datetime) -> BillingPeriod:
    """Close the period of `account` that starts on `starts_on` now. Raises ClosingError, in words.

    It must be the oldest open one, have ended, and have nothing waiting to be settled.
    """
    person = User.objects.filter(pk=viewer.user_id).first() if viewer.user_id else None
    try:
        with transaction.atomic():
            period = close_period(viewer, account, starts_on, now, person)
            draw_accounts(viewer.organization_id, now, {str(account.pk): starts_on}, _REASON)
    except NotClosable as error:
        raise ClosingError(str(error)) from error
    return period


def _may_be_due(organization_id: UUID, now: datetime, account_ids: Iterable[str], wait: timedelta) -> list[Account]:
    """Return the accounts whose oldest open period ended long enough ago: settlement asks for all, often."""
    accounts = {
        one.pk: one for one in Account.objects.filter(organization_id=organization_id, pk__in=list(account_ids))
    }
    spans = oldest_open_spans(Viewer(organization_id), accounts.values())
    return [
        accounts[pk] for pk, span in spans.items() if span.end + wait <= day_of(now, zone_of(accounts[pk].timezone))
    ]


def _close_all_due(viewer: Viewer, account: Account, now: datetime, wait: timedelta) -> list[BillingPeriod]:
    today = day_of(now, zone_of(account.timezone))
    periods: list[BillingPeriod] = []
    while True:
        span = next_to_close(viewer, account, now)
        if span is None or span.end + wait > today:
            return periods
        try:
            periods.append(close_period(viewer, account, span.start, now))
        except NotClosable:  # something came in between: the next settlement closes it
            return periods
