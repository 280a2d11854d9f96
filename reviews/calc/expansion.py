"""Which workflow to bring into production next: the cleanest path to value, and what it would bring. Pure.

Path to value = value a month × evidence ÷ (effort left × (1 + things in the way)): the money a month that each week
of effort is likely to open. Expected spend and outcomes are ranges over what similar accounts have, scaled by size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.money import exactly

ZERO, ONE, FOUR = Decimal(0), Decimal(1), Decimal(4)
ENOUGH_NEIGHBOURS = 2  # accounts that run a workflow before it is suggested to another
BASE, FOR_DATA, FOR_OWNER, FOR_PEERS = Decimal("0.3"), Decimal("0.3"), Decimal("0.2"), Decimal("0.2")
STALLED_DAYS = 28


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
    """How many candidates ever reached a state, and how long they took, in days (the median, None without any)."""

    state: str
    count: int
    days: int | None


STATES = ("found", "proposed", "agreed", "building", "won")


def funnel(histories: Sequence[Sequence[tuple[str, int]]]) -> list[Funnel]:
    """Return the funnel of candidates, each told as (state, day number) steps in order.

    A candidate that skipped a state has passed it on the day of the later one.
    """
    lines = []
    for at, state in enumerate(STATES):
        reached, took = 0, []
        for steps in histories:
            days = [day for name, day in steps if name in STATES and STATES.index(name) >= at]
            if days:
                reached += 1
                took.append(min(days) - min(day for _, day in steps))
        lines.append(Funnel(state, reached, sorted(took)[len(took) // 2] if took else None))
    return lines
