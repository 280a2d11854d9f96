"""Objectives of an adoption plan: what they are measured by, how far they have come, where the plan expects them.

Pure: no clock, no database. A measure is in the unit its definition names; money is in the account's currency.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from consumption_cs.lib.money import exactly

ZERO, ONE = Decimal(0), Decimal(1)
SLACK = Decimal("0.1")  # of the way: so much behind the plan's line is still on track


@dataclass(frozen=True, slots=True)
class Measure:
    """What an objective may be bound to. `unit`: count, percent or money. `per_workflow`: of one workflow too."""

    label: str
    unit: str
    meaning: str
    per_workflow: bool = False
    comes_down: bool = False  # less of it is better


MEASURES: dict[str, Measure] = {
    "production_workflows": Measure(
        "Workflows in production", "count",
        "Workflows in production with at least 20 successful runs on at least 8 of 28 days.",
    ),
    "ladder_percent": Measure("Rungs of the ladder reached", "percent", "Rungs reached ÷ rungs there are."),
    "success_percent": Measure(
        "Success rate", "percent", "Successful ÷ finished attempts of the last 28 days.", True
    ),
    "lowest_success_percent": Measure(
        "Lowest success rate in production", "percent", "That of the production workflow that succeeds least."
    ),
    "cost_per_thousand": Measure(
        "Cost of 1,000 outcomes", "money", "Spend ÷ outcomes of the last whole month, for 1,000.", True,
        comes_down=True,
    ),
    "outcomes_per_thousand": Measure(
        "Outcomes per 1,000 spent", "count", "Outcomes ÷ spend of the last whole month, for 1,000.",
    ),
    "confirmed_value": Measure(
        "Confirmed value a month", "money", "Outcomes of the last whole month × the value of one that is confirmed."
    ),
    "commit_used_percent": Measure("Commit used", "percent", "Drawn ÷ granted of the commits in force."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an objective is: shares of the way from its start to its target, 0 to 1; None is not known.

    `state`: reached, on_track, behind, or unknown.
    """

    share: Decimal | None
    expected: Decimal
    state: str


@exactly
def progress(
    start: Decimal | None,
    target: Decimal,
    value: Decimal | None,
    starts_on: date,
    due_on: date,
    today: date,
    *,
    comes_down: bool = False,
) -> Progress:
    """Return how far `value` has come from `start` to `target`, and where a straight line expects it today.

    Where the start is not known, or was past the target already, the way up begins at zero and the way down is told
    by how many times the target the value is.
    """
    days = max((due_on - starts_on).days, 1)
    expected = min(max(Decimal((today - starts_on).days) / days, ZERO), ONE)
    if value is None:
        return Progress(None, expected, "unknown")
    if value <= target if comes_down else value >= target:
        return Progress(ONE, expected, "reached")
    if comes_down:
        share = (start - value) / (start - target) if start is not None and start > target else target / value
    else:
        first = start if start is not None and start < target else ZERO
        share = (value - first) / (target - first)
    share = min(max(share, ZERO), ONE)
    return Progress(share, expected, "on_track" if share >= expected - SLACK else "behind")
