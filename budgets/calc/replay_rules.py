"""When the rules of a budget would have told, looked at after each hour. Pure.

The verdicts are those of budgets.calc.budget_rules; once a period (of a pace: once a local day) as in
budgets.actions.evaluate: what holds is told again only after it was clear.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from budgets.calc.budget_rules import (
    ACTUAL,
    FORECAST,
    PACE_MARGIN,
    PACES,
    Fan,
    Figures,
    Verdict,
    loudest,
    reached_at,
    verdict,
)
from budgets.calc.replay import Span, reached_in
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import Period

ZERO = Decimal(0)
MICROSECOND = timedelta(microseconds=1)
REPLAYED = (*ACTUAL, *FORECAST, *PACES, "under_use", "unit_cost", "success_below")
Windows = dict[int, Decimal]


@dataclass(frozen=True, slots=True)
class Signs:
    """What rules look at beside the money, after each hour of a span.

    `windows` {1, 6, 72: spent in so many hours}, empty where hours are not known; `fans` the total that was forecast
    then, None where nothing was; `counts` outcomes, finished and successes of the period so far.
    """

    windows: Sequence[Windows]
    fans: Sequence[Fan | None]
    counts: Sequence[tuple[Decimal, int, int]]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A rule that holds anew. `is_told` is False when a higher one of its family holds at the same look."""

    at: datetime
    day: date
    kind: str
    value: Decimal
    is_told: bool


@exactly
def crossings(span: Span, rules: Sequence[tuple[str, Decimal]], amount: Decimal, signs: Signs) -> list[Crossing]:
    """Return what the rules would have told in a period, oldest first. Kinds that are not REPLAYED are left out."""
    fresh: dict[int, list[tuple[str, Decimal]]] = defaultdict(list)
    for kind, value in rules:
        found = _actual(span, kind, value, amount) if kind in ACTUAL else _others(span, kind, value, amount, signs)
        for index in found:
            fresh[index].append((kind, value))
    told = {index: loudest(some, amount) for index, some in fresh.items()}
    return [
        Crossing(
            _moment(span, index, kind, value, amount), span.hours[index].day, kind, value, (kind, value) in told[index]
        )
        for index in sorted(fresh)
        for kind, value in fresh[index]
    ]


def _moment(span: Span, index: int, kind: str, value: Decimal, amount: Decimal) -> datetime:
    """What was spent reaches its mark within the hour; every other figure is looked at just before its end."""
    hour = span.hours[index]
    if kind in ACTUAL:
        used = span.sums[index - 1] if index else span.before
        return reached_in(hour, used, reached_at(kind, value, amount)) or hour.end
    return hour.end - MICROSECOND


def _actual(span: Span, kind: str, value: Decimal, amount: Decimal) -> Iterator[int]:
    mark = reached_at(kind, value, amount)
    index = bisect_left(span.sums, mark)
    if span.before < mark and index < len(span.sums):
        yield index


def _others(span: Span, kind: str, value: Decimal, amount: Decimal, signs: Signs) -> Iterator[int]:
    """As evaluate: told when it holds and is not recorded as holding; a pace at most once each day."""
    if kind not in REPLAYED:
        return
    verdict_at = _looks(span, kind, value, amount, signs)
    holds, told_on = False, set[date]()
    for index, hour in enumerate(span.hours):
        said = verdict_at(index)
        if said is Verdict.CLEAR:
            holds = False
        elif said is Verdict.HOLDS and not holds:
            holds = True
            told = hour.day if kind in PACES else span.first
            if told not in told_on:
                told_on.add(told)
                yield index


def _looks(span: Span, kind: str, value: Decimal, amount: Decimal, signs: Signs) -> Callable[[int], Verdict]:
    """Return what says the verdict after an hour. What is certain without looking closely is not looked at."""
    hours = Decimal((span.end - span.start) // timedelta(seconds=1)) / 3600
    whole = Period(span.start, span.end)
    short = PACES[kind][0] if kind in PACES else 0
    low = value * (1 - PACE_MARGIN) * amount * short / hours
    last: tuple[Fan | None, Verdict] = (None, Verdict.OPEN)

    def look(index: int) -> Verdict:
        nonlocal last
        windows, fan, used = signs.windows[index], signs.fans[index], span.sums[index]
        if kind in PACES and windows and windows[short] < low:
            return Verdict.CLEAR
        if kind in FORECAST:
            if fan is None or used >= amount:
                return Verdict.OPEN
            if fan is last[0] and used <= fan.p10:
                return last[1]
        outcomes, finished, successes = signs.counts[index]
        said = verdict(
            kind,
            value,
            Figures(
                amount=amount,
                used=used,
                elapsed=whole.elapsed_share(span.hours[index].end - MICROSECOND) if kind == "under_use" else ZERO,
                hours=hours,
                windows=windows,
                fan=None if fan is None else Fan(*(max(one, used) for one in (fan.p10, fan.p50, fan.p90))),
                outcomes=outcomes,
                finished=finished,
                successes=successes,
            ),
        )
        last = (fan, said)
        return said

    return look
