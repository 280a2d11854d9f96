"""Which commit to sign for the next term, from the forecast, the discount table and what overage costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from budgets.calc.right_sizing import Discount, Size, best_size, sizes
from budgets.calc.run_out import fan
from budgets.models import ForecastRun
from budgets.reports.forecasts import quantiles_of

TERM_DAYS = 365
STEPS = 40  # sizes looked at, besides those of the discount table


@dataclass(frozen=True, slots=True)
class RightSizing:
    """The sizes looked at, the cheapest, and usage of the next term at the contract rate: low, middle, high."""

    found: Sequence[Size]
    best: Size
    low: float
    middle: float
    high: float
    days: int


def right_sizing(
    run: ForecastRun | None, discounts: Sequence[dict[str, str]], overage_factor: Decimal, days: int = TERM_DAYS
) -> RightSizing | None:
    """Return the sizes for a term of `days` like the days forecast; None without a forecast of some use."""
    if run is None:
        return None
    quantiles = quantiles_of(run)
    if not quantiles.shape[1] or not quantiles[1, -1]:
        return None
    usage = fan(quantiles[:, None, :])[0, :, -1] * days / quantiles.shape[1]
    step = _round_step(float(usage.max()) / STEPS)
    table = [Discount(float(one["from"]), float(one["percent"])) for one in discounts]
    found = sizes(usage, table, overage_factor=float(overage_factor), step=step)
    low, middle, high = (float(quantiles[at, -1] * days / quantiles.shape[1]) for at in range(3))
    return RightSizing(found, best_size(found), low, middle, high, days)


def _round_step(size: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten, at least `size`."""
    power = 10.0
    while power * 10 <= size:
        power *= 10
    return next((power * factor for factor in (1, 2, 5) if power * factor >= size), power * 10)
