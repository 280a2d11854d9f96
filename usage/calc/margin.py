"""Margin: what is left of revenue after the vendor's own cost. Only for the vendor's staff. Pure Decimal."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.money import exactly

ZERO, HUNDRED = Decimal(0), Decimal(100)


@dataclass(frozen=True, slots=True)
class CostLine:
    """Revenue of a meter or workflow (drawdown and overage, net of discount), the quantity behind it, and what one
    unit of it costs the vendor in the same currency; None if that is not known."""

    revenue: Decimal
    quantity: Decimal
    unit_cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Margin:
    """`percent` of the covered revenue that is left (None: no covered revenue), and how much revenue is covered."""

    revenue: Decimal
    cost: Decimal
    percent: Decimal | None
    coverage_percent: Decimal | None


@exactly
def margin(lines: Iterable[CostLine], *, allocated: Decimal = ZERO) -> Margin:
    """Return the margin (R - cost) / R over the lines whose unit cost is known, and what share of revenue those are.

    `allocated` is cost that belongs to no line. Exact, not rounded; a percentage of no revenue is None, not zero.
    """
    lines = list(lines)
    revenue = sum((line.revenue for line in lines), ZERO)
    known = [(line.revenue, line.quantity * line.unit_cost) for line in lines if line.unit_cost is not None]
    covered = sum((part for part, _ in known), ZERO)
    cost = sum((part for _, part in known), ZERO) + allocated
    return Margin(
        revenue,
        cost,
        (covered - cost) / covered * HUNDRED if covered > 0 else None,
        covered / revenue * HUNDRED if revenue > 0 else None,
    )
