"""Days of money as hours: by what each hour used where that is known, else in the usual shape of a day. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from statistics import median
from zoneinfo import ZoneInfo

from budgets.calc.replay import Hour
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import DAY, HOUR, Period, local_day

ZERO, ONE = Decimal(0), Decimal(1)
ENOUGH_DAYS = 7
SMALLEST = Decimal("1e-9")  # of money that an hour has
Slot = tuple[bool, int]  # weekend, hour on the wall clock


@dataclass(frozen=True, slots=True)
class Used:
    """What one day or hour has of a part of the usage: money, and what was counted."""

    spent: Decimal = ZERO
    outcomes: Decimal = ZERO
    finished: int = 0
    successes: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A workflow that is looked at by itself, or the rest (`name` None): its days, and its hours where known."""

    days: Mapping[date, Used]
    hours: Mapping[datetime, Used]
    is_exempt: bool = False


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A stretch of hours in which `share` of what was spent was wanted by nobody.

    `per_hour`: what the part spent in each of them, if that is known of the stretch though not of the hours.
    """

    start: datetime
    end: datetime
    share: Decimal
    per_hour: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted in an hour, whether exempt or not."""

    outcomes: Decimal
    finished: int
    successes: int


@dataclass(frozen=True, slots=True)
class Clock:
    """The local hours of each day, each with its slot."""

    days: Mapping[date, Sequence[tuple[Period, Slot]]]


def clock_of(days: Sequence[date], zone: ZoneInfo) -> Clock:
    """Return the hours of local days."""
    return Clock({day: _slots(day, zone) for day in days})


def _slots(day: date, zone: ZoneInfo) -> list[tuple[Period, Slot]]:
    whole = local_day(day, zone)
    is_weekend = day.weekday() >= 5
    if whole.duration == DAY:
        return [
            (Period(whole.start + hour * HOUR, whole.start + (hour + 1) * HOUR), (is_weekend, hour))
            for hour in range(24)
        ]
    return [(hour, (is_weekend, hour.start.astimezone(zone).hour)) for hour in whole.hours(zone)]


@exactly
def hours_of(
    clock: Clock, parts: Sequence[Part], unwanted: Sequence[Sequence[Unwanted]], known_from: date
) -> tuple[list[Hour], list[Counted], Decimal]:
    """Return the hours of all parts together, what was counted in each, and what nobody wanted in all, exempt or not.

    `unwanted` lists the stretches of each part. The hours of a day add up to it exactly. Hours before `known_from`
    are not known: their day's money is spread as that of the days since usually is, or evenly.
    """
    shape = _shape(clock, parts, known_from)
    hours: list[Hour] = []
    counts: list[Counted] = []
    cost = ZERO
    for day, slots in clock.days.items():
        rows = [
            _day(day, slots, part, shape, is_known=True)
            if day >= known_from
            else _day(day, slots, part, _with_stretches(slots, part.days.get(day), stretches, shape), is_known=False)
            for part, stretches in zip(parts, unwanted, strict=True)
        ]
        for index, (hour, _) in enumerate(slots):
            here = [row[index] for row in rows]
            loops = [
                used.spent * _share(hour, stretches) if stretches and used.spent > 0 else ZERO
                for used, stretches in zip(here, unwanted, strict=True)
            ]
            made, counted = _hour(hour, day, parts, here, loops)
            cost += sum(loops, ZERO)
            hours.append(made)
            counts.append(counted)
    return _with_usual(hours, clock, known_from), counts, cost


def _hour(
    hour: Period, day: date, parts: Sequence[Part], here: Sequence[Used], loops: Sequence[Decimal]
) -> tuple[Hour, Counted]:
    spent = exempt = loop = outcomes = ZERO
    finished = successes = free = 0
    for part, used, unwanted in zip(parts, here, loops, strict=True):
        spent, outcomes = spent + used.spent, outcomes + used.outcomes
        finished, successes = finished + used.finished, successes + used.successes
        if part.is_exempt:
            exempt, free = exempt + used.spent, free + used.successes
        else:
            loop += unwanted
    made = Hour(hour.start, hour.end, day, spent, exempt, loop, ZERO, Decimal(successes - free))
    return made, Counted(outcomes, finished, successes)


def _share(hour: Period, stretches: Sequence[Unwanted]) -> Decimal:
    return max((one.share for one in stretches if one.start <= hour.start < one.end), default=ZERO)


def _day(
    day: date, slots: Sequence[tuple[Period, Slot]], part: Part, shape: Mapping[Slot, Decimal], *, is_known: bool
) -> list[Used]:
    whole = part.days.get(day)
    if whole is None:
        return [Used()] * len(slots)
    raw = [part.hours.get(hour.start, Used()) for hour, _ in slots] if is_known else []
    weights = [used.spent for used in raw]
    if not sum(weights, ZERO):
        weights = [shape.get(slot, ZERO) for _, slot in slots]
    money = spread(whole.spent, weights)
    if any(used.finished or used.successes or used.outcomes for used in raw):
        return [
            Used(spent, used.outcomes, used.finished, used.successes) for spent, used in zip(money, raw, strict=True)
        ]
    outcomes = spread(whole.outcomes, weights)
    finished, successes = (spread(Decimal(total), weights, whole=True) for total in (whole.finished, whole.successes))
    return [
        Used(spent, outcomes[index], int(finished[index]), int(successes[index])) for index, spent in enumerate(money)
    ]


def _with_stretches(
    slots: Sequence[tuple[Period, Slot]],
    whole: Used | None,
    stretches: Sequence[Unwanted],
    shape: Mapping[Slot, Decimal],
) -> Mapping[Slot, Decimal]:
    """Return the shape of a day that is not known by the hour: what is known of a runaway is in its hours."""
    known = {
        slot: one.per_hour
        for hour, slot in slots
        for one in stretches
        if one.per_hour is not None and one.start <= hour.start < one.end
    }
    if whole is None or not known:
        return shape
    others = {slot: shape.get(slot, ZERO) for _, slot in slots if slot not in known}
    if not sum(others.values(), ZERO):
        others = dict.fromkeys(others, ONE)
    left = max(whole.spent - sum(known.values(), ZERO), ZERO)
    total = sum(others.values(), ZERO) or ONE
    return known | {slot: left * weight / total for slot, weight in others.items()}


@exactly
def spread(total: Decimal, weights: Sequence[Decimal], *, whole: bool = False) -> list[Decimal]:
    """Divide `total` in proportion to the weights (evenly if they come to nothing), so that it adds up exactly.

    `whole`: into whole numbers, if it is one.
    """
    if not weights:
        return []
    if not total:
        return [ZERO] * len(weights)
    sum_of = sum(weights, ZERO)
    if not whole and sum_of == total:
        return list(weights)
    if sum_of <= 0:
        weights, sum_of = [ONE] * len(weights), Decimal(len(weights))
    parts, before, running = [], ZERO, ZERO
    for weight in weights:
        running += weight
        until = total * running / sum_of
        until = until.to_integral_value() if whole else until.quantize(SMALLEST)
        parts.append(until - before)
        before = until
    parts[-1] += total - before
    return parts


def _shape(clock: Clock, parts: Sequence[Part], known_from: date) -> dict[Slot, Decimal]:
    """What the known hours of each slot have in all."""
    slots = {hour.start: slot for day, some in clock.days.items() if day >= known_from for hour, slot in some}
    found: dict[Slot, Decimal] = defaultdict(lambda: ZERO)
    for part in parts:
        for start, used in part.hours.items():
            if used.spent > 0 and start in slots:
                found[slots[start]] += used.spent
    return found


def _with_usual(hours: Sequence[Hour], clock: Clock, known_from: date) -> list[Hour]:
    """Fill in what each hour usually has: the median of its slot, over days with known hours if there are enough."""
    slots = [slot for some in clock.days.values() for _, slot in some]
    enough = sum(day >= known_from for day in clock.days) >= ENOUGH_DAYS
    seen: dict[Slot, list[Decimal]] = defaultdict(list)
    for hour, slot in zip(hours, slots, strict=True):
        if hour.day >= known_from or not enough:
            seen[slot].append(hour.stoppable)
    usual = {slot: max(median(some), ZERO) for slot, some in seen.items()}
    return [
        Hour(one.start, one.end, one.day, one.spent, one.exempt, one.loop, usual.get(slot, ZERO), one.outcomes)
        for one, slot in zip(hours, slots, strict=True)
    ]
