"""A spend commitment with an overage factor, drawn by features in order. Pure Decimal."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.money import exactly
from usage.calc.prices import ZERO, PriceError


@dataclass(frozen=True, slots=True)
class FeatureUse:
    """`quantity` units of the feature `id` at `unit` each, in the currency of the commitment."""

    id: str
    unit: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class CommitmentLine:
    """A feature's usage within the commitment, at the normal price, and beyond it, at price times overage factor."""

    id: str
    normal_quantity: Decimal
    normal: Decimal
    overage_quantity: Decimal
    overage: Decimal


@dataclass(frozen=True, slots=True)
class CommitmentBill:
    """The lines, in the order given; `true_up` is what is missing to the commitment; `amount` is the total."""

    lines: tuple[CommitmentLine, ...]
    true_up: Decimal
    amount: Decimal


@exactly
def bill_commitment(
    commit: Decimal, overage_factor: Decimal, features: Sequence[FeatureUse], *, true_up: bool = False
) -> CommitmentBill:
    """Return what the features cost: spend up to `commit` at the normal price, the rest times the factor.

    All exact, in currency. With `true_up` an unused rest of the commitment is due too. Raises PriceError for a
    negative commitment, price or quantity, and for a factor below zero.
    """
    if commit < 0 or overage_factor < 0:
        raise PriceError("A commitment and its overage factor must be zero or more.")
    left, lines = commit, []
    for feature in features:
        line = _drawn(feature, left, overage_factor)
        left -= line.normal
        lines.append(line)
    missing = left if true_up else ZERO
    amount = sum((line.normal + line.overage for line in lines), ZERO) + missing
    return CommitmentBill(tuple(lines), missing, amount)


def _drawn(feature: FeatureUse, left: Decimal, overage_factor: Decimal) -> CommitmentLine:
    if feature.unit < 0 or feature.quantity < 0:
        raise PriceError(f"{feature.id}: its price and quantity must be zero or more.")
    cost = feature.unit * feature.quantity
    normal = min(cost, left)
    # The amounts are exact and the quantities follow, or a third of a unit would cost a digit.
    quantity = feature.quantity if normal == cost else normal / feature.unit
    return CommitmentLine(feature.id, quantity, normal, feature.quantity - quantity, (cost - normal) * overage_factor)
