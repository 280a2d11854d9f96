"""Rating that goes on from day to day: a running total that each day of a billing period adds to. Pure Decimal.

Going on from a stored total gives what rating the whole period anew gives (`usage.calc.rating.rate_slices`), so a
touch of today costs the rating of today.
"""

from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.money import exactly, round_to
from usage.calc.prices import ZERO, Price, PriceError, Usage
from usage.calc.rating import due

DUE_PLACES = 24  # what the column holds: rounded at once, so that a stored total and one in memory are the same
MOST = Decimal(10) ** 12  # an amount of so much is a mistake, and shows as usage that could not be priced


@dataclass(frozen=True, slots=True)
class Running:
    """Where one meter (and cell) stands in its billing period: priced usage so far, what is due for it before spend
    limits, and the amount booked, within the limits and rounded to the currency's places."""

    usage: Usage | None = None
    due: Decimal = ZERO
    amount: Decimal = ZERO

    @property
    def is_new(self) -> bool:
        """Whether nothing was priced yet, so that a first tier's flat fee is still to come."""
        return self.usage is None or not (self.usage.events or self.usage.quantity or self.due)


@exactly
def go_on(price: Price | None, running: Running, usage: Usage, *, places: int, final: bool = False) -> Running | None:
    """Return the running total after a day with `usage` at `price`, or None when the day cannot be priced.

    What cannot be priced counts in no total: there is no price, the price lacks something that it needs to know, or
    the amount is 10^12 or more. A `final` day is the last of its period: the minimum spend applies.
    """
    if price is None:
        return None
    before = None if running.is_new else running.usage
    after = usage if before is None else before.plus(usage)
    try:
        gross = running.due + due(price, after) - (ZERO if before is None else due(price, before))
    except PriceError:
        return None
    if abs(gross) >= MOST:
        return None
    gross = round_to(gross, DUE_PLACES)
    return Running(after, gross, round_to(within_limits(price, gross, final=final), places))


def within_limits(price: Price, amount: Decimal, *, final: bool) -> Decimal:
    """Return a period's amount within the maximum and, when it is `final`, the minimum spend."""
    if price.max_spend is not None:
        amount = min(amount, price.max_spend)
    if final and price.min_spend is not None:
        amount = max(amount, price.min_spend)
    return amount
