"""Vendor costs as a list: what is in force on a day, what was, what will be. Only for the vendor's staff."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from consumption_cs.lib.tenancy import Viewer
from usage.calc.price_text import exact_price
from usage.models import Meter, VendorCost


@dataclass(frozen=True, slots=True)
class CostLine:
    """One cost and how long it holds. `until` is the first day on which the next one does."""

    cost: VendorCost
    until: date | None
    state: str  # "in force", "ahead" or "past"
    text: str


@dataclass(frozen=True, slots=True)
class MeterCosts:
    """A meter with its costs: everybody's first, then those of single accounts and workflows; newest on top."""

    meter: Meter
    lines: list[CostLine]

    @property
    def is_known(self) -> bool:
        """Whether it is known today what a unit costs for accounts without a cost of their own, in some currency."""
        return any(line.state == "in force" and line.cost.account_id is None for line in self.lines)


def cost_list(viewer: Viewer, today: date, words: str = "", *, with_past: bool = True) -> list[MeterCosts]:
    """Return every meter with its costs; `words` narrows to meters, accounts and workflows whose name has them."""
    costs = VendorCost.objects.visible_to(viewer).select_related("meter", "account", "workflow", "created_by")
    series: dict[tuple[object, ...], list[VendorCost]] = {}
    for cost in costs.order_by("effective_on", "pk"):
        series.setdefault((cost.meter_id, cost.account_id, cost.workflow_id, cost.currency), []).append(cost)
    lines: dict[object, list[CostLine]] = {}
    for steps in series.values():
        for line in _lines(steps, today):
            if (with_past or line.state != "past") and _has(line.cost, words):
                lines.setdefault(line.cost.meter_id, []).append(line)
    meters = Meter.objects.visible_to(viewer).order_by("name", "pk")
    found = [MeterCosts(meter, sorted(lines.get(meter.pk, []), key=_order)) for meter in meters]
    return [one for one in found if one.lines or not words]


def _lines(steps: list[VendorCost], today: date) -> Iterable[CostLine]:
    """`steps` are the costs of one series in order of their first day."""
    for at, cost in enumerate(steps):
        until = steps[at + 1].effective_on if at + 1 < len(steps) else None
        state = "ahead" if cost.effective_on > today else "past" if until and until <= today else "in force"
        yield CostLine(cost, until, state, exact_price(cost.unit_cost, cost.currency))


def _has(cost: VendorCost, words: str) -> bool:
    named = [one for one in (cost.meter, cost.account, cost.workflow) if one is not None]
    text = " ".join(f"{one.name} {one.key}" for one in named).lower()
    return all(word in text for word in words.lower().split())


def _order(line: CostLine) -> tuple[object, ...]:
    cost = line.cost
    return (
        cost.account is not None,
        cost.account.name.lower() if cost.account else "",
        cost.workflow is not None,
        cost.workflow.name.lower() if cost.workflow else "",
        cost.currency,
        -cost.effective_on.toordinal(),
    )
