"""Grants: what a commit gives, when it counts, and in which order several are drawn. Pure Decimal."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import Interval, as_utc

ZERO = Decimal(0)
FAR_FUTURE = datetime.max.replace(tzinfo=UTC)
FAR_PAST = datetime.min.replace(tzinfo=UTC)


class BurndownError(ValueError):
    """Grants, usage or a draw that contradict each other; `code` names the rule, the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Rollover:
    """How much of a balance survives a reset: min(most, max(least, balance)). Nothing, by default."""

    least: Decimal = ZERO
    most: Decimal = ZERO

    def applied_to(self, balance: Decimal) -> Decimal:
        return min(self.most, max(self.least, balance))


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Refill to the full amount at `anchor` plus or minus any number of intervals, while the grant is active."""

    interval: Interval
    anchor: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """One commit, credit or promotion: `amount` in currency, drawn from `effective_at` to just before it ends.

    It ends at the first of expiry, voiding and deletion. A lower `priority` is drawn earlier. `kind` matters to
    named orders only. `only_meters` (empty: all) and `except_meters` say what it pays for. With `rolls_over_at` the
    rollover is applied then, once, and resets leave the balance alone (FAR_FUTURE: it never rolls over). `changes`
    add to the balance from a moment on, never below zero. `name` is what ledger rows call it, by default the id.
    """

    id: str
    amount: Decimal
    effective_at: datetime = FAR_PAST
    priority: int = 1
    expires_at: datetime | None = None
    voided_at: datetime | None = None
    deleted_at: datetime | None = None
    created_at: datetime | None = None
    rollover: Rollover = Rollover()
    recurrence: Recurrence | None = None
    kind: str = "prepaid"
    only_meters: frozenset[str] = frozenset()
    except_meters: frozenset[str] = frozenset()
    rolls_over_at: datetime | None = None
    changes: tuple[tuple[datetime, Decimal], ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or self.amount < 0:
            raise BurndownError("grant_amount", f"{self.id} grants {self.amount}: it must be zero or more.")
        if any(not change.is_finite() for _, change in self.changes):
            raise BurndownError("grant_change", f"{self.id} changes by something that is not a number.")

    @property
    def label(self) -> str:
        """What people know it by."""
        return self.name or self.id

    @property
    def ends_at(self) -> datetime:
        """The first moment at which it no longer counts, or the far future."""
        ends = [moment for moment in (self.expires_at, self.voided_at, self.deleted_at) if moment is not None]
        return min((as_utc(moment) for moment in ends), default=FAR_FUTURE)

    def is_active(self, moment: datetime) -> bool:
        return as_utc(self.effective_at) <= moment < self.ends_at

    def pays_for(self, meter: str) -> bool:
        return meter not in self.except_meters and (not self.only_meters or meter in self.only_meters)


Key = Callable[[Grant], tuple[object, ...]]

# What each part of an order is called when a ledger row says why this commit was drawn.
_PRIORITY, _EXPIRY, _CREATED = "lower priority number", "earlier expiry", "granted earlier"
_KIND, _ID = "free credit before paid", "first by id"
_PARTS: dict[str, Key] = {
    _PRIORITY: lambda grant: (grant.priority,),
    # Whole seconds, so that two that were meant to end together are not told apart by how they were written.
    _EXPIRY: lambda grant: (as_utc(grant.expires_at or FAR_FUTURE).replace(microsecond=0),),
    _CREATED: lambda grant: (as_utc(grant.created_at or grant.effective_at),),
    _KIND: lambda grant: (grant.kind not in ("granted", "promotional"),),
    _ID: lambda grant: (grant.id,),
}

POLICIES: dict[str, tuple[str, ...]] = {
    "priority": (_PRIORITY, _EXPIRY, _CREATED, _ID),
    "expiry_first": (_EXPIRY, _PRIORITY, _CREATED, _ID),
    "promotional_first": (_KIND, _EXPIRY, _PRIORITY, _CREATED, _ID),
    "granted_first": (_PRIORITY, _KIND, _CREATED, _EXPIRY, _ID),
}


def draw_order(grants: Iterable[Grant], policy: str = "priority") -> list[Grant]:
    """Return the grants in the order in which the named policy draws them; the same for every order given.

    `priority`: priority, expiry (whole seconds, none last), creation, id. `expiry_first` and `promotional_first`
    put that first; `granted_first` is that of credit lots: priority, granted before purchased, oldest first.
    Raises BurndownError for an unknown policy.
    """
    if policy not in POLICIES:
        raise BurndownError("unknown_policy", f"{policy!r} is not a draw order: use one of {', '.join(POLICIES)}.")
    parts = [_PARTS[part] for part in POLICIES[policy]]
    return sorted(grants, key=lambda grant: [part(grant) for part in parts])


def why_before(grant: Grant, others: Iterable[Grant], policy: str = "priority") -> str:
    """Say in words why `grant` is drawn before the next of `others`; for the ledger."""
    rest = [other for other in draw_order(others, policy) if other.id != grant.id]
    if not rest:
        return "the only commit in force"
    reason = next((name for name in POLICIES[policy] if _PARTS[name](grant) != _PARTS[name](rest[0])), _ID)
    return f"{reason}, before {rest[0].label}"


@dataclass(frozen=True, slots=True)
class Debit:
    """What was taken from each lot (only those touched) and what each has left."""

    drawn: dict[str, Decimal]
    remaining: dict[str, Decimal]


@exactly
def debit_lots(lots: Sequence[Grant], debit: Decimal, policy: str = "granted_first") -> Debit:
    """Take `debit` from credit lots, whose `amount` is what they have left, in the order of `policy`.

    Raises BurndownError (`insufficient_balance`) when they do not hold that much, (`negative_debit`) below zero.
    """
    if debit < 0:
        raise BurndownError("negative_debit", f"A debit of {debit} would add credit: grant a lot instead.")
    drawn, left = {}, debit
    for lot in draw_order(lots, policy):
        taken = min(lot.amount, left)
        if taken:
            drawn[lot.id] = taken
            left -= taken
    if left:
        raise BurndownError("insufficient_balance", f"The lots hold {debit - left} of {debit}: top up or debit less.")
    return Debit(drawn, {lot.id: lot.amount - drawn.get(lot.id, ZERO) for lot in lots})
