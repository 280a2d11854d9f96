"""What a row of daily amounts shows, in words that people use: steady, rising, falling, or one day that stands out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import median
from typing import Literal

WEEK = 7
MOVED = Decimal("0.15")  # 7 days against the 7 before: a smaller change is no trend
SPIKE_TIMES = Decimal("1.6")
SPIKE_SHARE = Decimal("0.10")  # of a usual week: what a spike must be worth to be mentioned

Shape = Literal["too early", "steady", "rising", "falling"]


@dataclass(frozen=True, slots=True)
class Spike:
    """A day that cost much more than the usual one of its kind (weekday or weekend)."""

    day: date
    amount: Decimal
    expected: Decimal

    @property
    def impact(self) -> Decimal:
        return self.amount - self.expected


@dataclass(frozen=True, slots=True)
class Trend:
    """`shape` compares the last seven closed days with the seven before; `change` is that ratio."""

    shape: Shape
    change: Decimal | None
    weekday: Decimal | None
    weekend: Decimal | None
    spike: Spike | None


def describe(days: Sequence[tuple[date, Decimal]]) -> Trend:
    """Describe closed local days in order, each with its amount. A day without usage is there with 0."""
    weekday = _usual([amount for day, amount in days if day.weekday() < 5])
    weekend = _usual([amount for day, amount in days if day.weekday() >= 5])
    shape, change = _shape([amount for _, amount in days])
    return Trend(shape, change, weekday, weekend, _spike(days, weekday, weekend))


def _usual(amounts: list[Decimal]) -> Decimal | None:
    return median(amounts) if amounts else None


def _shape(amounts: list[Decimal]) -> tuple[Shape, Decimal | None]:
    last, before = amounts[-WEEK:], amounts[-2 * WEEK : -WEEK]
    if len(before) < WEEK:
        return "too early", None
    base = sum(before, Decimal(0))
    if base <= 0:
        return ("rising" if sum(last) > 0 else "steady"), None
    change = sum(last, Decimal(0)) / base - 1
    if abs(change) < MOVED:
        return "steady", change
    return ("rising" if change > 0 else "falling"), change


def _spike(days: Sequence[tuple[date, Decimal]], weekday: Decimal | None, weekend: Decimal | None) -> Spike | None:
    if weekday is None or weekend is None or len(days) < WEEK:
        return None
    spikes = [Spike(day, amount, weekday if day.weekday() < 5 else weekend) for day, amount in days]
    worst = max(spikes, key=lambda spike: spike.impact)
    usual_week = 5 * weekday + 2 * weekend
    is_spike = worst.amount >= SPIKE_TIMES * worst.expected and worst.impact >= SPIKE_SHARE * usual_week > 0
    return worst if is_spike else None
