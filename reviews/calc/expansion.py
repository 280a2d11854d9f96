"""Which workflow to bring into production next: the cleanest path to value, and what it would bring. Pure.

Path to value = value a month × evidence ÷ (effort left × (1 + things in the way)): the money a month that each week
of effort is likely to open. Expected spend and outcomes are ranges over what similar accounts have, scaled by size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from consumption_cs.lib.money import exactly

ZERO, ONE, FOUR = Decimal(0), Decimal(1), Decimal(4)
ENOUGH_NEIGHBOURS = 2  # accounts that run a workflow before it is suggested to another
BASE, FOR_DATA, FOR_OWNER, FOR_PEERS = Decimal("0.3"), Decimal("0.3"), Decimal("0.2"), Decimal("0.2")
STALLED_DAYS = 28  # without use
SAME_RUNG_DAYS = 90  # without a step up
GUIDE = 3  # workflows a team brings into production in a quarter, at most
MONTH = Decimal("30.4375")  # days


@exactly
def path_to_value(
    value_a_month: Decimal | None, evidence: Decimal, effort_weeks: Decimal | None, in_the_way: int
) -> Decimal | None:
    """Return currency a month for each week of effort; None while the value or the effort is not estimated."""
    if value_a_month is None or effort_weeks is None or effort_weeks <= 0:
        return None
    return value_a_month * evidence / (effort_weeks * (1 + in_the_way))


@dataclass(frozen=True, slots=True)
class Ready:
    """What is known of a candidate: events came, somebody answers for it, and how similar ones do (0 to 1)."""

    is_wired: bool
    has_owner: bool
    peers_success: Decimal | None


def evidence_of(ready: Ready) -> Decimal:
    """Return how sure a candidate's value is, 0 to 1, from what is known and nothing that is hoped."""
    found = BASE
    found += FOR_DATA if ready.is_wired else ZERO
    found += FOR_OWNER if ready.has_owner else ZERO
    found += FOR_PEERS * ready.peers_success if ready.peers_success is not None else ZERO
    return min(found, ONE)


@dataclass(frozen=True, slots=True)
class Range:
    """Low, likely and high of an amount a month."""

    low: Decimal
    likely: Decimal
    high: Decimal


@exactly
def expected(shares: Sequence[Decimal], size: Decimal) -> Range | None:
    """Return what a workflow would come to for an account of `size`, from its share of size at similar accounts.

    Quartiles of the shares, times the size; None for fewer than two neighbours, or without a size.
    """
    if len(shares) < ENOUGH_NEIGHBOURS or size <= 0:
        return None
    ordered = sorted(shares)
    return Range(*(_quantile(ordered, place) * size for place in (1, 2, 3)))


def _quantile(ordered: Sequence[Decimal], quarter: int) -> Decimal:
    """Return the quarter's quantile, between neighbours in a straight line (type 7 of Hyndman and Fan, 1996)."""
    place = Decimal(len(ordered) - 1) * quarter / FOUR
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@exactly
def days_earlier(remaining: Decimal, days: int, spend_a_month: Decimal) -> int | None:
    """Return how many whole days sooner `remaining` is gone, which lasts `days` now, with `spend_a_month` more.

    None when nothing remains or no time is left: there is no date to bring forward.
    """
    if remaining <= 0 or days <= 0 or spend_a_month < 0:
        return None
    burn = remaining / days
    return int(days - remaining / (burn + spend_a_month / MONTH))


@dataclass(frozen=True, slots=True)
class Load:
    """The work planned for a quarter against the weeks there are; `over` is what does not fit."""

    planned: Decimal
    weeks: Decimal

    @property
    def over(self) -> Decimal:
        return max(self.planned - self.weeks, ZERO)


@dataclass(frozen=True, slots=True)
class Funnel:
    """How many candidates ever reached a state, their value a month, and how long they took, in days.

    `days` is the median, None without any; `value` counts those that have one, `valued` says how many.
    """

    state: str
    count: int
    days: int | None
    value: Decimal
    valued: int


STATES = ("found", "proposed", "agreed", "building", "won")


@exactly
def funnel(histories: Sequence[tuple[Sequence[tuple[str, int]], Decimal | None]]) -> list[Funnel]:
    """Return the funnel of candidates, each told as its (state, day number) steps in order and its value a month.

    A candidate that skipped a state has passed it on the day of the later one.
    """
    lines = []
    for at, state in enumerate(STATES):
        took, values = [], []
        for steps, value in histories:
            days = [day for name, day in steps if name in STATES and STATES.index(name) >= at]
            if days:
                took.append(min(days) - min(day for _, day in steps))
                values.append(value)
        worth = [value for value in values if value is not None]
        half = round(median(took)) if took else None
        lines.append(Funnel(state, len(took), half, sum(worth, ZERO), len(worth)))
    return lines
