"""What bends an account's burndown: commits that begin or change, plans, new prices, and days far above the usual."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from statistics import median

from django.db.models import F, Q

from accounts.models import Account
from budgets.models import Commit, CommitChange, PlannedActivity
from consumption_cs.lib.tenancy import Viewer
from usage.models import AccountDay, Price, UsageDay

MOST_SPIKES = 3
SPIKE = 3  # times the median of the same weekday
SPIKE_WEEKS = 8
_ENOUGH_WEEKS = 4
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that bends the line, for the chart and its key."""

    day: date
    name: str
    detail: str
    ahead: bool


def events_of(viewer: Viewer, account: Account, first: date, today: date, end: date | None) -> list[Event]:
    """Return the events of local days from `first` until the term's `end`, oldest first."""
    found = _of_commits(viewer, account, first, today) + _new_prices(viewer, account, first, today)
    for plan in PlannedActivity.objects.visible_to(viewer).filter(account=account, cancelled_at=None):
        found.append(Event(plan.starts_on, plan.name, plan.get_kind_display(), plan.starts_on >= today))
    found += _spikes(viewer, account, first, today)
    in_term = [event for event in found if first <= event.day and (end is None or event.day < end)]
    return sorted(in_term, key=lambda event: (event.day, event.name))


def _of_commits(viewer: Viewer, account: Account, first: date, today: date) -> list[Event]:
    found = [
        Event(commit.effective_on, f"{commit.name} begins", commit.get_kind_display(), commit.effective_on >= today)
        for commit in Commit.objects.visible_to(viewer).filter(account=account, effective_on__gt=first)
    ]
    for change in CommitChange.objects.visible_to(viewer).filter(account=account).select_related("commit"):
        words = f"{change.commit.name}: {change.get_kind_display().lower()}"
        found.append(Event(change.effective_on, words, "", change.effective_on >= today))
    return found


def _new_prices(viewer: Viewer, account: Account, first: date, today: date) -> list[Event]:
    """Published prices that bear on the account: its own, and those of the list for meters it has no own price for."""
    # The list belongs to no account, so a customer's viewer reads it by name: its days and no more.
    rows = Price.objects.filter(organization_id=viewer.organization_id, currency=account.currency, in_force=True)
    own = set(rows.filter(account=account).values_list("meter_id", flat=True))
    used = set(
        UsageDay.objects.visible_to(viewer).filter(account=account, day__gte=first).values_list("meter_id", flat=True)
    )
    listed = Q(account=None, meter_id__in=used - own)
    changed = rows.filter(Q(account=account) | listed, effective_on__gt=first)
    return [
        Event(day, "new prices", "", day >= today)
        for day in sorted(set(changed.values_list("effective_on", flat=True)))
    ]


def _spikes(viewer: Viewer, account: Account, first: date, today: date) -> list[Event]:
    since = first - SPIKE_WEEKS * _WEEK
    rows = AccountDay.objects.visible_to(viewer).filter(account=account, currency=account.currency)
    # What was booked on a day for earlier ones did not happen on it.
    spend = dict(rows.filter(day__gte=since, day__lt=today).values_list("day", F("spend") - F("adjustment")))
    times = {day: ratio for day in spend if day >= first and (ratio := spike(spend, day)) is not None}
    largest = sorted(times, key=lambda day: times[day], reverse=True)[:MOST_SPIKES]
    return [Event(day, f"{times[day]:.0f} times the usual day", "", ahead=False) for day in largest]


def spike(spend: Mapping[date, Decimal], day: date) -> Decimal | None:
    """Return how many times the median of the same weekday of eight weeks before a day spent, if that is over three.

    None with fewer than four such days known, or when they are usually without spend.
    """
    before = [spend[earlier] for week in range(1, SPIKE_WEEKS + 1) if (earlier := day - week * _WEEK) in spend]
    usual = median(before) if len(before) >= _ENOUGH_WEEKS else Decimal(0)
    return spend[day] / usual if usual > 0 and spend[day] > SPIKE * usual else None
