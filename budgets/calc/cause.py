"""Why spend differs between two windows: an exact split, and whether it looks like growth or like a loop. Pure.

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
    """Parts of a difference of spend, in currency. `other`: lines whose corrections outweigh what they used."""

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
    if then is None or not then.attempts:
        return Causes(started=change)
    if now is None or not now.attempts:
        return Causes(stopped=change)
    return Causes(other=change)


LOOP, GROWTH, NEITHER = "loop", "growth", "neither"
LEAST_ATTEMPTS, LEAST_SIGNS, AGREEING = 30, 3, Decimal("0.6")


@dataclass(frozen=True, slots=True)
class Window:
    """What the verdict looks at: sums of a window, and the shares of its extra that the largest carriers have."""

    attempts: Decimal
    tasks: Decimal
    finished: Decimal
    successes: Decimal
    spend: Decimal
    first_hour: Decimal = ZERO  # spend of the first hour
    sources: int = 0  # keys, versions and other values of dimensions
    workflows: int = 0


@dataclass(frozen=True, slots=True)
class Sign:
    """Something seen: its name, the figure now and as usual (None: not known), and what it speaks for."""

    name: str
    now: Decimal | None
    usual: Decimal | None
    says: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kind`: loop, growth, unclear or too_little. `agreeing` of the signs speak for it."""

    kind: str
    agreeing: int
    signs: tuple[Sign, ...]


@exactly
def verdict(usual: Window, now: Window, source_share: Decimal | None, workflow_share: Decimal | None) -> Verdict:
    """Say whether extra spend looks like growth or a loop, from named signs: most of them must say so.

    `source_share`, `workflow_share`: the share of the extra that its largest key or version, and workflow, carries.
    """
    signs = tuple(
        sign
        for sign in (
            _repeats(usual, now),
            _success(usual, now),
            _different(usual, now),
            _spread("source_share", source_share, now.sources),
            _spread("workflow_share", workflow_share, now.workflows),
            _beginning(usual, now),
        )
        if sign is not None
    )
    telling = [sign for sign in signs if sign.says != NEITHER]
    if now.attempts < LEAST_ATTEMPTS or len(signs) < LEAST_SIGNS:
        return Verdict("too_little", 0, signs)
    for kind in (LOOP, GROWTH):
        agreeing = sum(sign.says == kind for sign in telling)
        if 2 * agreeing > len(signs) and agreeing >= AGREEING * len(telling):
            return Verdict(kind, agreeing, signs)
    return Verdict("unclear", 0, signs)


def _ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    return part / whole if whole > 0 else None


def _repeats(usual: Window, now: Window) -> Sign | None:
    ratio, before = _ratio(now.attempts, now.tasks), _ratio(usual.attempts, usual.tasks)
    if ratio is None:
        return None
    much = ratio >= 2 * (before or 1)
    steady = ratio <= Decimal("1.2") * (before or 1)
    return Sign("attempts_per_task", ratio, before, LOOP if much else GROWTH if steady else NEITHER)


def _success(usual: Window, now: Window) -> Sign | None:
    if now.finished < LEAST_ATTEMPTS:
        return None
    rate, before = now.successes / now.finished, _ratio(usual.successes, usual.finished)
    if before is None:
        return Sign("success_rate", rate, None, LOOP if rate < HALF else NEITHER)
    fallen, steady = before - rate >= Decimal("0.2"), abs(before - rate) <= Decimal("0.05")
    return Sign("success_rate", rate, before, LOOP if fallen else GROWTH if steady else NEITHER)


def _different(usual: Window, now: Window) -> Sign | None:
    """Growth brings new work; a loop does the same work again."""
    if not usual.tasks or not usual.attempts:
        return None
    more, busier = now.tasks / usual.tasks, now.attempts / usual.attempts
    says = GROWTH if more >= Decimal("1.3") and more >= HALF * busier else LOOP if busier >= 2 * more else NEITHER
    return Sign("tasks", now.tasks, usual.tasks, says)


def _spread(name: str, share: Decimal | None, carriers: int) -> Sign | None:
    if share is None or carriers < 2:  # the only one carries everything, which says nothing
        return None
    return Sign(name, share, None, LOOP if share >= Decimal("0.8") else GROWTH if share <= HALF else NEITHER)


def _beginning(usual: Window, now: Window) -> Sign | None:
    """A loop is there at once; growth climbs."""
    if usual.first_hour <= 0:
        return None
    times = now.first_hour / usual.first_hour
    return Sign("first_hour", times, Decimal(1), LOOP if times >= 3 else NEITHER)
