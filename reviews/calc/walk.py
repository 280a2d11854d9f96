"""The consumption walk: from one month's consumption to the next, account by account, to the cent. Pure Decimal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from consumption_cs.lib.money import exactly, round_to

ZERO = Decimal(0)

Kind = Literal["new", "expansion", "contraction", "churn", "same"]


@dataclass(frozen=True, slots=True)
class Step:
    """One account's way from `before` to `after`, in currency."""

    account: str
    kind: Kind
    before: Decimal
    after: Decimal

    @property
    def change(self) -> Decimal:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Walk:
    """opening + new + expansion - contraction - churn = closing, exactly; `steps` by account, sorted, add up to it."""

    opening: Decimal
    new: Decimal
    expansion: Decimal
    contraction: Decimal
    churn: Decimal
    closing: Decimal
    steps: tuple[Step, ...]

    @property
    def moves(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """New, expansion, contraction and churn with their signs."""
        return self.new, self.expansion, -self.contraction, -self.churn

    @property
    def difference(self) -> Decimal:
        """What the moves leave open between opening and closing; 0 for every walk that reconciles."""
        return self.opening + sum(self.moves, ZERO) - self.closing


@exactly
def consumption_walk(before: Mapping[str, Decimal], after: Mapping[str, Decimal], *, places: int = 2) -> Walk:
    """Return the walk between two months' consumption by account, all in one currency.

    Each account is rounded to `places` first, as its statement is, so that the walk equals the sum of statements.
    An account that consumed nothing before is new, also when it comes back; one that consumes nothing any more is
    churn, all of it. Contraction and churn are told without their sign.
    """
    rounded = [{name: round_to(amount, places) for name, amount in month.items()} for month in (before, after)]
    names = sorted(set(before) | set(after))
    steps = tuple(_step(name, rounded[0].get(name, ZERO), rounded[1].get(name, ZERO)) for name in names)
    return Walk(
        opening=sum((step.before for step in steps), ZERO),
        new=_total(steps, "new"),
        expansion=_total(steps, "expansion"),
        contraction=-_total(steps, "contraction"),
        churn=-_total(steps, "churn"),
        closing=sum((step.after for step in steps), ZERO),
        steps=steps,
    )


def chained_walks(months: Sequence[Mapping[str, Decimal]], *, places: int = 2) -> list[Walk]:
    """Return the walk between each two consecutive months; each opens with what the one before closed with."""
    return [consumption_walk(before, after, places=places) for before, after in pairwise(months)]


def together(walks: Sequence[Walk]) -> Walk:
    """Return walks that follow each other as one: it opens as the first and closes as the last, moves add up.

    An account that grew and then shrank is in both moves, as in the parts; `steps` are those of all parts.
    Raises ValueError when one does not open with what the one before closed with.
    """
    for one, other in pairwise(walks):
        if one.closing != other.opening:
            raise ValueError(f"A walk opens with {other.opening}, the one before closed with {one.closing}.")
    new, expansion, contraction, churn = (
        sum((getattr(walk, name) for walk in walks), ZERO) for name in ("new", "expansion", "contraction", "churn")
    )
    steps = tuple(step for walk in walks for step in walk.steps)
    return Walk(walks[0].opening, new, expansion, contraction, churn, walks[-1].closing, steps)


@exactly
def axis_start(levels: Sequence[Decimal]) -> Decimal:
    """Return where the axis of a waterfall begins: 0, or a round number below when all levels lie close together."""
    low, high = min(levels), max(levels)
    span = high - low
    if low <= 0 or span <= 0 or span * 2 > high:
        return ZERO
    step = Decimal(1).scaleb(span.adjusted())
    return max(ZERO, (low - span / 4) // step * step)


def _step(account: str, before: Decimal, after: Decimal) -> Step:
    kind: Kind
    if before == after:
        kind = "same"
    elif not before:
        kind = "new"
    elif not after:
        kind = "churn"
    else:
        kind = "expansion" if after > before else "contraction"
    return Step(account, kind, before, after)


def _total(steps: Sequence[Step], kind: Kind) -> Decimal:
    return sum((step.change for step in steps if step.kind == kind), ZERO)
