"""What goes into a burndown and what comes out: usage, resets, snapshots, draws, movements, segments. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from budgets.calc.grants import ZERO, Grant
from consumption_cs.lib.periods import as_utc

Aggregation = Literal["sum", "latest"]
MovementKind = Literal["granted", "expired", "voided", "deleted", "rolled_over", "amended", "refilled"]


@dataclass(frozen=True, slots=True)
class UsageItem:
    """`amount` used at a moment, of one meter: currency, or credits. Below zero it is a correction."""

    at: datetime
    amount: Decimal
    meter: str = ""


@dataclass(frozen=True, slots=True)
class Reset:
    """The start of a new usage period. Overage is dropped (it was invoiced) unless it is to be preserved."""

    at: datetime
    preserve_overage: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at a moment, from which a run can go on.

    `balances` by grant id (see `full_balances` for a beginning). `overage` by meter; below zero it is a correction
    beyond what could be given back, which waits for usage of its meter. `period_usage` and `grant_usage` (drawn,
    less given back) are those of the usage period that began at `period_start` (None: where the run starts).
    `drawn` by (grant id, meter), since the last reset or refill, is what a correction may give back.
    """

    balances: Mapping[str, Decimal]
    overage: Mapping[str, Decimal] = field(default_factory=dict)
    period_usage: Decimal = ZERO
    grant_usage: Decimal = ZERO
    period_start: datetime | None = None
    drawn: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)

    @property
    def total_balance(self) -> Decimal:
        return sum(self.balances.values(), ZERO)

    @property
    def total_overage(self) -> Decimal:
        return sum(self.overage.values(), ZERO)

    @property
    def total_available(self) -> Decimal:
        """What the usage period had to draw from: what is left and what was drawn."""
        return self.total_balance + self.grant_usage


@dataclass(frozen=True, slots=True)
class Draw:
    """`amount` taken from a grant for usage of a meter (below zero: given back), and why from this grant."""

    at: datetime
    meter: str
    grant_id: str
    amount: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of a grant's balance that is not a draw, with its sign."""

    at: datetime
    grant_id: str
    kind: MovementKind
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch in which the same grants were in force."""

    start: datetime
    end: datetime
    usage: Decimal
    balance_at_start: Mapping[str, Decimal]
    balance_at_end: Mapping[str, Decimal]
    overage_at_end: Decimal


@dataclass(frozen=True, slots=True)
class Burndown:
    """A finished run: opening balances + movements - draws = closing balances, and usage = draws + overage."""

    closing: Snapshot
    segments: tuple[Segment, ...]
    draws: tuple[Draw, ...]
    movements: tuple[Movement, ...]


def full_balances(grants: Iterable[Grant], moment: datetime) -> dict[str, Decimal]:
    """Return what grants hold that nothing was drawn from yet: all of it if active at `moment`, else nothing."""
    return {grant.id: grant.amount if grant.is_active(as_utc(moment)) else ZERO for grant in grants}


def in_order(item: UsageItem) -> tuple[datetime, str, Decimal]:
    """Sort key of usage: time, then whatever makes the order of equals the same in every run."""
    return (as_utc(item.at), item.meter, item.amount)


def as_json(state: Snapshot) -> dict[str, object]:
    """Return a snapshot as JSON, decimals as text; nothing is lost."""
    return {
        "balances": {name: f"{balance:f}" for name, balance in state.balances.items()},
        "overage": {meter: f"{amount:f}" for meter, amount in state.overage.items()},
        "period_usage": f"{state.period_usage:f}",
        "grant_usage": f"{state.grant_usage:f}",
        "period_start": state.period_start.isoformat() if state.period_start else None,
        "drawn": [[name, meter, f"{amount:f}"] for (name, meter), amount in state.drawn.items()],
    }


def from_json(stored: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot that `as_json` wrote; an empty one for an empty object."""
    start = stored.get("period_start")
    return Snapshot(
        {name: Decimal(balance) for name, balance in stored.get("balances", {}).items()},
        {meter: Decimal(amount) for meter, amount in stored.get("overage", {}).items()},
        Decimal(stored.get("period_usage", "0")),
        Decimal(stored.get("grant_usage", "0")),
        datetime.fromisoformat(start) if start else None,
        {(name, meter): Decimal(amount) for name, meter, amount in stored.get("drawn", [])},
    )
