"""Why spend differs between two windows: an exact split. Pure Decimal; for growth or loop see verdict.py.

Spend of a line (one meter of one workflow) = tasks × attempts per task × units per attempt × price per unit. The
difference is divided among the factors by logarithmic means (LMDI, see bridge.py), which leaves no rest whatever the
order; tasks are the tasks of all lines times the line's share of them, which parts volume from mix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

from budgets.calc.bridge import logarithmic_mean
from consumption_cs.lib.money import exactly, round_lines, round_to

ZERO, HALF = Decimal(0), Decimal("0.5")
Line = tuple[str, str]  # workflow and meter


@dataclass(frozen=True, slots=True)
class Done:
    """What one line did in a window. `tasks`: different pieces of work, see `tasks_of`. `spend` in currency."""

    units: Decimal
    attempts: Decimal
    tasks: Decimal
    spend: Decimal


@dataclass(frozen=True, slots=True)
class Causes:
    """Parts of a difference of spend, in currency. `other`: corrections: money booked without use, and
    lines whose corrections outweigh what they used."""

    price: Decimal = ZERO
    volume: Decimal = ZERO
    efficiency: Decimal = ZERO
    reliability: Decimal = ZERO
    mix: Decimal = ZERO
    started: Decimal = ZERO
    stopped: Decimal = ZERO
    other: Decimal = ZERO

    def amounts(self) -> list[Decimal]:
        return [getattr(self, part.name) for part in fields(Causes)]


@dataclass(frozen=True, slots=True)
class Split:
    """opening + all parts = closing, each rounded to `places`, to the last one. `lines`: the parts not rounded."""

    opening: Decimal
    closing: Decimal
    parts: Causes
    lines: dict[Line, Causes]


def tasks_of(attempts: Decimal, first_attempts: Decimal | None, successes: Decimal, finished: Decimal) -> Decimal:
    """Return how many different pieces of work stand behind the attempts.

    The first attempts where events number them, else those that succeeded where events say so, else every attempt.
    Attempts without any such count as half a task: the parts stay finite when nothing but repeats is seen.
    """
    if attempts <= 0:
        return ZERO
    known = first_attempts if first_attempts is not None else successes if finished > 0 else attempts
    return min(max(known, HALF), attempts)


@exactly
def split_spend(before: Mapping[Line, Done], after: Mapping[Line, Done], *, places: int = 2) -> Split:
    """Return how spend came from that of `before` to that of `after`; the amounts add up to the last place."""
    totals = tuple(sum((done.tasks for done in window.values()), ZERO) for window in (before, after))
    lines = {line: _causes(before.get(line), after.get(line), totals) for line in sorted({*before, *after})}
    opening, closing = (
        round_to(sum((done.spend for done in window.values()), ZERO), places) for window in (before, after)
    )
    columns = list(zip(*(one.amounts() for one in lines.values()), strict=True))
    sums = [sum(column, ZERO) for column in columns] if columns else Causes().amounts()
    return Split(opening, closing, Causes(*round_lines(sums, places, total=closing - opening)), lines)


def _causes(then: Done | None, now: Done | None, totals: Sequence[Decimal]) -> Causes:
    if then is None or now is None or not (_is_used(then) and _is_used(now)):
        return _appeared(then, now)
    change = now.spend - then.spend
    if min(then.spend, now.spend) <= 0:  # free before or now: the price of what is used
        return Causes(price=change) if min(then.spend, now.spend) == 0 else Causes(other=change)
    mean = logarithmic_mean(now.spend, then.spend)
    volume = mean * (totals[1] / totals[0]).ln()
    price = mean * ((now.spend / now.units) / (then.spend / then.units)).ln()
    efficiency = mean * ((now.units / now.attempts) / (then.units / then.attempts)).ln()
    reliability = mean * ((now.attempts / now.tasks) / (then.attempts / then.tasks)).ln()
    return Causes(price, volume, efficiency, reliability, change - price - volume - efficiency - reliability)


def _is_used(done: Done) -> bool:
    return min(done.units, done.attempts, done.tasks) > 0


def _appeared(then: Done | None, now: Done | None) -> Causes:
    """The whole change of a line that is not in both windows."""
    change = (now.spend if now else ZERO) - (then.spend if then else ZERO)
    if not any(done and done.attempts for done in (then, now)):
        return Causes(other=change)  # money without any use: booked for something earlier
    if then is None or not then.attempts:
        return Causes(started=change)
    if now is None or not now.attempts:
        return Causes(stopped=change)
    return Causes(other=change)
