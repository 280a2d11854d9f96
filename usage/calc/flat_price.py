"""Rating with a flat price per unit that takes effect on a day. Exact, rounded once."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from consumption_cs.lib.money import exactly, round_lines, round_to

PLACES = 6
# What the columns of spend hold, with room for the sum of a hundred rows.
_LIMIT = Decimal(10) ** 12


class UnitPrice(NamedTuple):
    """A price from a local day on: the organization's or, with `account`, that customer's own."""

    meter: str
    account: str | None
    currency: str
    effective_on: date
    unit_price: Decimal


class PriceList:
    """Finds the price in force. A customer's own price beats the organization's from its first day on."""

    def __init__(self, prices: Iterable[UnitPrice]) -> None:
        self._prices: dict[tuple[str, str | None, str], list[tuple[date, Decimal]]] = defaultdict(list)
        for price in sorted(prices, key=lambda price: price.effective_on):
            name = (price.meter, price.account, price.currency)
            self._prices[name].append((price.effective_on, price.unit_price))

    def price_on(self, day: date, meter: str, account: str, currency: str) -> Decimal | None:
        """Return the price of one unit on the local `day`, or None when none is in force in that currency."""
        for owner in (account, None):
            steps = self._prices.get((meter, owner, currency), [])
            in_force = bisect_right(steps, day, key=lambda step: step[0])
            if in_force:
                return steps[in_force - 1][1]
        return None


@exactly
def rate(quantities: Sequence[Decimal], unit_price: Decimal | None) -> list[Decimal | None]:
    """Return what each part of one meter's day costs, with six decimals; None without a price.

    No part of a cent is lost: the day's total is rounded once and the parts add up to it exactly, so how usage is
    split over workflows and groups does not change what it costs. None too for amounts of 10^12 and more, which
    are mistakes: they show as usage that could not be priced.
    """
    if unit_price is None:
        return [None] * len(quantities)
    amounts = [quantity * unit_price for quantity in quantities]
    if any(abs(amount) >= _LIMIT for amount in amounts):
        return [None] * len(quantities)
    rounded = [round_to(amount, PLACES) for amount in amounts]
    return list(rounded if rounded == amounts else round_lines(amounts, PLACES))
