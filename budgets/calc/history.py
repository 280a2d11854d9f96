"""The windows that a burndown chart is drawn from. Pure Decimal."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from budgets.calc.burndown import burn_down
from budgets.calc.grants import ZERO, Grant
from budgets.calc.snapshots import Reset, Snapshot, UsageItem, in_order
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import Interval, as_utc


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
    items = sorted(usage, key=in_order)
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
