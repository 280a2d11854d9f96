"""What moved between two measured days and is worth telling, the most telling first. Pure Decimal."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

Numbers = Mapping[str, Decimal | None]
ZERO = Decimal(0)

# How much a metric must move to be told, and how it is compared: by the difference, or by the share of what it was.
_THRESHOLDS: dict[str, tuple[str, Decimal]] = {
    "success_percent": ("difference", Decimal("0.5")),
    "run_out_on": ("difference", Decimal(3)),
    "burn_rate": ("share", Decimal("0.1")),
    "unit_cost": ("share", Decimal("0.05")),
    "waste_percent": ("difference", Decimal(1)),
    "production_workflows": ("difference", Decimal(1)),
    "month_end_p50": ("share", Decimal("0.1")),
    "top_share_percent": ("difference", Decimal(5)),
    "at_risk": ("share", Decimal("0.1")),
    "shelfware": ("share", Decimal("0.2")),
    "change_28": ("difference", Decimal(10)),
    "seen_days": ("difference", Decimal(14)),
}


@dataclass(frozen=True, slots=True)
class Move:
    """One metric then and now. `weight`: how many times its threshold it moved, which orders moves."""

    metric: str
    before: Decimal
    after: Decimal
    weight: Decimal

    @property
    def difference(self) -> Decimal:
        return self.after - self.before

    @property
    def share(self) -> Decimal | None:
        """The difference as a share of what it was; None where that was zero."""
        return self.difference / abs(self.before) if self.before else None


def moves(before: Numbers, after: Numbers) -> list[Move]:
    """Return the metrics that moved by their threshold or more; one that was or is not known has not moved."""
    found = []
    for name, (kind, least) in _THRESHOLDS.items():
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            continue
        size = abs(now - was) if kind == "difference" else abs(now - was) / abs(was) if was else ZERO
        if size >= least:
            found.append(Move(name, was, now, size / least))
    return sorted(found, key=lambda move: (-move.weight, move.metric))
