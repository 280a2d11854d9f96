"""Quantities before they are priced: unit conversion, time-weighted sums, straight projection. Pure Decimal."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from consumption_cs.lib.money import RoundingMode, exactly, round_to
from consumption_cs.lib.periods import Period, as_utc

_MICROSECOND = timedelta(microseconds=1)
_KEPT = 18


class ConversionError(ValueError):
    """A quantity that cannot be converted, weighted or projected; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """From the unit that is metered to the unit that is priced (tokens → thousands of tokens).

    Applied to the cumulative quantity of the billing period, then rounded to `precision` decimals (`rounding` None:
    kept to 18 decimals, since a third would never end and sums would depend on their order). Rounding each event
    instead would bill a started thousand for each. Raises ConversionError for a factor that is not above zero.
    """

    op: Literal["multiply", "divide"]
    factor: Decimal
    rounding: RoundingMode | None = None
    precision: int = 0

    def __post_init__(self) -> None:
        if self.op not in ("multiply", "divide"):
            raise ConversionError(f"{self.op!r} is not a conversion: use multiply or divide.")
        if not self.factor.is_finite() or self.factor <= 0:
            raise ConversionError(f"A conversion by {self.factor} is not possible: the factor must be above zero.")

    def apply(self, quantity: Decimal) -> Decimal:
        """Return `quantity`, in metered units, in priced units."""
        converted = quantity * self.factor if self.op == "multiply" else quantity / self.factor
        return round_to(converted, self.precision if self.rounding else _KEPT, self.rounding or "half_up")


@exactly
def time_weighted_sum(period: Period, initial: Decimal, changes: Iterable[tuple[datetime, Decimal]]) -> Decimal:
    """Return the average level over `period` of something that starts at `initial` and changes by steps.

    `changes` are (moment, difference); each counts for the share of the period that is left after it, so one
    before the period counts fully and one after it not at all. The unit is that of `initial`; not rounded.
    """
    total = initial
    length = Decimal(period.duration // _MICROSECOND)
    for moment, difference in changes:
        left = min(period.end - as_utc(moment), period.duration)
        if left > timedelta(0):
            total += difference * (left // _MICROSECOND) / length
    return total


@exactly
def run_rate_projection(amount: Decimal, days_passed: int, days_total: int) -> Decimal:
    """Return what `amount` becomes by the end of the period if every day is like the `days_passed` so far.

    amount * days_total / days_passed, where today counts as passed. Raises ConversionError unless
    1 <= days_passed <= days_total.
    """
    if not 1 <= days_passed <= days_total:
        raise ConversionError(f"Day {days_passed} is not one of the {days_total} days of the period.")
    return amount * days_total / days_passed
