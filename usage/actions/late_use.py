"""Money of closed periods that is found later: the difference to what was frozen, booked in the open period."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Sum

from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import Viewer
from usage.actions import rated_rows
from usage.actions.marks import Mark
from usage.actions.rated_rows import Stretch
from usage.actions.rating_input import Owner, rating_of
from usage.actions.rating_output import Changes
from usage.calc.billing_periods import Span, billing_span
from usage.calc.day_rating import Line, Outcome, Rated, Use, rate_days, totals_of
from usage.calc.price_book import PriceBook
from usage.models import Adjustment, BillingPeriod

ZERO = Decimal(0)


def adjust(
    organization_id: UUID,
    now: datetime,
    owners: Mapping[str, Owner],
    book: PriceBook,
    marks: Sequence[Mark],
    changes: Changes,
) -> list[tuple[str, date]]:
    """Rate the closed periods of the `marks` anew and book what differs from them and from earlier adjustments.

    An adjustment per meter and cell, on the account's current local day, with the reason. Returns the accounts and
    days booked on. Rows of usage that came late and have a price cost nothing on their own day; `changes` gets them.
    """
    by_period = _by_period(organization_id, now, owners, marks)
    if not by_period:
        return []
    periods = list(by_period)
    spans = {period.pk: _stretch(period) for period in periods}
    uses, frozen = defaultdict(list), defaultdict(list)
    for use in rated_rows.read_uses(organization_id, list(spans.values())):
        uses[_key_of(use, periods)].append(use)
    for row in rated_rows.read_rated(organization_id, list(spans.values())):
        frozen[_key_of(row, periods)].append(row)
    earlier = _earlier(organization_id, periods)
    rows, booked = [], []
    for period, late in by_period.items():
        owner = owners[str(period.account_id)]
        outcome = _rated_anew(organization_id, owner, book, period, uses[period.pk])
        _free_of_charge(outcome, uses[period.pk], changes)
        differences = _differences(outcome, frozen[period.pk], earlier[period.pk])
        day, why = owner.today(now), reason_of(late)
        rows += [
            (uuid7(), period.account_id, day, period.pk, meter, cell, quantity, amount, why)
            for (meter, cell), (quantity, amount) in differences.items()
        ]
        if differences:
            booked.append((owner.id, day))
    rated_rows.write_adjustments(organization_id, rows)
    return booked


def reason_of(marks: Sequence[Mark]) -> str:
    """Say why money of a closed period changed: what the marks say, and which days had late use."""
    told = sorted({mark.reason for mark in marks if mark.reason})
    days = sorted(mark.day for mark in marks if not mark.reason)
    if days:
        first, last = _in_words(days[0]), _in_words(days[-1])
        told.append(f"Late use of {first}" if first == last else f"Late use of {first} to {last}")
    return "; ".join(told)


def _in_words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _stretch(period: BillingPeriod) -> Stretch:
    return Stretch(str(period.account_id), period.starts_on, period.starts_on, period.ends_on)


def _key_of(row: Use | Rated, periods: Iterable[BillingPeriod]) -> UUID:
    key: UUID = next(
        period.pk
        for period in periods
        if str(period.account_id) == row.account and period.starts_on <= row.day < period.ends_on
    )
    return key


def _by_period(
    organization_id: UUID, now: datetime, owners: Mapping[str, Owner], marks: Sequence[Mark]
) -> dict[BillingPeriod, list[Mark]]:
    """The closed period of each mark. Use before the first one gets an empty one: it was over then, too."""
    closed: dict[str, list[BillingPeriod]] = defaultdict(list)
    accounts = {mark.account for mark in marks}
    found = BillingPeriod.objects.visible_to(Viewer(organization_id)).filter(account__in=accounts)
    for period in found.order_by("starts_on") if accounts else ():
        closed[str(period.account_id)].append(period)
    by_period: dict[BillingPeriod, list[Mark]] = defaultdict(list)
    for mark in marks:
        own = closed[mark.account]
        period = next((one for one in own if one.starts_on <= mark.day < one.ends_on), None)
        if period is None:
            period = _empty_period(organization_id, now, owners[mark.account], mark.day, own)
            own.append(period)
        by_period[period].append(mark)
    return by_period


def _empty_period(
    organization_id: UUID, now: datetime, owner: Owner, day: date, closed: Sequence[BillingPeriod]
) -> BillingPeriod:
    span = billing_span(day, owner.billing_day)
    starts = max([span.start, *(one.ends_on for one in closed if one.ends_on <= day)])
    ends = min([span.end, *(one.starts_on for one in closed if one.starts_on > day)])
    period: BillingPeriod = BillingPeriod.objects.create(
        organization_id=organization_id,
        account_id=owner.id,
        starts_on=starts,
        ends_on=ends,
        currency=owner.currency,
        amount=ZERO,
        closed_at=now,
    )
    return period


def _rated_anew(
    organization_id: UUID, owner: Owner, book: PriceBook, period: BillingPeriod, uses: Iterable[Use]
) -> Outcome:
    last_day = date.fromordinal(period.ends_on.toordinal() - 1)
    rating = rating_of(organization_id, owner, book, Span(period.starts_on, period.ends_on))
    return rate_days(rating, uses, {}, last_day)


def _free_of_charge(outcome: Outcome, uses: Iterable[Use], changes: Changes) -> None:
    for use in uses:
        if use.spend is None and outcome.spends[use.id] is not None:
            changes.spends[use.id] = ZERO  # its money is in the adjustment
            changes.days.add((use.account, use.day))


def _earlier(organization_id: UUID, periods: Iterable[BillingPeriod]) -> dict[UUID, list[tuple[Any, ...]]]:
    earlier: dict[UUID, list[tuple[Any, ...]]] = defaultdict(list)
    rows = Adjustment.objects.visible_to(Viewer(organization_id)).filter(period__in=list(periods))
    summed = rows.values_list("period_id", "meter_id", "cell").annotate(Sum("quantity"), Sum("amount"))
    for period, meter, cell, quantity, amount in summed:
        earlier[period].append((str(meter), cell, quantity, amount))
    return earlier


def _differences(
    outcome: Outcome, frozen: Iterable[Rated], earlier: Iterable[tuple[Any, ...]]
) -> dict[Line, tuple[Decimal, Decimal]]:
    """By how much each line's quantity and amount are not what was booked; those that are, are left out."""
    should = [(row.meter, row.cell, row.quantity, row.amount) for row in outcome.days]
    booked = [(row.meter, row.cell, row.quantity, row.amount) for row in frozen]
    less = [(meter, cell, -quantity, -(amount or ZERO)) for meter, cell, quantity, amount in [*booked, *earlier]]
    differences = totals_of([*should, *less])
    return {line: difference for line, difference in sorted(differences.items()) if any(difference)}
