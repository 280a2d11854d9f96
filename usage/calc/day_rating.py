"""The days of one account and billing period turned into money, line by line. Pure Decimal."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

from consumption_cs.lib.money import exactly
from usage.calc.price_book import InForce, PriceBook, is_per_event
from usage.calc.prices import ZERO, Price, Usage
from usage.calc.rated_days import Running, go_on
from usage.calc.rating import shared_out


class Use(NamedTuple):
    """What rating needs of one row of `usage_day`."""

    id: int
    account: str
    day: date
    meter: str
    group: str
    quantity: Decimal
    events: int
    spend: Decimal | None
    workflow: str | None = None


class Rated(NamedTuple):
    """One row of `usage_rated_day`: see there."""

    account: str
    day: date
    meter: str
    cell: str
    price: str | None
    quantity: Decimal
    events: int
    amount: Decimal | None
    total_quantity: Decimal
    total_events: int
    total_due: Decimal
    total_amount: Decimal

    @property
    def key(self) -> "RatedKey":
        return self.account, self.day, self.meter, self.cell

    @property
    def running(self) -> Running:
        """Where the period stands after this day."""
        usage = Usage(self.total_quantity, self.total_events, supplied=self.total_quantity)
        return Running(usage, self.total_due, self.total_amount)


RatedKey = tuple[str, date, str, str]
Line = tuple[str, str]  # a meter and a cell
EventValues = Mapping[tuple[date, str, str], Sequence[Decimal]]  # local day, meter, group → quantities in order


@dataclass(frozen=True, slots=True)
class Rating:
    """Whose days are rated, with which prices. `events` has the single events of meters that need them."""

    account: str
    currency: str
    places: int
    book: PriceBook
    events: EventValues = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rated days in order, and what each row of usage costs by its id; None is unpriced."""

    days: list[Rated]
    spends: dict[int, Decimal | None]


@exactly
def rate_days(
    rating: Rating, uses: Iterable[Use], start: Mapping[Line, Running], last_day: date | None = None
) -> Outcome:
    """Rate the `uses` of an account, all in one billing period, going on from where its lines stood before.

    Each line (meter and cell) keeps a running total; a day costs what it adds to the rounded total. A matrix price
    counts each of its cells from the first day it is in force. Meters that are no sum count as their days say: the
    period's quantity of a greatest, latest or unique value is the sum of its days. With `last_day` the period is
    closed: minimum spends apply, as part of that day or, without use, as a line of their own.
    """
    lines = dict(start)
    outcome = Outcome([], {})
    for (day, meter, cell), (in_force, parts) in sorted(_parts(rating, uses).items(), key=lambda item: item[0]):
        price = in_force.price_of(cell) if in_force else None
        before = lines.get((meter, cell), Running())
        usage = _usage_of(rating, parts, price)
        after = go_on(price, before, usage, places=rating.places, final=day == last_day)
        _add(outcome, rating, (day, meter, cell), in_force, parts, before, after)
        if after is not None:
            lines[meter, cell] = after
    if last_day is not None:
        _true_up(outcome, rating, lines, last_day)
    return outcome


def _parts(rating: Rating, uses: Iterable[Use]) -> dict[tuple[date, str, str], tuple[InForce | None, list[Use]]]:
    parts: dict[tuple[date, str, str], tuple[InForce | None, list[Use]]] = {}
    for use in uses:
        in_force = rating.book.on(use.day, use.meter, rating.account, rating.currency)
        cell = in_force.cell_of(use.group) if in_force else ""
        parts.setdefault((use.day, use.meter, cell), (in_force, []))[1].append(use)
    return parts


def _usage_of(rating: Rating, parts: Sequence[Use], price: Price | None) -> Usage:
    quantity = sum((use.quantity for use in parts), ZERO)
    events = sum(use.events for use in parts)
    groups = sorted({use.group for use in parts})
    day, meter = parts[0].day, parts[0].meter
    values = tuple(value for group in groups for value in rating.events.get((day, meter, group), ()))
    if price is None or not values:
        return Usage(quantity, events, supplied=quantity)
    return Usage(quantity, events, tuple(accumulate(values)), values if is_per_event(price) else (), quantity)


def _add(
    outcome: Outcome,
    rating: Rating,
    key: tuple[date, str, str],
    in_force: InForce | None,
    parts: Sequence[Use],
    before: Running,
    after: Running | None,
) -> None:
    """Add a day's line and share its amount out to the rows that used it; without a price all are unpriced."""
    quantity = sum((use.quantity for use in parts), ZERO)
    events = sum(use.events for use in parts)
    amount = None if after is None else after.amount - before.amount
    row = _row(rating, key, in_force.id if in_force else None, (quantity, events, amount), after or before)
    outcome.days.append(row)
    if amount is None:
        outcome.spends.update((use.id, None) for use in parts)
    elif len(parts) == 1 or not amount:
        outcome.spends.update((use.id, amount) for use in parts)
    else:
        shares = shared_out(amount, [use.quantity for use in parts], places=rating.places)
        outcome.spends.update((use.id, share) for use, share in zip(parts, shares, strict=True))


def _row(
    rating: Rating,
    key: tuple[date, str, str],
    price: str | None,
    figures: tuple[Decimal, int, Decimal | None],
    running: Running,
) -> Rated:
    usage = running.usage or Usage(ZERO)
    total = running.amount
    return Rated(rating.account, *key, price, *figures, usage.quantity, usage.events, running.due, total)


def _true_up(outcome: Outcome, rating: Rating, lines: dict[Line, Running], last_day: date) -> None:
    """Add a line without use for each minimum spend that the last day's use has not brought up already.

    A minimum holds for what was used in the period; one in a price of the account's own also without any use.
    """
    done = {(row.meter, row.cell) for row in outcome.days if row.day == last_day}
    unused = {(meter, "") for meter in rating.book.own_meters(rating.account, rating.currency)}
    for line in sorted((set(lines) | unused) - done):
        meter, cell = line
        in_force = rating.book.on(last_day, meter, rating.account, rating.currency)
        price = in_force.price_of(cell) if in_force else None
        if in_force is None or price is None or price.min_spend is None:
            continue
        before = lines.get(line, Running(Usage(ZERO, 1)))
        after = go_on(price, before, Usage(ZERO), places=rating.places, final=True)
        if after is not None and after.amount != before.amount:
            figures = (ZERO, 0, after.amount - before.amount)
            outcome.days.append(_row(rating, (last_day, meter, cell), in_force.id, figures, after))


@exactly
def totals_of(rows: Iterable[tuple[str, str, Decimal, Decimal | None]]) -> dict[Line, tuple[Decimal, Decimal]]:
    """Return what (meter, cell, quantity, amount) come to by line: quantity and amount, unpriced ones as zero."""
    totals: dict[Line, tuple[Decimal, Decimal]] = defaultdict(lambda: (ZERO, ZERO))
    for meter, cell, quantity, amount in rows:
        before = totals[meter, cell]
        totals[meter, cell] = (before[0] + quantity, before[1] + (amount or ZERO))
    return dict(totals)
