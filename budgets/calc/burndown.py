"""Burndown: usage drawn from several commits over time, period by period, to the last digit. Pure Decimal.

The run from `start` to `until` is cut wherever a grant starts, ends or recurs and at every reset. In each segment the
overage brought in and then the usage, in order of time, are drawn from the grants in force in the order of the named
policy; what they do not cover is overage, and is tried again in the next segment of the same usage period. At a
border, in this order: ended grants fall to zero; a reset rolls balances over and opens a new usage period; grants
with a moment of their own roll over; starting grants get their full amount; recurring ones are refilled to it;
changes are added. All of that happens at exactly `until` too, only an end does not. The state at `until` is a
Snapshot; a run that goes on from it ends where one long run does.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from budgets.calc.grants import ZERO, BurndownError, Grant, draw_order, why_before
from budgets.calc.snapshots import (
    Aggregation,
    Burndown,
    Draw,
    Movement,
    MovementKind,
    Reset,
    Segment,
    Snapshot,
    UsageItem,
    full_balances,
    in_order,
)
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import as_utc


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
    `reset_after_end`, `end_before_start`, `duplicate_grant`, `negative_balance`, `unknown_policy`.
    """
    start, until = as_utc(start), as_utc(until)
    reset_at = {as_utc(reset.at): reset for reset in resets}
    opening = opening or Snapshot(full_balances(grants, start))
    _check(grants, reset_at, start, until)
    _check_balances(grants, opening.balances, start)
    run = _Run(list(grants), reset_at, aggregation, policy, until)
    run.open(opening, start)
    items = sorted(usage, key=in_order)
    moments = [as_utc(item.at) for item in items]
    points = [start, *_borders(grants, reset_at, start, until), until]
    for begin, end in pairwise(points):
        if begin < end:
            run.segment(begin, end, items[bisect_left(moments, begin) : bisect_left(moments, end)])
            run.border(end)
    return run.close()


def _check(grants: Sequence[Grant], resets: Mapping[datetime, Reset], start: datetime, until: datetime) -> None:
    if len({grant.id for grant in grants}) != len(grants):
        raise BurndownError("duplicate_grant", "Two grants have the same id: give each grant once.")
    if until < start:
        raise BurndownError("end_before_start", "The run ends before it starts: swap start and until.")
    if any(moment <= start for moment in resets):
        raise BurndownError("reset_not_after_start", "A reset must come after the start, whose state is given.")
    if any(moment > until for moment in resets):
        raise BurndownError("reset_after_end", "A reset must not come after the end of the run.")


def _check_balances(grants: Sequence[Grant], balances: Mapping[str, Decimal], start: datetime) -> None:
    if unknown := sorted(set(balances) - {grant.id for grant in grants}):
        raise BurndownError("unknown_grant", f"There is a balance of {unknown[0]}, but no such grant.")
    if any(balance < 0 for balance in balances.values()):
        raise BurndownError("negative_balance", "A commit cannot be below zero: what is beyond it is overage.")
    for grant in grants:
        if grant.id not in balances and grant.is_active(start) and as_utc(grant.effective_at) < start:
            raise BurndownError("missing_balance", f"{grant.id} began earlier: run from then, or give its balance.")


def _borders(grants: Iterable[Grant], resets: Iterable[datetime], start: datetime, until: datetime) -> list[datetime]:
    """Return the moments strictly inside the run at which something changes, in order."""
    moments = set(resets)
    for grant in grants:
        begin, end = as_utc(grant.effective_at), grant.ends_at
        if begin < end:
            moments |= {begin, end, *_recurrences(grant, start, until), *(as_utc(at) for at, _ in grant.changes)}
            if grant.rolls_over_at is not None:
                moments.add(as_utc(grant.rolls_over_at))
    return sorted(moment for moment in moments if start < moment < until)


def _recurrences(grant: Grant, after: datetime, until: datetime) -> list[datetime]:
    """Return the moments in (after, until] at which the grant is refilled."""
    if grant.recurrence is None:
        return []
    first, last = max(after, as_utc(grant.effective_at)), min(until, grant.ends_at)
    found = grant.recurrence.interval.occurrences(grant.recurrence.anchor, first, last) if first < last else []
    return [moment for moment in found if moment < grant.ends_at]


Payer = tuple[Grant, str]


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
        self.drawn: dict[tuple[str, str], Decimal] = {}
        self.period_usage = self.grant_usage = ZERO
        self.segments: list[Segment] = []
        self.draws: list[Draw] = []
        self.movements: list[Movement] = []
        self.in_force: list[Grant] = []
        self.payers_of: list[Grant] = []
        self.payers: dict[str, list[Payer]] = {}

    def open(self, opening: Snapshot, start: datetime) -> None:
        """Take over the state at the start; what is not active any more falls to zero."""
        self.overage = {meter: amount for meter, amount in opening.overage.items() if amount}
        self.drawn = dict(opening.drawn)
        self.period_usage, self.grant_usage = opening.period_usage, opening.grant_usage
        self.period_start = as_utc(opening.period_start) if opening.period_start else start
        self.balances = {grant.id: opening.balances.get(grant.id, ZERO) for grant in self.grants}
        self._end(start)
        for grant in self.grants:
            if grant.id not in opening.balances and grant.is_active(start):
                self._set(grant, grant.amount, "granted", start)
                self._change(grant, start)
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
        self._roll_over(moment)
        for grant in self.grants:
            if as_utc(grant.effective_at) == moment and grant.is_active(moment):
                self._set(grant, grant.amount, "granted", moment)
        for grant in self.refills.get(moment, ()):
            self._set(grant, grant.amount, "refilled", moment)
            self._forget(grant)
        for grant in self.grants:
            if grant.changes and grant.is_active(moment):
                self._change(grant, moment)

    def close(self) -> Burndown:
        overage = {meter: amount for meter, amount in sorted(self.overage.items()) if amount}
        drawn = {key: amount for key, amount in sorted(self.drawn.items()) if amount}
        closing = Snapshot(self.balances, overage, self.period_usage, self.grant_usage, self.period_start, drawn)
        return Burndown(closing, tuple(self.segments), tuple(self.draws), tuple(self.movements))

    def _end(self, moment: datetime) -> None:
        for grant in self.grants:
            if self.balances[grant.id] and not grant.is_active(moment):
                self._set(grant, ZERO, _how_it_ended(grant), moment)
            if not grant.is_active(moment):
                self._forget(grant)

    def _reset(self, reset: Reset, moment: datetime) -> None:
        self.in_force = [g for g in self.grants if g.is_active(moment) and as_utc(g.effective_at) < moment]
        for grant in (grant for grant in self.in_force if grant.rolls_over_at is None):
            self._set(grant, grant.rollover.applied_to(self.balances[grant.id]), "rolled_over", moment)
        self.period_usage = self.grant_usage = ZERO
        self.period_start, self.drawn = moment, {}
        if reset.preserve_overage:
            self._draw_overage(moment)
        else:
            self.overage = {}

    def _roll_over(self, moment: datetime) -> None:
        for grant in self.grants:
            at = grant.rolls_over_at
            if at is not None and as_utc(at) == moment and as_utc(grant.effective_at) < moment < grant.ends_at:
                self._set(grant, grant.rollover.applied_to(self.balances[grant.id]), "rolled_over", moment)
                self._forget(grant)

    def _change(self, grant: Grant, moment: datetime) -> None:
        for at, change in grant.changes:
            if as_utc(at) == moment:
                self._set(grant, max(self.balances[grant.id] + change, ZERO), "amended", moment)

    def _set(self, grant: Grant, balance: Decimal, kind: MovementKind, at: datetime) -> None:
        change = balance - self.balances[grant.id]
        if change:
            self.movements.append(Movement(at, grant.id, kind, change))
        self.balances[grant.id] = balance

    def _forget(self, grant: Grant) -> None:
        """Nothing can be given back to a grant that has ended or is full again."""
        self.drawn = {key: amount for key, amount in self.drawn.items() if key[0] != grant.id}

    def _draw_overage(self, at: datetime) -> None:
        for meter in sorted(self.overage):
            if self.overage[meter] > 0:
                self._draw(meter, ZERO, at)

    def _draw(self, meter: str, amount: Decimal, at: datetime) -> None:
        """Draw `amount` and what the meter owes; a sum below zero is given back, and may pay others' overage."""
        owed = amount + self.overage.get(meter, ZERO)
        payers = self._payers(meter)
        if owed >= 0:
            self.overage[meter] = self._take(meter, owed, payers, at)
        else:
            self.overage[meter] = left = self._give_back(meter, owed, payers, at)
            if left != owed:
                self._draw_overage(at)

    def _payers(self, meter: str) -> list[Payer]:
        """Return who pays for a meter in this segment, in order, and why each when its turn comes."""
        if self.payers_of is not self.in_force:
            self.payers_of, self.payers = self.in_force, {}
        if meter not in self.payers:
            grants = [grant for grant in self.in_force if grant.pays_for(meter)]
            whys = [f"{before.label} is used up" for before in grants[:-1]]
            first = [why_before(grants[0], grants[1:2], self.policy)] if grants else []
            self.payers[meter] = list(zip(grants, [*first, *whys], strict=True))
        return self.payers[meter]

    def _take(self, meter: str, owed: Decimal, payers: Sequence[Payer], at: datetime) -> Decimal:
        """Take `owed` from the payers in their order; return what they do not cover."""
        for grant, why in payers:
            taken = min(self.balances[grant.id], owed)
            if taken:
                self._book(Draw(at, meter, grant.id, taken, why))
                owed -= taken
        return owed

    def _give_back(self, meter: str, owed: Decimal, payers: Sequence[Payer], at: datetime) -> Decimal:
        """Give back -`owed` of what was drawn for the meter, the last grant first; return what is left, <= 0."""
        for grant, _ in reversed(payers):
            back = min(self.drawn.get((grant.id, meter), ZERO), -owed)
            if back:
                self._book(Draw(at, meter, grant.id, -back, "usage was corrected: the commit drawn last comes first"))
                owed += back
        return owed

    def _book(self, draw: Draw) -> None:
        self.draws.append(draw)
        self.balances[draw.grant_id] -= draw.amount
        self.grant_usage += draw.amount
        key = draw.grant_id, draw.meter
        self.drawn[key] = self.drawn.get(key, ZERO) + draw.amount


def _how_it_ended(grant: Grant) -> MovementKind:
    for moment, kind in ((grant.deleted_at, "deleted"), (grant.voided_at, "voided")):
        if moment is not None and as_utc(moment) == grant.ends_at:
            return "deleted" if kind == "deleted" else "voided"
    return "expired"


def _latest(items: Sequence[UsageItem]) -> list[UsageItem]:
    """Return the last item of each meter, in order."""
    return list({item.meter: item for item in items}.values())
