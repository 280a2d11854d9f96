"""Burndown: usage drawn from several commits over time, period by period, to the last digit. Pure Decimal.

The run from `start` to `until` is cut wherever a grant starts, ends or recurs and at every reset. In each segment the
overage brought in and then the usage, in order of time, are drawn from the grants in force in the order of the named
policy; what they do not cover is overage, and is tried again in the next segment of the same usage period. At a
border, in this order: ended grants fall to zero; a reset rolls balances over and opens a new usage period; starting
grants get their full amount; recurring ones are refilled to it. A recurrence, reset or start at exactly `until` is
applied, an end is not. The state at `until` is a Snapshot; a run that goes on from it ends where one long run does.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from budgets.calc.grants import ZERO, BurndownError, Grant, draw_order, why_before
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import Interval, as_utc

Aggregation = Literal["sum", "latest"]
MovementKind = Literal["granted", "expired", "voided", "deleted", "rolled_over", "refilled"]


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
    that found nothing to give back to yet. `period_usage` and `grant_usage` (drawn, less given back) are those of
    the usage period that began at `period_start` (None: where the run starts).
    """

    balances: Mapping[str, Decimal]
    overage: Mapping[str, Decimal] = field(default_factory=dict)
    period_usage: Decimal = ZERO
    grant_usage: Decimal = ZERO
    period_start: datetime | None = None

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


@exactly
def burn_down(
    grants: Sequence[Grant],
    usage: Iterable[UsageItem],
    *,
    start: datetime,
    until: datetime,
    resets: Iterable[Reset] = (),
    opening: Snapshot | None = None,
    aggregation: Aggregation = "sum",
    policy: str = "priority",
) -> Burndown:
    """Draw `usage` in [start, until) from `grants` and return the balances, overage, draws and segments.

    Usage outside of the run is ignored; the order in which usage and grants are given does not matter. With
    `aggregation` latest (a gauge), the usage of a segment is the last value inside it. Amounts are exact and all in
    the one currency of the contract. Without an `opening` every grant active at the start is full. Raises
    BurndownError: `unknown_grant` for an opening balance of a grant that is not given, `missing_balance` for none of
    a grant that began earlier (it was backdated: run again from its beginning), `reset_not_after_start`,
    `reset_after_end`, `end_before_start`, `duplicate_grant`, `unknown_policy`.
    """
    start, until = as_utc(start), as_utc(until)
    reset_at = {as_utc(reset.at): reset for reset in resets}
    opening = opening or Snapshot(full_balances(grants, start))
    _check(grants, reset_at, opening, start, until)
    run = _Run(list(grants), reset_at, aggregation, policy, until)
    run.open(opening, start)
    items = sorted(usage, key=_order)
    moments = [as_utc(item.at) for item in items]
    points = [start, *_borders(grants, reset_at, start, until), until]
    for begin, end in pairwise(points):
        if begin < end:
            run.segment(begin, end, items[bisect_left(moments, begin) : bisect_left(moments, end)])
            run.border(end)
    return run.close()


def full_balances(grants: Iterable[Grant], moment: datetime) -> dict[str, Decimal]:
    """Return what grants hold that nothing was drawn from yet: all of it if active at `moment`, else nothing."""
    return {grant.id: grant.amount if grant.is_active(as_utc(moment)) else ZERO for grant in grants}


@dataclass(frozen=True, slots=True)
class Window:
    """One step of a burndown chart."""

    start: datetime
    end: datetime
    usage: Decimal
    balance_at_start: Decimal
    overage_at_end: Decimal


@exactly
def balance_history(
    grants: Sequence[Grant],
    usage: Sequence[UsageItem],
    borders: Sequence[datetime],
    *,
    resets: Sequence[Reset] = (),
    opening: Snapshot | None = None,
    policy: str = "priority",
) -> list[Window]:
    """Return usage and balance of each window between two consecutive `borders` (ascending).

    What a grant that starts inside of a window gives shows from the next window on. Raises BurndownError as
    `burn_down` does.
    """
    items = sorted(usage, key=_order)
    moments = [as_utc(item.at) for item in items]
    windows, state = [], opening
    for begin, end in pairwise(as_utc(border) for border in borders):
        inside = [reset for reset in resets if begin < reset.at <= end]
        used = items[bisect_left(moments, begin) : bisect_left(moments, end)]
        part = burn_down(grants, used, start=begin, until=end, resets=inside, opening=state, policy=policy)
        state = part.closing
        at_start = sum(part.segments[0].balance_at_start.values(), ZERO)
        total = sum((item.amount for item in used), ZERO)
        windows.append(Window(begin, end, total, at_start, state.total_overage))
    return windows


def even_borders(start: datetime, until: datetime, step: Interval) -> list[datetime]:
    """Return `start`, each `step` after it, and `until`: the borders of equal windows (the last may be shorter)."""
    inner = step.occurrences(start, start, until - timedelta(microseconds=1))
    return [as_utc(start), *inner, as_utc(until)]


def _order(item: UsageItem) -> tuple[datetime, str, Decimal]:
    return (as_utc(item.at), item.meter, item.amount)


def _check(
    grants: Sequence[Grant], resets: Mapping[datetime, Reset], opening: Snapshot, start: datetime, until: datetime
) -> None:
    ids = {grant.id for grant in grants}
    if len(ids) != len(grants):
        raise BurndownError("duplicate_grant", "Two grants have the same id: give each grant once.")
    if unknown := sorted(set(opening.balances) - ids):
        raise BurndownError("unknown_grant", f"There is a balance of {unknown[0]}, but no such grant.")
    for grant in grants:
        if grant.id not in opening.balances and grant.is_active(start) and as_utc(grant.effective_at) < start:
            raise BurndownError("missing_balance", f"{grant.id} began earlier: run from then, or give its balance.")
    if until < start:
        raise BurndownError("end_before_start", "The run ends before it starts: swap start and until.")
    if any(moment <= start for moment in resets):
        raise BurndownError("reset_not_after_start", "A reset must come after the start, whose state is given.")
    if any(moment > until for moment in resets):
        raise BurndownError("reset_after_end", "A reset must not come after the end of the run.")


def _borders(grants: Iterable[Grant], resets: Iterable[datetime], start: datetime, until: datetime) -> list[datetime]:
    """Return the moments strictly inside the run at which something changes, in order."""
    moments = set(resets)
    for grant in grants:
        begin, end = as_utc(grant.effective_at), grant.ends_at
        if begin < end:
            moments |= {begin, end, *_recurrences(grant, start, until)}
    return sorted(moment for moment in moments if start < moment < until)


def _recurrences(grant: Grant, after: datetime, until: datetime) -> list[datetime]:
    """Return the moments in (after, until] at which the grant is refilled."""
    if grant.recurrence is None:
        return []
    first, last = max(after, as_utc(grant.effective_at)), min(until, grant.ends_at)
    found = grant.recurrence.interval.occurrences(grant.recurrence.anchor, first, last) if first < last else []
    return [moment for moment in found if moment < grant.ends_at]


class _Run:
    """The moving state of one run."""

    def __init__(
        self,
        grants: list[Grant],
        resets: Mapping[datetime, Reset],
        aggregation: Aggregation,
        policy: str,
        until: datetime,
    ) -> None:
        self.policy, self.aggregation, self.until, self.resets = policy, aggregation, until, resets
        self.grants = draw_order(grants, policy)
        self.balances: dict[str, Decimal] = {}
        self.overage: dict[str, Decimal] = {}
        self.period_usage = self.grant_usage = ZERO
        self.segments: list[Segment] = []
        self.draws: list[Draw] = []
        self.movements: list[Movement] = []
        self.in_force: list[Grant] = []

    def open(self, opening: Snapshot, start: datetime) -> None:
        """Take over the state at the start; what is not active any more falls to zero."""
        self.overage = {meter: amount for meter, amount in opening.overage.items() if amount}
        self.period_usage, self.grant_usage = opening.period_usage, opening.grant_usage
        self.period_start = as_utc(opening.period_start) if opening.period_start else start
        self.balances = {grant.id: opening.balances.get(grant.id, ZERO) for grant in self.grants}
        self._end(start)
        for grant in self.grants:
            if grant.id not in opening.balances and grant.is_active(start):
                self._set(grant, grant.amount, "granted", start)
        self.refills: dict[datetime, list[Grant]] = {}
        for grant in self.grants:
            for moment in _recurrences(grant, start, self.until):
                self.refills.setdefault(moment, []).append(grant)

    def segment(self, begin: datetime, end: datetime, items: Sequence[UsageItem]) -> None:
        """Draw the overage brought in, then the usage in [begin, end)."""
        self.in_force = [grant for grant in self.grants if grant.is_active(begin)]
        at_start = dict(self.balances)
        self._draw_overage(begin)
        counted = _latest(items) if self.aggregation == "latest" else items
        for item in counted:
            self._draw(item.meter, item.amount, as_utc(item.at))
        used = sum((item.amount for item in counted), ZERO)
        self.period_usage += used
        overage = sum(self.overage.values(), ZERO)
        self.segments.append(Segment(begin, end, used, at_start, dict(self.balances), overage))

    def border(self, moment: datetime) -> None:
        """Apply what happens at the border between two segments, or at the end of the run."""
        reset = self.resets.get(moment)
        if moment < self.until or reset:
            self._end(moment)
        if reset:
            self._reset(reset, moment)
        for grant in self.grants:
            if as_utc(grant.effective_at) == moment and grant.is_active(moment):
                self._set(grant, grant.amount, "granted", moment)
        for grant in self.refills.get(moment, ()):
            self._set(grant, grant.amount, "refilled", moment)

    def close(self) -> Burndown:
        overage = {meter: amount for meter, amount in sorted(self.overage.items()) if amount}
        closing = Snapshot(self.balances, overage, self.period_usage, self.grant_usage, self.period_start)
        return Burndown(closing, tuple(self.segments), tuple(self.draws), tuple(self.movements))

    def _end(self, moment: datetime) -> None:
        for grant in self.grants:
            if self.balances[grant.id] and not grant.is_active(moment):
                self._set(grant, ZERO, _how_it_ended(grant), moment)

    def _reset(self, reset: Reset, moment: datetime) -> None:
        self.in_force = [g for g in self.grants if g.is_active(moment) and as_utc(g.effective_at) < moment]
        for grant in self.in_force:
            self._set(grant, grant.rollover.applied_to(self.balances[grant.id]), "rolled_over", moment)
        self.period_usage = self.grant_usage = ZERO
        self.period_start = moment
        if reset.preserve_overage:
            self._draw_overage(moment)
        else:
            self.overage = {}

    def _set(self, grant: Grant, balance: Decimal, kind: MovementKind, at: datetime) -> None:
        change = balance - self.balances[grant.id]
        if change:
            self.movements.append(Movement(at, grant.id, kind, change))
        self.balances[grant.id] = balance

    def _draw_overage(self, at: datetime) -> None:
        for meter in sorted(self.overage):
            self._draw(meter, ZERO, at)

    def _draw(self, meter: str, amount: Decimal, at: datetime) -> None:
        """Draw `amount` and the meter's overage; a sum below zero is given back, to the grant drawn last first."""
        owed = amount + self.overage.get(meter, ZERO)
        payers = [grant for grant in self.in_force if grant.pays_for(meter)]
        for grant in payers if owed >= 0 else reversed(payers):
            balance = self.balances[grant.id]
            taken = min(balance, owed) if owed >= 0 else max(balance - grant.amount, owed)
            # A rollover may leave more than the amount; that is not room to give back to.
            if not taken or (taken > 0) != (owed > 0):
                continue
            self.balances[grant.id] = balance - taken
            self.grant_usage += taken
            owed -= taken
            self.draws.append(Draw(at, meter, grant.id, taken, self._why(grant, payers, taken)))
        self.overage[meter] = owed

    def _why(self, grant: Grant, payers: Sequence[Grant], taken: Decimal) -> str:
        if taken < 0:
            return "usage was corrected: the commit drawn last is given back first"
        index = payers.index(grant)
        if index:
            return f"{payers[index - 1].id} is used up"
        return why_before(grant, payers[1:2], self.policy)


def _how_it_ended(grant: Grant) -> MovementKind:
    for moment, kind in ((grant.deleted_at, "deleted"), (grant.voided_at, "voided")):
        if moment is not None and as_utc(moment) == grant.ends_at:
            return "deleted" if kind == "deleted" else "voided"
    return "expired"


def _latest(items: Sequence[UsageItem]) -> list[UsageItem]:
    """Return the last item of each meter, in order."""
    return list({item.meter: item for item in items}.values())
