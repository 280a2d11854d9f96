"""An account drawn day by day: what each ended day books, what today has drawn so far, and where to go on. Pure.

Everything happens at the start of a local day: commits begin and end, periods begin, and a day's use is drawn. A state
"of a day" is that of the moment just before it starts, so that a run that goes on from it sees all of these again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from budgets.calc.burndown import burn_down
from budgets.calc.grants import ZERO, Grant
from budgets.calc.snapshots import Burndown, Movement, Reset, Snapshot, UsageItem
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import DAY, Period, as_utc, billing_months, day_of, day_start

JUST_BEFORE = timedelta(microseconds=1)
DEFAULT_POLICY = "priority"


class DayUse(NamedTuple):
    """What one meter's use of a local day came to, adjustments booked on it included."""

    day: date
    meter: str
    amount: Decimal


class EntryKey(NamedTuple):
    """What there is one current ledger entry of; `commit` None: overage, `meter` None: not use."""

    commit: str | None
    kind: str
    day: date
    meter: str | None


class Booking(NamedTuple):
    """The amount of an entry, with the sign of the ledger, and why this commit."""

    amount: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """An account's local days and billing periods."""

    zone: ZoneInfo
    billing_day: int


@dataclass(frozen=True, slots=True)
class Terms:
    """The grants of an account's commits (id: commit id, or commit id#recurrence), and each draw policy's first day.

    `policies` ascending; before the first, and where it says so, the default holds. `version` changes with anything
    that was agreed: states that were reached under another one do not count.
    """

    grants: Sequence[Grant]
    policies: Sequence[tuple[date, str]] = ()
    version: str = ""

    def policy_on(self, day: date) -> str:
        return next((policy for first, policy in reversed(self.policies) if first <= day), DEFAULT_POLICY)


@dataclass(frozen=True, slots=True)
class DrawnDays:
    """What a run found. `entries`: of the days before today, and what happened at its start; `ongoing`: today's use.

    `settled` and `left`: by commit, at the start of today and with its use. `states`: of the days asked for.
    """

    entries: dict[EntryKey, Booking]
    ongoing: dict[EntryKey, Booking]
    settled: dict[str, Decimal]
    left: dict[str, Decimal]
    overage: Decimal
    states: dict[date, Snapshot]


@exactly
def draw_days(
    terms: Terms,
    use: Iterable[DayUse],
    calendar: Calendar,
    *,
    state: Snapshot,
    first_day: date,
    today: date,
    keep: Iterable[date] = (),
) -> DrawnDays:
    """Draw the use of [first_day, today] and return what is to be booked; `state` is that of the first day.

    Today's state and those of the days in `keep` that lie between are returned. Raises BurndownError for a grant
    that began before the first day and of which the state knows nothing.
    """
    use = [row for row in use if row.amount and first_day <= row.day <= today]
    kept = {day for day in keep if first_day < day <= today} | {today}
    cuts = {first_day, today + DAY} | kept | {day for day, _ in terms.policies if first_day < day < today}
    runs, states = [], {first_day: state}
    for begin, end in pairwise(sorted(cuts)):
        run = _run(terms, [row for row in use if begin <= row.day < end], calendar, state, begin, end)
        state = run.closing
        runs.append((begin, run))
        states[end] = state
    entries = _entries(runs, use, calendar.zone)
    last = runs[-1][1].segments[-1] if runs[-1][1].segments else None
    is_settled = {key: key.day < today or key.meter is None for key in entries}
    return DrawnDays(
        {key: booking for key, booking in entries.items() if is_settled[key]},
        {key: booking for key, booking in entries.items() if not is_settled[key]},
        _by_commit(last.balance_at_start if last else state.balances),
        _by_commit(last.balance_at_end if last else state.balances),
        last.overage_at_end if last else state.total_overage,
        {day: found for day, found in states.items() if day in kept},
    )


def _run(terms: Terms, use: Sequence[DayUse], calendar: Calendar, state: Snapshot, begin: date, end: date) -> Burndown:
    zone = calendar.zone
    start, until = day_start(begin, zone) - JUST_BEFORE, day_start(end, zone) - JUST_BEFORE
    # What has ended is gone from the state too; what begins later is met when its time comes.
    alive = [grant for grant in terms.grants if as_utc(grant.effective_at) < until and grant.ends_at > start]
    ids = {grant.id for grant in alive}
    known = replace(
        state,
        balances={name: balance for name, balance in state.balances.items() if name in ids},
        drawn={key: amount for key, amount in state.drawn.items() if key[0] in ids},
    )
    return burn_down(
        alive,
        [UsageItem(day_start(row.day, zone), row.amount, row.meter) for row in use],
        start=start,
        until=until,
        resets=[Reset(moment) for moment in period_starts(begin, end, calendar)],
        opening=known,
        policy=terms.policy_on(begin),
    )


@lru_cache(maxsize=4096)
def period_starts(begin: date, end: date, calendar: Calendar) -> tuple[datetime, ...]:
    """Return the moments in the local days [begin, end) at which a billing period starts."""
    first, last = day_start(begin, calendar.zone), day_start(end, calendar.zone)
    if first >= last:
        return ()
    months = billing_months(Period(first, last), calendar.zone, calendar.billing_day)
    return tuple(month.start for month in months if first <= month.start < last)


def _entries(runs: Iterable[tuple[date, Burndown]], use: Iterable[DayUse], zone: ZoneInfo) -> dict[EntryKey, Booking]:
    """Add up movements and draws by commit, day and meter; what was used and not drawn is overage."""
    amounts: dict[EntryKey, Decimal] = defaultdict(lambda: ZERO)
    reasons: dict[EntryKey, list[str]] = defaultdict(list)
    overage: dict[EntryKey, Decimal] = defaultdict(lambda: ZERO)
    days: dict[datetime, date] = {}
    for row in use:
        overage[EntryKey(None, "overage", row.day, row.meter)] += row.amount
    for begin, run in runs:
        for movement in run.movements:
            day = max(day_of(movement.at, zone), begin)
            key = EntryKey(commit_of(movement.grant_id), movement.kind, day, None)
            amounts[key] += movement.amount
            why = _why(movement)
            if why and why not in reasons[key]:
                reasons[key].append(why)
        for draw in run.draws:
            if draw.at not in days:
                days[draw.at] = max(day_of(draw.at, zone), begin)
            day = days[draw.at]
            key = EntryKey(commit_of(draw.grant_id), "drawn", day, draw.meter)
            amounts[key] -= draw.amount
            overage[EntryKey(None, "overage", day, draw.meter)] -= draw.amount
            if draw.why not in reasons[key]:
                reasons[key].append(draw.why)
    amounts.update(overage)
    return {key: Booking(amount, "; ".join(reasons[key])) for key, amount in amounts.items() if amount}


def _why(movement: Movement) -> str:
    if movement.kind == "expired":
        return "not used in time"
    if movement.kind == "rolled_over":
        return "more than rolls over" if movement.amount < 0 else "raised to the least that rolls over"
    return ""


def commit_of(grant_id: str) -> str:
    """Return the id of the commit that a grant is, or is a recurrence of."""
    return grant_id.partition("#")[0]


def _by_commit(balances: Mapping[str, Decimal]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for name, balance in balances.items():
        total[commit_of(name)] += balance
    return dict(total)
