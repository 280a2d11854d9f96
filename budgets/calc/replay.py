"""What a limit would have done to hours that have passed. Pure.

Within an hour money is taken to be spent evenly, so that the limit is reached, and acts, at a minute. The steps are
those of budgets.calc.limits. What is blocked does not count as spent. Once it acts, all that is not exempt stops, or
goes on at a share of the usual pace, until the period ends: nobody lifts it here.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from budgets.calc.limits import LimitTerms, Standing, step
from consumption_cs.lib.money import exactly, round_to

ZERO = Decimal(0)
MICROSECOND = timedelta(microseconds=1)
RIGHT_FROM, FALSE_UP_TO = Decimal("0.75"), Decimal("0.25")  # of what was blocked: a loop
HELD_WEIGHT = 10  # one unit of real work held back outweighs ten of a loop stopped
STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Hour:
    """One local hour. Money in the account's currency.

    `exempt` is the part of `spent` that no limit blocks; `loop` the part of the rest that nobody wanted; `usual` what
    the rest usually is in such an hour; `outcomes` the successes of the rest.
    """

    start: datetime
    end: datetime
    day: date
    spent: Decimal
    exempt: Decimal = ZERO
    loop: Decimal = ZERO
    usual: Decimal = ZERO
    outcomes: Decimal = ZERO

    @property
    def stoppable(self) -> Decimal:
        return self.spent - self.exempt


@dataclass(frozen=True, slots=True)
class Span:
    """The hours of one period that are replayed; `before` was spent in it earlier. `sums`: spent up to each hour."""

    first: date
    after: date
    start: datetime
    end: datetime
    before: Decimal
    hours: Sequence[Hour]
    sums: Sequence[Decimal]

    @property
    def spent(self) -> Decimal:
        return self.sums[-1] if self.sums else self.before

    @property
    def loop(self) -> Decimal:
        """What nobody wanted, of what a limit can block."""
        return sum((hour.loop for hour in self.hours), ZERO)


@exactly
def span_of(first: date, after: date, start: datetime, end: datetime, before: Decimal, hours: Sequence[Hour]) -> Span:
    """Return a period with its running sums."""
    sums = list(accumulate((hour.spent for hour in hours), initial=before))
    return Span(first, after, start, end, before, hours, sums[1:])


@dataclass(slots=True)
class Held:
    """What the limit did in one period. `blocked` and `loop` by local day, rounded to the currency; loop is a part.

    `acts_at` is None when it was reached and the period ended within the grace, or when it only tells.
    """

    span: Span
    reached_at: datetime
    acts_at: datetime | None = None
    blocked: dict[date, Decimal] = field(default_factory=dict)
    loop: dict[date, Decimal] = field(default_factory=dict)
    outcomes: Decimal = ZERO

    @property
    def loop_stopped(self) -> Decimal:
        return sum(self.loop.values(), ZERO)

    @property
    def held_back(self) -> Decimal:
        """Real work that was blocked."""
        return sum(self.blocked.values(), ZERO) - self.loop_stopped

    @property
    def verdict(self) -> str:
        """Right if three quarters of what was blocked was a loop, false up to one quarter, else mixed; "": nothing."""
        blocked = sum(self.blocked.values(), ZERO)
        if blocked <= 0:
            return ""
        share = self.loop_stopped / blocked
        return "right" if share >= RIGHT_FROM else "false" if share <= FALSE_UP_TO else "mixed"


@exactly
def held_by(spans: Sequence[Span], terms: LimitTerms, pace: Decimal | None, places: int) -> list[Held]:
    """Return what the limit did in each period in which it is reached, oldest first.

    `pace`: the share of the usual that a throttle lets through, None for a stop. `places`: decimals of the currency.
    """
    found = []
    for span in spans:
        held = _in_period(span, terms, pace)
        if held is not None:
            held.blocked = {day: round_to(amount, places) for day, amount in held.blocked.items()}
            held.loop = {day: min(round_to(amount, places), held.blocked[day]) for day, amount in held.loop.items()}
            found.append(held)
    return found


def _in_period(span: Span, terms: LimitTerms, pace: Decimal | None) -> Held | None:
    # Sums grow, but for rare corrections; those before the first hour that reaches it do not matter.
    first = bisect_left(span.sums, terms.amount)
    if first == len(span.hours):
        return None
    used = span.sums[first - 1] if first else span.before
    standing = Standing("clear", span.start, span.start)
    held: Held | None = None
    for hour in span.hours[first:]:
        since = hour.start
        if standing.state != "acting":
            standing, since = _advance(standing, terms, hour, used, span.end)
            if standing.reached_at is not None and held is None:
                held = Held(span, standing.reached_at)
        blocked = ZERO
        if held is not None and standing.state == "acting":
            held.acts_at = held.acts_at or since
            blocked = _block(held, hour, since, pace)
        used += hour.spent - blocked
    return held


def _advance(
    standing: Standing, terms: LimitTerms, hour: Hour, used: Decimal, period_end: datetime
) -> tuple[Standing, datetime]:
    """Take the limit through an hour; return where it stands and since when it acts (or the hour's end)."""
    marks = [terms.amount, terms.end_of_grace]
    moments = [(at, mark) for mark in marks if mark is not None and (at := _when(hour, used, mark)) is not None]
    moments.append((hour.end, used + hour.spent))
    while moments:
        at, sum_then = moments.pop(0)
        if standing.acts_at is not None and standing.acts_at < at:
            moments.insert(0, (at, sum_then))
            at, sum_then = standing.acts_at, max(used, terms.amount)
        if at >= period_end:
            break
        standing, _ = step(standing, terms, sum_then, at, standing.period_start)
        if standing.state == "acting":
            return standing, at
    return standing, hour.end


def _when(hour: Hour, used: Decimal, mark: Decimal) -> datetime | None:
    """Return the moment of the hour at which `mark` is reached, or None."""
    if used >= mark:
        return hour.start
    if used + hour.spent < mark:
        return None
    microseconds = Decimal((hour.end - hour.start) // MICROSECOND)
    return hour.start + MICROSECOND * int(round_to((mark - used) / hour.spent * microseconds, 0, "ceil"))


reached_in = exactly(_when)


def _block(held: Held, hour: Hour, since: datetime, pace: Decimal | None) -> Decimal:
    if hour.stoppable <= 0:
        return ZERO
    share = Decimal((hour.end - since) // MICROSECOND) / Decimal((hour.end - hour.start) // MICROSECOND)
    let = ZERO if pace is None else min(hour.usual * pace * share, hour.stoppable * share)
    blocked = hour.stoppable * share - let
    held.blocked[hour.day] = held.blocked.get(hour.day, ZERO) + blocked
    held.loop[hour.day] = held.loop.get(hour.day, ZERO) + hour.loop * blocked / hour.stoppable
    held.outcomes += hour.outcomes * blocked / hour.stoppable
    return blocked


def neighbours(amount: Decimal, also: Decimal | None = None) -> list[Decimal]:
    """Return five limit amounts, ascending: `amount`, two round steps of about a sixth either way, and `also`.

    `also`, what is in force, takes the place of the farthest one on its side.
    """
    wanted = amount / 6
    power = Decimal(10) ** wanted.adjusted()
    size = min((step * power for step in (*STEPS, 10)), key=lambda one: abs(one - wanted))
    found = [one for number in range(-2, 3) if (one := amount + number * size) > 0]
    if also is not None and also not in found and also > 0:
        farthest = max(found) if also > amount else min(found)
        found = [also if one == farthest else one for one in found]
    return sorted(found)


def score(loop_stopped: Decimal, held_back: Decimal) -> Decimal:
    """Return how good a limit is: the loop it stops, less ten times the real work it holds back."""
    return loop_stopped - HELD_WEIGHT * held_back
