"""A health recipe tried on the past: how often a low score was followed by a loss, and how early it told. Pure.

Looks at accounts week by week. A measure warns in a week in which it scores 50 of its 100 or less; the whole score
warns below 60. A loss begins in the week in which use of 28 days is 30 % or more below the 28 days before it, and was
not the week before. A warning is followed if a loss begins within the 90 days after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from statistics import median

LOSS_PERCENT = Decimal(-30)
AHEAD = timedelta(days=90)
WARNS_AT_MOST, WHOLE_WARNS_BELOW = Decimal(50), Decimal(60)
WHOLE = ""  # the name of the whole score among the measures


@dataclass(frozen=True, slots=True)
class Week:
    """One account in one week: each measure's score of 0 to 100, the whole under WHOLE; None: not known.

    `change` is that of use in 28 days, in percent.
    """

    day: date
    scores: Mapping[str, Decimal | None]
    change: Decimal | None


@dataclass(slots=True)
class Tally:
    """Of one measure. Precision is `followed` ÷ `warnings`, recall `warned` ÷ `losses`; `lead_days` of each warned.

    `young` warnings are not judged yet: no loss followed so far, and their 90 days are not over.
    """

    warnings: int = 0
    followed: int = 0
    young: int = 0
    losses: int = 0
    warned: int = 0
    lead_days: list[int] = field(default_factory=list)

    @property
    def lead(self) -> float | None:
        """The median days from the first warning to the loss; None without any."""
        return float(median(self.lead_days)) if self.lead_days else None


def losses(weeks: Sequence[Week]) -> list[date]:
    """Return the days on which a loss began, in order."""
    found, was = [], False
    for week in weeks:
        if week.change is None:
            continue
        now = week.change <= LOSS_PERCENT
        if now and not was:
            found.append(week.day)
        was = now
    return found


def back_test(accounts: Iterable[Sequence[Week]], measures: Sequence[str]) -> dict[str, Tally]:
    """Return the tally of each measure and of the whole score over all accounts.

    A warning counts as one while it lasts, from the week it begins. Those that are younger than 90 days at the end
    are not judged yet, unless a loss followed already.
    """
    tallies = {name: Tally() for name in (*measures, WHOLE)}
    for weeks in accounts:
        if not weeks:
            continue
        began, end = losses(weeks), weeks[-1].day
        for name, tally in tallies.items():
            count(tally, _warnings(weeks, name), began, end)
    return tallies


def _warnings(weeks: Sequence[Week], name: str) -> list[date]:
    """Return the weeks in which a warning began."""
    found, was = [], False
    for week in weeks:
        score = week.scores.get(name)
        if score is None:
            continue
        now = score < WHOLE_WARNS_BELOW if name == WHOLE else score <= WARNS_AT_MOST
        if now and not was:
            found.append(week.day)
        was = now
    return found


def count(tally: Tally, warnings: Sequence[date], began: Sequence[date], end: date) -> None:
    """Add one account's warnings and the losses that `began`, seen until `end`, to a tally."""
    tally.losses += len(began)
    for warning in warnings:
        hit = any(warning <= loss <= warning + AHEAD for loss in began)
        if hit or warning + AHEAD <= end:
            tally.warnings += 1
            tally.followed += hit
        else:
            tally.young += 1
    for loss in began:
        before = [warning for warning in warnings if loss - AHEAD <= warning <= loss]
        if before:
            tally.warned += 1
            tally.lead_days.append((loss - min(before)).days)
