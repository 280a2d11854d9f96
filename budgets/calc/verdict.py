"""Whether extra spend looks like growth or like a loop, from named signs. Pure Decimal."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.money import exactly

ZERO, HALF = Decimal(0), Decimal("0.5")
LOOP, GROWTH, NEITHER = "loop", "growth", "neither"
LEAST_ATTEMPTS, LEAST_SIGNS, AGREEING = 30, 3, Decimal("0.6")
LEAST_RAMP, LEAST_RHYTHM = 3, 8  # hours
MOST_QUIET, TENTH = Decimal("0.4"), Decimal("0.1")


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
    hours: tuple[Decimal, ...] = ()  # spend of each hour, the first first; empty where it is not known


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
            _more_sources(usual, now),
            _at_night(usual, now),
            _ramp(usual, now) or _beginning(usual, now),
        )
        if sign is not None
    )
    telling = [sign for sign in signs if sign.says != NEITHER]
    if now.attempts < LEAST_ATTEMPTS or len(signs) < LEAST_SIGNS:
        return Verdict("too_little", 0, signs)
    for kind in (LOOP, GROWTH):
        agreeing = sum(sign.says == kind for sign in telling)
        if 2 * agreeing > len(signs) - len(_beside(signs)) and agreeing >= AGREEING * len(telling):
            return Verdict(kind, agreeing, signs)
    return Verdict("unclear", 0, signs)


def _beside(signs: Sequence[Sign]) -> list[Sign]:
    """Signs that are told but do not weigh when they speak for neither."""
    return [sign for sign in signs if sign.says == NEITHER and sign.name in ("sources", "quiet_hours")]


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


def _more_sources(usual: Window, now: Window) -> Sign | None:
    """Growth is spread over more keys; that there are as many as ever says nothing."""
    if not usual.sources:
        return None
    more = 2 * now.sources >= 3 * usual.sources
    return Sign("sources", Decimal(now.sources), Decimal(usual.sources), GROWTH if more else NEITHER)


def _extra_hours(usual: Window, now: Window, least: int) -> list[Decimal] | None:
    """What each hour had beyond the usual; None when the hours are too few or there is nothing extra."""
    if len(now.hours) < least or len(usual.hours) != len(now.hours):
        return None
    extra = [max(own - was, ZERO) for own, was in zip(now.hours, usual.hours, strict=True)]
    return extra if sum(extra) > 0 else None


def _at_night(usual: Window, now: Window) -> Sign | None:
    """Growth keeps the day's rhythm; a loop goes on when nobody works. The share of the quieter half of the hours."""
    extra = _extra_hours(usual, now, LEAST_RHYTHM)
    total = sum(usual.hours, ZERO)
    if extra is None or not total:
        return None
    quiet = sorted(range(len(extra)), key=lambda hour: usual.hours[hour])[: len(extra) // 2]
    share = sum((extra[hour] for hour in quiet), ZERO) / sum(extra, ZERO)
    before = sum((usual.hours[hour] for hour in quiet), ZERO) / total
    if before > MOST_QUIET:  # as busy at night as by day: nothing to tell by
        return Sign("quiet_hours", share, before, NEITHER)
    says = LOOP if share - before >= TENTH * 2 else GROWTH if abs(share - before) <= TENTH else NEITHER
    return Sign("quiet_hours", share, before, says)


def _ramp(usual: Window, now: Window) -> Sign | None:
    """A loop is there at once, a step; growth climbs, a ramp. The first third's extra against the last third's."""
    extra = _extra_hours(usual, now, LEAST_RAMP)
    if extra is None:
        return None
    third = len(extra) // 3
    first, last = sum(extra[:third], ZERO), sum(extra[-third:], ZERO)
    if not last:
        return None
    ratio = min(first / last, Decimal(10))
    return Sign("ramp", ratio, None, LOOP if ratio >= Decimal("0.6") else GROWTH if ratio <= HALF else NEITHER)
