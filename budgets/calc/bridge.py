"""Why the cost of an outcome changed: an exact split that does not depend on the order of its parts. Pure Decimal.

Cost per outcome = price per unit × units per attempt ÷ success rate. Over several workflows it is the sum of what
each contributes, and a contribution is its share of the outcomes times its own cost per outcome. The change of each
contribution is divided among its factors by logarithmic means (LMDI): L(c1, c0) × ln(x1 / x0), with
L = (c1 - c0) / ln(c1 / c0). Those add up to c1 - c0 whatever the factors are and in whichever order they are taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import groupby

from consumption_cs.lib.money import exactly, round_lines, round_to

ZERO = Decimal(0)
_NOT_PARTS = ("workflow", "opening", "closing")


class BridgeError(ValueError):
    """There is no cost per outcome to compare; the message says why."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one workflow did in a period: units metered, attempts, those that delivered, and the spend in currency.

    A workflow that several meters measure has a `line` for each, with its own units and spend; they repeat the
    workflow's attempts and outcomes. `successes` are the attempts that delivered, for work of which one attempt may
    bring many outcomes; None: each brings one.
    """

    workflow: str
    units: Decimal
    attempts: Decimal
    outcomes: Decimal
    spend: Decimal
    line: str = ""
    successes: Decimal | None = None

    @property
    def is_comparable(self) -> bool:
        """Whether every factor of its cost per outcome is above zero."""
        return min(self.units, self.attempts, self.outcomes, self.spend) > 0


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of a change of the cost per outcome, in currency per outcome; below zero it became cheaper.

    `price` per unit, `efficiency` (units per attempt, and outcomes of one that delivers), `reliability` (success
    rate), `mix` (share of the outcomes).
    `started`, `stopped`: workflows with nothing to compare them with. `undelivered`: spend without an outcome, or
    outcomes without spend, in both periods or beside comparable ones.
    """

    price: Decimal = ZERO
    efficiency: Decimal = ZERO
    reliability: Decimal = ZERO
    mix: Decimal = ZERO
    started: Decimal = ZERO
    stopped: Decimal = ZERO
    undelivered: Decimal = ZERO

    def amounts(self) -> list[Decimal]:
        return [getattr(self, part.name) for part in fields(Parts)]


@dataclass(frozen=True, slots=True)
class Change(Parts):
    """The parts of one workflow."""

    workflow: str = ""


@dataclass(frozen=True, slots=True)
class Bridge:
    """opening + all parts = closing, in currency per outcome, rounded so that it does to the last place shown.

    `workflows` holds the same parts by workflow, not rounded, sorted by name.
    """

    opening: Decimal
    closing: Decimal
    parts: Parts
    workflows: tuple[Change, ...]


@exactly
def unit_cost_bridge(before: Sequence[Work], after: Sequence[Work], *, places: int = 6) -> Bridge:
    """Return how the cost per outcome came from that of `before` to that of `after`, each line once in each.

    Raises BridgeError when a period has no outcome, since then there is no cost per outcome.
    """
    # The outcomes of a workflow count once, however many lines it has.
    totals = [sum({work.workflow: work.outcomes for work in period}.values(), ZERO) for period in (before, after)]
    if min(totals) <= 0:
        raise BridgeError("A period without outcomes has no cost per outcome: choose periods with outcomes.")
    then, now = ({(work.workflow, work.line): work for work in period} for period in (before, after))
    lines = [_change(key[0], then.get(key), now.get(key), totals) for key in sorted({*then, *now})]
    changes = tuple(_together(name, list(own)) for name, own in groupby(lines, key=lambda line: line.workflow))
    sums = [sum(column, ZERO) for column in zip(*(change.amounts() for change in changes), strict=True)]
    opening = round_to(sum((work.spend for work in before), ZERO) / totals[0], places)
    closing = round_to(sum((work.spend for work in after), ZERO) / totals[1], places)
    parts = Parts(*round_lines(sums, places, total=closing - opening))
    return Bridge(opening, closing, parts, changes)


def _together(name: str, lines: Sequence[Change]) -> Change:
    """Return the parts of a workflow from those of its lines."""
    price, efficiency, reliability, mix, started, stopped, undelivered = (
        sum(column, ZERO) for column in zip(*(line.amounts() for line in lines), strict=True)
    )
    return Change(price, efficiency, reliability, mix, started, stopped, undelivered, name)


def _change(name: str, then: Work | None, now: Work | None, totals: Sequence[Decimal]) -> Change:
    """Return the parts of one line; they add up to the change of what it contributes."""
    change = (now.spend / totals[1] if now else ZERO) - (then.spend / totals[0] if then else ZERO)
    if then is None or now is None:
        return Change(workflow=name, started=change) if then is None else Change(workflow=name, stopped=change)
    if not (then.is_comparable and now.is_comparable):
        return Change(workflow=name, undelivered=change)
    mean = logarithmic_mean(now.spend / totals[1], then.spend / totals[0])
    delivered, before = _delivered(then, now)
    rate_now, rate_then = delivered / now.attempts, before / then.attempts
    return Change(
        workflow=name,
        price=mean * ((now.spend / now.units) / (then.spend / then.units)).ln(),
        # Units of an attempt over the outcomes that one which delivers brings.
        efficiency=mean * ((now.units * rate_now / now.outcomes) / (then.units * rate_then / then.outcomes)).ln(),
        reliability=mean * (rate_then / rate_now).ln(),
        mix=mean * ((now.outcomes / totals[1]) / (then.outcomes / totals[0])).ln(),
    )


def _delivered(then: Work, now: Work) -> tuple[Decimal, Decimal]:
    """Return the attempts that delivered, now and then: those that were told, where they were told both times."""
    if now.successes and then.successes and min(now.successes, then.successes) > 0:
        return now.successes, then.successes
    return now.outcomes, then.outcomes


def logarithmic_mean(one: Decimal, other: Decimal) -> Decimal:
    """Return the mean of two amounts above zero that makes logarithms of factors add up to their difference."""
    return one if one == other else (one - other) / (one / other).ln()
