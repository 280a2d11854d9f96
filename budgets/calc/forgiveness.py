"""What a spike cost, through the tiers of its billing period, and whether a credit may be asked for. Pure Decimal."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from consumption_cs.lib.money import exactly, round_to
from usage.calc.prices import Charge, Price, Usage
from usage.calc.rating import charges, spend

ZERO = Decimal(0)
ASK_WITHIN = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Credit:
    """`amount` = price(actual) − price(baseline), rounded, never below zero; with what each consists of."""

    amount: Decimal
    actual: Decimal
    baseline: Decimal
    actual_parts: tuple[Charge, ...]
    baseline_parts: tuple[Charge, ...]


@exactly
def spike_credit(price: Price, actual: Usage, extra: Usage, *, places: int = 2) -> Credit:
    """Return what a billing period costs beyond what it would have cost without the `extra` usage of a spike.

    Both are priced from the start of the period: extra usage is not priced by itself, since it filled the cheaper
    tiers. `extra` beyond `actual` counts as all of it; below zero as none.
    """
    quantity = min(max(extra.quantity, ZERO), max(actual.quantity, ZERO))
    events = min(max(extra.events, 0), actual.events)
    baseline = Usage(actual.quantity - quantity, actual.events - events)
    costs = [round_to(spend(price, usage), places) for usage in (actual, baseline)]
    return Credit(
        max(costs[0] - costs[1], ZERO),
        costs[0],
        costs[1],
        tuple(charges(price, actual)),
        tuple(charges(price, baseline)),
    )


def not_eligible(
    *, is_spike: bool, verdict: str, by_staff: bool, started_at: datetime | None, now: datetime, is_asked: bool
) -> str:
    """Return why no credit can be asked for, in words, or nothing if it can.

    A credit is for unusual usage that began in the last 60 days, once for each alert. Customers ask for one where the
    signs speak for a loop; staff judge by themselves.
    """
    if is_asked:
        return "A credit for this alert was asked for already."
    if not is_spike or started_at is None:
        return "Only unusual usage can be credited: this alert is about something else."
    if now - started_at > ASK_WITHIN:
        return "It began more than 60 days ago, and the hours before it are no longer kept."
    if not by_staff and verdict != "loop":
        return (
            "The signs do not speak for a loop, so it counts as usage of yours. If you know better, tell your vendor:"
            " their staff can ask for a credit."
        )
    return ""
