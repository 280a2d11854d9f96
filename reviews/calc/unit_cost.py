"""What an outcome costs, what spend brings, and what that is worth to the customer. Pure Decimal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from consumption_cs.lib.money import exactly

ZERO, THOUSAND = Decimal(0), Decimal(1000)


@dataclass(frozen=True, slots=True)
class Day:
    """Spend of a local day in currency, and the successful outcomes that became known on it."""

    day: date
    spend: Decimal
    outcomes: Decimal


@dataclass(frozen=True, slots=True)
class UnitCost:
    """`per_outcome` is None when there was no outcome. Days from `open_from` on still wait for outcomes (None: none
    does), so the cost may yet fall."""

    spend: Decimal
    outcomes: Decimal
    per_outcome: Decimal | None
    open_from: date | None


@exactly
def unit_cost(days: Iterable[Day], start: date, end: date, *, today: date, lag_days: int = 0) -> UnitCost:
    """Return spend of the days in [start, end) over the outcomes of the same days, `lag_days` later.

    Outcomes that take a week to show are compared with the spend of the week that led to them. Raises ValueError
    for a lag below zero or a window that ends before it starts.
    """
    if lag_days < 0 or end < start:
        raise ValueError("Outcomes come after the spend, and a window ends after it starts.")
    lag = timedelta(days=lag_days)
    spend = outcomes = ZERO
    for row in days:
        spend += row.spend if start <= row.day < end else ZERO
        outcomes += row.outcomes if start + lag <= row.day < end + lag else ZERO
    known_to = today - lag  # the outcomes of days before this one are known
    return UnitCost(
        spend, outcomes, cost_per_outcome(spend, outcomes), max(start, known_to) if end > known_to else None
    )


@exactly
def cost_per_outcome(spend: Decimal, outcomes: Decimal) -> Decimal | None:
    """Return currency per outcome, exact; None without outcomes, which is neither free nor infinitely dear."""
    return spend / outcomes if outcomes > 0 else None


@exactly
def mix_adjusted(costs: Mapping[str, Decimal], weights: Mapping[str, Decimal]) -> Decimal | None:
    """Return the mean cost per outcome of workflows with fixed `weights`, such as last year's outcomes.

    A shift between cheap and dear workflows then changes nothing. Workflows without a cost now, or without a
    weight, are left out; None when none is left.
    """
    common = [name for name in costs if weights.get(name, ZERO) > 0]
    whole = sum((weights[name] for name in common), ZERO)
    return sum((costs[name] * weights[name] for name in common), ZERO) / whole if common else None


@exactly
def outcomes_per_thousand(spend: Decimal, outcomes: Decimal) -> Decimal | None:
    """Return the outcomes that 1,000 of the currency bring; None when nothing was spent."""
    return outcomes / spend * THOUSAND if spend > 0 else None


@dataclass(frozen=True, slots=True)
class Valued:
    """Outcomes of a workflow and what one is worth in currency; it counts only once the customer confirmed it."""

    outcomes: Decimal
    value_each: Decimal | None
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Return:
    """Value over spend, `ratio` 1 meaning that it was worth what it cost; None when nothing is confirmed or spent.

    `unconfirmed` counts the outcomes that are in no figure here.
    """

    value: Decimal
    spend: Decimal
    ratio: Decimal | None
    unconfirmed: Decimal


@exactly
def return_on_spend(lines: Iterable[Valued], spend: Decimal) -> Return:
    """Return what the outcomes were worth, by the values that the customer confirmed and by no other."""
    lines = list(lines)
    counted = [(line.outcomes, line.value_each) for line in lines if line.is_confirmed and line.value_each is not None]
    value = sum((outcomes * each for outcomes, each in counted), ZERO)
    unconfirmed = sum((line.outcomes for line in lines), ZERO) - sum((outcomes for outcomes, _ in counted), ZERO)
    return Return(value, spend, value / spend if counted and spend > 0 else None, unconfirmed)
