"""What a week did to accounts of a book: who came into the queue, who left, what moved nearer or down. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from reviews.calc.queue import NONE, Due, standing

Numbers = Mapping[str, Decimal | None]
EARLIER_DAYS = 3  # a run-out that moved less has not moved
POINTS = Decimal(5)
LIKELY = Decimal(50)


@dataclass(frozen=True, slots=True)
class Then:
    """An account as one day left it: `numbers` of `day`, its health; None: not known."""

    day: date | None
    numbers: Numbers
    score: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a week changed. `earlier`: days by which the run-out came nearer; `down`: points of health that went."""

    is_new: bool = False
    has_left: bool = False
    earlier: int = 0
    down: int = 0


def change(before: Then, after: Then) -> Change:
    """Compare an account with itself; by its metrics alone, so that a task put off does not look like an answer."""
    if before.day is None or after.day is None:
        return Change()
    waited, waits = (_waits(one, one.day) for one in (before, after) if one.day is not None)
    lost = before.score - after.score if before.score is not None and after.score is not None else Decimal(0)
    return Change(
        is_new=waits and not waited,
        has_left=waited and not waits,
        earlier=_earlier(before, after),
        down=int(lost) if lost >= POINTS else 0,
    )


def _waits(one: Then, day: date) -> bool:
    return standing(one.numbers, Due(), day).group != NONE


def _earlier(before: Then, after: Then) -> int:
    """By how many days a run-out that is likely within the term came nearer."""
    was, out, term = before.numbers.get("run_out_p50"), after.numbers.get("run_out_p50"), after.numbers
    left, likely = term.get("term_days_left"), term.get("run_out_percent")
    if was is None or out is None or before.day is None or after.day is None:
        return 0
    if (left is not None and out > left) or (likely is not None and likely < LIKELY):
        return 0
    days = (before.day + timedelta(days=int(was)) - after.day - timedelta(days=int(out))).days
    return days if days >= EARLIER_DAYS else 0
