"""From usage to money: what is due for cumulative usage, for one line of it, and for a row of days. Pure Decimal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from consumption_cs.lib.money import allocate, exactly, round_to
from usage.calc.prices import HUNDRED, ZERO, Charge, Price, Usage


@exactly
def charges(price: Price, usage: Usage) -> list[Charge]:
    """Return the parts that make up the amount before discount and spend limits, such as one for each tier entered."""
    return price.model.charges(_billable(price, usage))


@exactly
def due(price: Price, usage: Usage) -> Decimal:
    """Return what cumulative `usage` of a billing period costs, exact, after discounts and before spend limits.

    Usage below zero (more corrected than used) costs what no usage costs. Raises PriceError if the price lacks
    something that it needs to know about the events.
    """
    gross = sum((charge.amount for charge in charges(price, usage)), ZERO)
    return gross * (HUNDRED - price.percent_discount) / HUNDRED


@exactly
def spend(price: Price, usage: Usage, *, final: bool = False) -> Decimal:
    """Return what cumulative `usage` costs within the maximum and, when the period is `final`, the minimum spend."""
    return _limited(price, due(price, usage), final=final)


@exactly
def line(
    price: Price,
    usage: Usage,
    *,
    prior: Usage | None = None,
    prior_billed: Decimal | None = None,
    final: bool = False,
) -> Decimal:
    """Return the amount of one line of a billing period, exact: due(prior + usage) - due(prior), within the limits.

    `prior` is the usage of the earlier lines, None for the first line (which also carries the first tier's flat fee).
    `prior_billed` is what they were billed; by default what `prior` costs. Where it differs, the difference stays
    with them and only the spend limits look at it; a maximum never takes back what was billed.
    """
    if prior is None:
        return spend(price, usage, final=final)
    regular = spend(price, prior)
    billed = regular if prior_billed is None else prior_billed
    total = due(price, prior.plus(usage)) + (billed - regular)
    if price.max_spend is not None:
        total = min(total, max(price.max_spend, billed))
    if final and price.min_spend is not None:
        total = max(total, price.min_spend)
    return total - billed


@exactly
def delta(price: Price, cumulative: Usage, booked: Decimal, *, places: int = 2, final: bool = False) -> Decimal:
    """Return what is to be booked now: the cumulative amount, rounded to `places` decimals, less what is `booked`.

    Late usage, corrections and new prices all come down to this; a negative result is a credit.
    """
    return round_to(spend(price, cumulative, final=final), places) - booked


@dataclass(frozen=True, slots=True)
class Slice:
    """Usage of one stretch (a day) of a billing period, and the price in force then."""

    price: Price
    usage: Usage


@dataclass(frozen=True, slots=True)
class RatedSlice:
    """`amount` is what a slice adds, rounded; `to_date` the exact amount from the start of the period to its end."""

    amount: Decimal
    to_date: Decimal


@exactly
def rate_slices(slices: Sequence[Slice], *, places: int = 2, final: bool = False) -> list[RatedSlice]:
    """Rate the slices of one billing period in order of time; the rounded amounts add up to the rounded total.

    Tiers, packages and free units count from the start of the period. When the price changes in between, each
    slice costs what its own price asks for going from the usage before it to the usage after it, so no unit is
    priced twice. Spend limits are those in force in the slice; the minimum applies in the last, when `final`.
    """
    rated: list[RatedSlice] = []
    gross = booked = until_now = ZERO
    before, last_price = None, None
    for index, part in enumerate(slices):
        after = part.usage if before is None else before.plus(part.usage)
        if before is not None and part.price is not last_price:
            until_now = due(part.price, before)
        until_then = due(part.price, after)
        gross += until_then - until_now
        to_date = _limited(part.price, gross, final=final and index == len(slices) - 1)
        amount = round_to(to_date, places) - booked
        rated.append(RatedSlice(amount, to_date))
        before, last_price, until_now, booked = after, part.price, until_then, booked + amount
    return rated


@exactly
def shared_out(amount: Decimal, quantities: Sequence[Decimal], *, places: int = 2) -> list[Decimal]:
    """Divide an amount over those who used it (workflows, keys), in proportion; the parts add up to it exactly.

    Quantities below zero count as zero. An amount that nobody used (a flat fee, a minimum) is divided equally.
    """
    weights = [max(quantity, ZERO) for quantity in quantities]
    return allocate(amount, weights if any(weights) else [Decimal(1)] * len(weights), places)


def _billable(price: Price, usage: Usage) -> Usage:
    """Return the usage in priced units, less what is free, never below zero."""
    quantity = usage.quantity if price.conversion is None else price.conversion.apply(usage.quantity)
    return replace(usage, quantity=max(quantity - price.free_units, ZERO))


def _limited(price: Price, amount: Decimal, *, final: bool) -> Decimal:
    if price.max_spend is not None:
        amount = min(amount, price.max_spend)
    if final and price.min_spend is not None:
        amount = max(amount, price.min_spend)
    return amount
