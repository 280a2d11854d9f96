"""Pacing of a commit: how much is used, how fast, and where the straight line ends. Pure Decimal."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import DAY, Period

ZERO, HUNDRED = Decimal(0), Decimal(100)
EARLY_DAYS, EARLY_SHARE = 21, Decimal("0.1")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Pacing:
    """Where a commit stands. Amounts in its currency, not rounded; None is unknown, never zero.

    `utilisation_percent` drawn of the commit; `pacing` that share over the share that was planned by now (above 1:
    faster), None with `is_too_early` in the first 21 days or tenth of the term; `per_day` the straight daily rate;
    `term_total` what the whole term takes at it; `overage` and `unused` the distance to the commit at the end;
    `exhausted_at` the day on which it runs out, None when not before the term ends.
    """

    utilisation_percent: Decimal | None
    pacing: Decimal | None
    is_too_early: bool
    per_day: Decimal | None
    term_total: Decimal | None
    overage: Decimal | None
    unused: Decimal | None
    exhausted_at: datetime | None


@exactly
def pace(commit: Decimal, drawn: Decimal, term: Period, now: datetime, planned_share: Decimal | None = None) -> Pacing:
    """Return the pacing of `commit` of which `drawn` is used at `now`.

    `planned_share` is the part of the commit that the plan had used by now (0 to 1); by default the part of the term
    that has passed. Before the term begins only the utilisation is known. A commit of zero has no utilisation.
    """
    elapsed = term.elapsed_share(now)
    planned = elapsed if planned_share is None else planned_share
    used = drawn / commit if commit > 0 else None
    too_early = now - term.start < EARLY_DAYS * DAY or elapsed < EARLY_SHARE
    if elapsed == 0:
        return Pacing(_percent(used), None, True, None, None, None, None, None)
    per_day = drawn / (elapsed * _days(term))
    total = drawn / elapsed
    return Pacing(
        _percent(used),
        None if too_early or used is None or planned <= 0 else used / planned,
        too_early,
        per_day,
        total,
        max(total - commit, ZERO),
        max(commit - total, ZERO),
        _exhausted(commit, drawn, per_day, term, now),
    )


def _percent(share: Decimal | None) -> Decimal | None:
    return None if share is None else share * HUNDRED


def _days(term: Period) -> Decimal:
    return Decimal(term.duration // _MICROSECOND) / Decimal(DAY // _MICROSECOND)


def _exhausted(commit: Decimal, drawn: Decimal, per_day: Decimal, term: Period, now: datetime) -> datetime | None:
    """Return when the straight line reaches the commit; `now` if it is used up, None if not before the term ends."""
    if drawn >= commit:
        return now
    if per_day <= 0 or commit / per_day >= _days(term):
        return None
    return term.start + _MICROSECOND * int((commit / per_day * (DAY // _MICROSECOND)).to_integral_value(ROUND_CEILING))
