"""Thresholds: which ones a value crossed, which one is reported, how far it is to the next. Pure Decimal."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from consumption_cs.lib.money import exactly

ZERO, ONE, HUNDRED = Decimal(0), Decimal(1), Decimal(100)
MAX_STEPS = 1000  # a recurring step of a cent under a jump of millions must not fill the memory

Direction = Literal["up", "down"]
Kind = Literal["usage_value", "usage_percent", "balance_value"]


class ThresholdError(ValueError):
    """Thresholds that cannot be watched; the message says what to do."""


@exactly
def crossed(
    thresholds: Sequence[Decimal],
    recurring_step: Decimal | None,
    *,
    previous: Decimal,
    current: Decimal,
    direction: Direction = "up",
) -> list[Decimal]:
    """Return the thresholds passed on the way from the stored `previous` value to `current`, ascending.

    Up: previous < t <= current. Down: current <= t < previous. Fires on the edge only, so a value that stays or
    turns back crosses nothing. A recurring step goes on beyond the last fixed threshold (downwards: below the
    lowest), or beyond zero; of more than MAX_STEPS of them the ones nearest to `current` are returned. Raises
    ThresholdError for a step that is not above zero.
    """
    _check_step(recurring_step)
    if direction == "down":
        mirrored = crossed([-value for value in thresholds], recurring_step, previous=-previous, current=-current)
        return sorted(-value for value in mirrored)
    passed = {value for value in thresholds if previous < value <= current}
    if recurring_step is not None:
        last = max(thresholds, default=ZERO)
        first, count = _steps(last, recurring_step, previous), _steps(last, recurring_step, current)
        for index in range(max(first, count - MAX_STEPS) + 1, count + 1):
            passed.add(last + index * recurring_step)
    return sorted(passed)


@exactly
def passed_spend(
    fixed: Sequence[Decimal],
    recurring_step: Decimal | None,
    *,
    historical: Decimal,
    already_invoiced: Decimal,
    already_billed: Decimal,
    current: Decimal,
) -> list[Decimal]:
    """Return the spend thresholds to bill now: the fixed ones passed, ascending, then the step itself, once.

    Cumulative spend is historical + already invoiced + current; what counts as dealt with is historical + already
    invoiced + already billed by a threshold. A threshold t passes if dealt with < t <= cumulative; the step if a
    new multiple of it beyond the largest fixed threshold did. Raises ThresholdError for a step not above zero.
    """
    _check_step(recurring_step)
    settled = historical + already_invoiced
    base, cumulative = settled + already_billed, settled + current
    passed = sorted(value for value in fixed if base < value <= cumulative)
    if recurring_step is not None:
        last = max(fixed, default=ZERO)
        if _steps(last, recurring_step, cumulative) > _steps(last, recurring_step, base):
            passed.append(recurring_step)
    return passed


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule on a balance: usage above `value`, usage above `value` percent of all, or balance below `value`."""

    kind: Kind
    value: Decimal


@dataclass(frozen=True, slots=True)
class ActiveThresholds:
    """The one threshold of each family to tell about, or None."""

    usage: Threshold | None
    balance: Threshold | None


@exactly
def active_thresholds(
    thresholds: Sequence[Threshold], *, usage: Decimal, balance: Decimal, total_available: Decimal | None
) -> ActiveThresholds:
    """Return the highest usage threshold that usage is above, and the lowest balance threshold that balance is below.

    Reaching a value exactly does not count, except a balance threshold of zero at a balance of zero. Percentages
    (of `total_available`, which is balance + drawn usage) and balances need something to be available at all.
    """
    total = total_available or ZERO
    used: list[tuple[Decimal, Threshold]] = []
    low: list[tuple[Decimal, Threshold]] = []
    for threshold in thresholds:
        if threshold.kind == "balance_value":
            if total > 0 and (balance < threshold.value or threshold.value == balance == 0):
                low.append((threshold.value, threshold))
            continue
        if threshold.kind == "usage_percent" and total <= 0:
            continue
        value = threshold.value * total / HUNDRED if threshold.kind == "usage_percent" else threshold.value
        if value < usage:
            used.append((value, threshold))
    return ActiveThresholds(
        max(used, key=lambda pair: pair[0])[1] if used else None,
        min(low, key=lambda pair: pair[0])[1] if low else None,
    )


@exactly
def progress(
    fixed: Sequence[Decimal], recurring_step: Decimal | None, current: Decimal
) -> list[tuple[Decimal, Decimal]]:
    """Return (threshold, share from 0 to 1 of the way to it from the one before), ascending, the first from zero.

    With a recurring step also each multiple reached beyond the last fixed one and the next one to come. Of more
    than MAX_STEPS of them only the last are returned. Raises ThresholdError for a step not above zero.
    """
    _check_step(recurring_step)
    values = sorted(set(fixed))
    reached: list[tuple[Decimal, Decimal]] = []
    before = ZERO
    for value in values:
        reached.append((value, _share(current, before, value)))
        before = value
    if recurring_step is None:
        return reached
    count = _steps(before, recurring_step, current)
    for index in range(max(0, count - MAX_STEPS), count + 1):
        start = before + index * recurring_step
        reached.append((start + recurring_step, _share(current, start, start + recurring_step)))
    return reached


def _share(current: Decimal, start: Decimal, end: Decimal) -> Decimal:
    return min(max((current - start) / (end - start), ZERO), ONE) if end != start else ONE


def _steps(last: Decimal, step: Decimal, value: Decimal) -> int:
    """Return how many whole steps `value` is beyond `last`; zero when it is not."""
    return max(int(((value - last) / step).to_integral_value(ROUND_FLOOR)), 0)


def _check_step(step: Decimal | None) -> None:
    if step is not None and (not step.is_finite() or step <= 0):
        raise ThresholdError(f"A recurring step of {step} would never end: it must be above zero.")


@exactly
def percent_thresholds(percents: Sequence[Decimal], limit: Decimal) -> list[Decimal]:
    """Return the amounts that `percents` of `limit` are, for `crossed`; zero limits give none."""
    return [limit * percent / HUNDRED for percent in percents] if limit > 0 else []


@exactly
def days_to_exhaustion(remaining: Decimal, per_day: Decimal) -> int | None:
    """Return how many days `remaining` lasts at `per_day`, the day on which it ends included; None for never.

    Zero when nothing remains. In currency and currency a day.
    """
    if remaining <= 0:
        return 0
    if per_day <= 0:
        return None
    return int((remaining / per_day).to_integral_value(ROUND_CEILING))
