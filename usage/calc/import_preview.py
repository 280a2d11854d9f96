"""What an import would change: days of use as they are and as they would be, and what each costs. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from consumption_cs.lib.money import exactly
from usage.calc.billing_periods import Span
from usage.calc.price_book import PriceBook
from usage.calc.prices import ZERO, Usage
from usage.calc.rated_days import Running, go_on


class Place(NamedTuple):
    """Where use is counted within an account and meter."""

    day: date
    workflow: str
    group: str


class Use(NamedTuple):
    """How much, in how many billed events, the last of them when."""

    quantity: Decimal
    events: int
    last_at: datetime


class Added(NamedTuple):
    """What an import adds to a place, and what it takes back there."""

    use: Use
    voided_quantity: Decimal = ZERO
    voided_events: int = 0


@exactly
def after(before: Mapping[Place, Use], added: Mapping[Place, Added], aggregation: str) -> dict[Place, Use]:
    """Return the use of each place once the import is closed.

    For meters that keep a greatest or latest value, taking events back is an estimate: the value stays until the
    days are counted anew.
    """
    result = dict(before)
    for place, add in added.items():
        result[place] = _add(before.get(place), add, aggregation)
    return result


def _add(kept: Use | None, add: Added, aggregation: str) -> Use:
    use = add.use
    if kept is None:
        return use
    events = kept.events + use.events - add.voided_events
    last_at = max(kept.last_at, use.last_at)
    if not use.events and not add.voided_events:
        return Use(kept.quantity, events, last_at)
    if aggregation == "max":
        quantity = max(kept.quantity, use.quantity)
    elif aggregation == "latest":
        quantity = max((kept.last_at, kept.quantity), (use.last_at, use.quantity))[1]
    else:
        quantity = kept.quantity + use.quantity - add.voided_quantity
    return Use(quantity, events, last_at)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose use it is, what it is counted by, and the currency and its decimal places."""

    account: str
    meter: str
    currency: str
    places: int


@exactly
def cost(days: Mapping[Place, Use], span: Span, book: PriceBook, payer: Payer, *, final: bool) -> Decimal | None:
    """Return what a billing period costs, None when none of its use has a price. `final`: the period has ended."""
    stretches: dict[str, list[tuple[date, Usage]]] = defaultdict(list)
    for day, group, usage in _by_day(days, span):
        in_force = book.on(day, payer.meter, payer.account, payer.currency)
        stretches[in_force.cell_of(group) if in_force else ""].append((day, usage))
    amounts = [_amount(cell, parts, book, payer, final=final) for cell, parts in stretches.items()]
    priced = [amount for amount in amounts if amount is not None]
    return sum(priced, ZERO) if priced else None


def _by_day(days: Mapping[Place, Use], span: Span) -> Iterable[tuple[date, str, Usage]]:
    """Workflows share a price, so they are added up; groups may have one of their own."""
    together: dict[tuple[date, str], tuple[Decimal, int]] = {}
    for place, use in days.items():
        if span.holds(place.day):
            quantity, events = together.get((place.day, place.group), (ZERO, 0))
            together[place.day, place.group] = (quantity + use.quantity, events + use.events)
    for (day, group), (quantity, events) in sorted(together.items()):
        yield day, group, Usage(quantity, events)


def _amount(
    cell: str, parts: Sequence[tuple[date, Usage]], book: PriceBook, payer: Payer, *, final: bool
) -> Decimal | None:
    running, is_priced = Running(), False
    for index, (day, usage) in enumerate(parts):
        in_force = book.on(day, payer.meter, payer.account, payer.currency)
        price = in_force.price_of(cell) if in_force else None
        last = final and index == len(parts) - 1
        next_one = go_on(price, running, usage, places=payer.places, final=last)
        if next_one is not None:
            running, is_priced = next_one, True
    return running.amount if is_priced else None


@exactly
def total(days: Mapping[Place, Use]) -> Decimal:
    """Return the quantity of all places."""
    return sum((use.quantity for use in days.values()), ZERO)
