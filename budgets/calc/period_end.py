"""What the open billing period will cost: forecast quantities, priced through the tiers. Pure.

Quantities are forecast, not money: the second half of a month may be in a cheaper tier than the first. Metric 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.money import exactly
from usage.calc.prices import ZERO, Price, PriceError, Usage
from usage.calc.rating import line as line_amount


@dataclass(frozen=True, slots=True)
class LineForecast:
    """One meter and cell: what the period has used and cost so far, and P10, P50, P90 of what is still to come.

    `price` None: it has none, or one that depends on single events; then the cost so far per unit goes on, as over
    the `known` quantity of the days looked at.
    """

    price: Price | None
    quantity: Decimal
    events: int
    amount: Decimal
    ahead: tuple[float, ...]
    known: float = 0.0


@exactly
def period_end(spent: Decimal, lines: Sequence[LineForecast]) -> list[Decimal]:
    """Return P10, P50 and P90 of the period's cost at its end, not rounded; `spent` is all of it so far.

    Lines are taken to be high together and low together, which is on the safe side for the sum.
    """
    return [spent + sum((_more(line, line.ahead[at]) for line in lines), ZERO) for at in range(3)]


def _more(line: LineForecast, quantity: float) -> Decimal:
    more = Decimal(repr(max(quantity, 0.0))).quantize(Decimal("1e-12"))
    if line.price is None:
        return line.amount / line.quantity * more if line.quantity > 0 else ZERO
    events = int(line.events * more / line.quantity) if line.quantity > 0 else 0
    usage = Usage(more, events, supplied=more)
    prior = Usage(line.quantity, line.events, supplied=line.quantity)
    try:
        return line_amount(line.price, usage, prior=prior, prior_billed=line.amount, final=True)
    except PriceError:
        return line.amount / line.quantity * more if line.quantity > 0 else ZERO
