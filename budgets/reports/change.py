"""Why a period cost more or less than the one before: the same card as of a spike, from days instead of hours."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.db.models import Sum

from accounts.models import Account
from budgets.reports.cause import CORRECTIONS, card_of
from budgets.reports.cause_shown import cause_shown
from budgets.reports.cause_sums import Row
from budgets.reports.statements import periods_of
from consumption_cs.lib.display import counted, money_text, percent_text
from consumption_cs.lib.periods import add_months, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.models import Adjustment, UsageDay
from usage.reports.overview_words import short_date

ZERO = Decimal(0)
WEEK = 7
KINDS = {"month": "Month", "week": "Week", "invoice": "Invoice"}


@dataclass(frozen=True, slots=True)
class Compared:
    """Days [first, after) against [before_first, before_after), local days of the account."""

    of: str
    first: date
    after: date
    before_first: date
    before_after: date

    @property
    def last(self) -> date:
        return self.after - timedelta(days=1)

    @property
    def before_last(self) -> date:
        """The last day of the month before for a month, else of what it is compared with."""
        return (self.first if self.of == "month" else self.before_after) - timedelta(days=1)

    @property
    def days(self) -> int:
        return (self.after - self.first).days

    @property
    def days_before(self) -> int:
        return (self.before_after - self.before_first).days

    @property
    def name(self) -> str:
        """The days in words: "November 2026", "Nov 1 to Nov 22"."""
        return _name(self.first, self.after)

    @property
    def before_name(self) -> str:
        return _name(self.before_first, self.before_after)


def _name(first: date, after: date) -> str:
    if first.day == 1 and after == add_months(first, 1):
        return f"{first:%B %Y}"
    last = after - timedelta(days=1)
    return short_date(first) if first == last else f"{short_date(first)} to {short_date(last)}"


def compared(viewer: Viewer, account: Account, of: str, end: str, now: datetime) -> Compared:
    """Return which days are compared, from what a reader asked for. What is not understood counts as not asked.

    `end` is the last day; days that have ended only, yesterday without it. Month: from its first day to `end` against
    as many days of the month before. Week: seven days against the seven before. Invoice: the billing period of `end`
    against the one before, whole or as far as it is; their days may differ.
    """
    yesterday = day_of(now, zone_of(account.timezone)) - timedelta(days=1)
    last = min(_day(end) or yesterday, yesterday)
    after = last + timedelta(days=1)
    if of == "week":
        first = after - timedelta(days=WEEK)
        return Compared(of, first, after, first - timedelta(days=WEEK), first)
    if of == "invoice":
        found = _invoices(viewer, account, last, now)
        if found is not None:
            return found
    first = last.replace(day=1)
    before = add_months(first, -1)
    days = min(after - first, first - before)  # a month that has no 31st is not compared with one that has
    return Compared("month", first, first + days, before, before + days)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _invoices(viewer: Viewer, account: Account, last: date, now: datetime) -> Compared | None:
    periods = periods_of(viewer, account, now)
    for period, before in pairwise(periods):
        if period.starts_on <= last < period.ends_on:
            return Compared("invoice", period.starts_on, period.ends_on, before.starts_on, before.ends_on)
    return None


def change(viewer: Viewer, account: Account, of: Compared) -> dict[str, Any]:
    """Return the cause card of a change between periods, ready to be drawn. Four queries, of days only.

    What was booked for earlier, closed periods is a part of its own: corrections. Events are not read, so that tasks
    are the attempts that succeeded.
    """
    rows = tuple(
        _rows(viewer, account, first, after)
        for first, after in ((of.before_first, of.before_after), (of.first, of.after))
    )
    card = card_of(viewer, account, (rows[0], rows[1]))
    card["against"] = against_words(of)
    card["has_use"] = bool(rows[0] or rows[1])
    card["usual_name"] = "Before"
    shown = cause_shown(card)
    shown["bridge"][0]["label"], shown["bridge"][-1]["label"] = of.before_name, of.name
    for row in shown["bridge"]:
        row["words"] = _before_words(row["words"])
    shown["finding"] = _before_words(shown["finding"])
    return shown


_AS_BEFORE = {
    ", usually ": ", before ",
    "what it usually does": "what it did",
    "as usual": "as before",
    " than usual": " than before",
    " the usual": " what it was",
    "is usual": "was",
}


def _before_words(words: str) -> str:
    """A period is held against the one before, not against what is usual."""
    for usual, before in _AS_BEFORE.items():
        words = words.replace(usual, before)
    return words


def against_words(of: Compared) -> str:
    """Return what is compared: "Nov 1 to Nov 22 against Oct 1 to Oct 22, 22 days each."."""
    if of.days == of.days_before:
        return f"{of.name} against {of.before_name}, {counted(of.days, 'day')} each."
    return f"{of.name}, {counted(of.days, 'day')}, against {of.before_name}, {counted(of.days_before, 'day')}."


def headline(card: dict[str, Any], of: Compared) -> str:
    """Return the difference in one sentence."""
    difference, opening = Decimal(card["difference"]), Decimal(card["opening"])
    if not difference:
        return f"{of.name} cost as much as {of.before_name}"
    more = "more" if difference > 0 else "less"
    share = f" ({percent_text(difference / opening, places=0, signed=True)})" if opening > 0 else ""
    return f"{of.name} cost {money_text(abs(difference), card['currency'])} {more} than {of.before_name}{share}"


def _rows(viewer: Viewer, account: Account, first: date, after: date) -> list[Row]:
    own = {"account": account, "day__gte": first, "day__lt": after}
    days = UsageDay.objects.visible_to(viewer).filter(**own).order_by()
    sums = days.values_list("workflow_id", "meter_id", "group").annotate(
        Sum("quantity"), Sum("events"), Sum("finished"), Sum("successes"), Sum("spend")
    )
    rows = [
        Row(str(workflow or ""), str(meter), group, units, events, finished, successes, spend or ZERO, ZERO)
        for workflow, meter, group, units, events, finished, successes, spend in sums
    ]
    booked = Adjustment.objects.visible_to(viewer).filter(**own).aggregate(amount=Sum("amount"))["amount"]
    if booked:
        rows.append(Row(CORRECTIONS, "", "", ZERO, 0, 0, 0, booked, ZERO))
    return rows
