"""How much an account rests on one thing, how steady it is within its band, and how full a person's week is. Pure.

Metrics 16, 27 and 32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.money import exactly

ZERO, ONE, HUNDRED = Decimal(0), Decimal(1), Decimal(100)
BAND = Decimal("0.2")  # on either side of the target
WEEKS = 13


@dataclass(frozen=True, slots=True)
class Concentration:
    """`top` the largest part and its `top_share`; `hhi` Σ share², 1 for a single part; `effective` 1 ÷ HHI parts."""

    top: str
    top_share: Decimal
    hhi: Decimal
    effective: Decimal


@exactly
def concentration(parts: Mapping[str, Decimal]) -> Concentration | None:
    """Return metric 16 of spend by part (workflow, key, team; accounts for an organization); None without spend.

    Parts at or below zero (corrections) do not count.
    """
    positive = {name: amount for name, amount in parts.items() if amount > 0}
    total = sum(positive.values(), ZERO)
    if not total:
        return None
    shares = {name: amount / total for name, amount in positive.items()}
    hhi = sum((share * share for share in shares.values()), ZERO)
    top = max(shares, key=lambda name: (shares[name], name))
    return Concentration(top, shares[top], hhi, ONE / hhi)


@exactly
def weeks_in_band(
    weeks: Sequence[Decimal], target: Decimal, excused: Sequence[bool] | None = None
) -> tuple[Decimal | None, int]:
    """Return metric 27: the percentage of the last 13 weeks that drew within ±20 % of `target`, and of how many.

    `weeks` are complete ones, oldest first; excused ones are left out. None without a target or a week.
    """
    marks = list(excused) if excused is not None else [False] * len(weeks)
    counted = [amount for amount, skip in list(zip(weeks, marks, strict=True))[-WEEKS:] if not skip]
    if target <= 0 or not counted:
        return None, 0
    inside = sum(abs(amount - target) <= target * BAND for amount in counted)
    return Decimal(inside) * HUNDRED / len(counted), len(counted)


@exactly
def capacity(accounts: Sequence[tuple[Decimal, int]], hours_per_play: Decimal, available: Decimal) -> Decimal | None:
    """Return metric 32 in percent: Σ (hours of an account's tier + hours of its open plays) ÷ the hours there are.

    `accounts`: (hours of its tier, open plays). None for a person without hours: they are away.
    """
    if available <= 0:
        return None
    asked = sum((hours + hours_per_play * plays for hours, plays in accounts), ZERO)
    return asked * HUNDRED / available
