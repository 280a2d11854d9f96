"""What the vendor's gateway is told when it asks whether work may run, and what the work would cost. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from budgets.calc.budget_rules import Fan, chance_over
from consumption_cs.lib.money import exactly
from usage.calc.prices import Price, Usage
from usage.calc.rated_days import Running, go_on

ZERO = Decimal(0)
RANKS = ("allow", "warn", "throttle", "stop")


@dataclass(frozen=True, slots=True)
class LimitNow:
    """A budget's limit now: `state` as LimitState, `action` as Limit, `amount` in the account's currency.

    `ends_at` is when its period ends, `acts_at` when its grace does, `lifted_until` when a lift does. A budget without
    a limit has the action "" and its own amount.
    """

    name: str
    action: str
    state: str
    amount: Decimal
    used: Decimal
    is_dry_run: bool = False
    is_exempt: bool = False
    ends_at: datetime | None = None
    acts_at: datetime | None = None
    lifted_until: datetime | None = None
    throttle_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision and its reason in words. `until`: when what slows or stops ends by itself, if nobody lifts it.

    `throttle_percent`: of the usual pace, which work is to be slowed to.
    """

    decision: str
    reason: str
    until: datetime | None = None
    acts_at: datetime | None = None
    lifted_until: datetime | None = None
    throttle_percent: Decimal | None = None


def decide(limits: Sequence[LimitNow], cost: Decimal, *, rehearsal: bool = False) -> Answer:
    """Return the strictest answer. `cost` is what the work asked about would add; a used up budget warns.

    Only a limit in force slows or stops, and never an exempt workflow or in a dry run; a rehearsal answers as if
    every limit were in force. Of several that stop, the one that ends last is told.
    """
    answers = [_decide(limit, cost, rehearsal) for limit in limits]
    return max(answers, key=_rank, default=Answer("allow", "No limit applies."))


def _rank(answer: Answer) -> tuple[int, bool, float]:
    until = answer.until.timestamp() if answer.until else 0.0
    return RANKS.index(answer.decision), answer.lifted_until is not None, until


def _decide(limit: LimitNow, cost: Decimal, rehearsal: bool) -> Answer:
    if limit.action not in ("", "notify") and (rehearsal or (limit.state == "acting" and not limit.is_dry_run)):
        if limit.is_exempt:
            return Answer("allow", f"The limit of “{limit.name}” is in force; this workflow is exempt.")
        return _in_force(limit)
    if limit.state == "lifted":
        return Answer("allow", f"The limit of “{limit.name}” is lifted.", lifted_until=limit.lifted_until)
    if limit.state in ("warned", "grace", "acting"):
        words = f"“{limit.name}” is close to its limit, or over it."
        return Answer("warn", words, acts_at=limit.acts_at if limit.state == "grace" else None)
    return _by_amount(limit, cost)


def _by_amount(limit: LimitNow, cost: Decimal) -> Answer:
    if limit.used >= limit.amount:
        words = "is over its limit, which begins to count" if limit.action else "is used up; it has no limit"
        return Answer("warn", f"“{limit.name}” {words}.")
    if limit.used + cost >= limit.amount:
        words = "would reach the limit of" if limit.action else "would use up"
        return Answer("warn", f"This work {words} “{limit.name}”.")
    return Answer("allow", "Below every limit." if limit.action else "No limit applies.")


def _in_force(limit: LimitNow) -> Answer:
    words = f"Limit reached: the limit of “{limit.name}” is in force."
    slowed = limit.throttle_percent if limit.action == "throttle" else None
    return Answer(limit.action, words, until=limit.ends_at, throttle_percent=slowed)


@exactly
def cost_of(price: Price, before: Running, usage: Usage, *, places: int) -> Decimal | None:
    """Return what `usage` adds to a billing period that stands at `before`, as settlement will book it.

    Through the tiers that it fills, within the limits of the spend, rounded on the cumulative amount to the currency's
    `places`. None if it cannot be priced: the price lacks something, or the amount is beyond anything real.
    """
    after = go_on(price, before, usage, places=places)
    return None if after is None else after.amount - before.amount


@dataclass(frozen=True, slots=True)
class EndAfter:
    """Where a budget's period ends with the work asked about: P50 and P90, and the probability (0-1) of going over."""

    p50: Decimal
    p90: Decimal
    probability_over: Decimal


@exactly
def end_after(amount: Decimal, fan: Fan, cost: Decimal) -> EndAfter:
    """Return where the period ends when work of `cost` comes on top of what is forecast."""
    later = Fan(fan.p10 + cost, fan.p50 + cost, fan.p90 + cost)
    return EndAfter(later.p50, later.p90, round(Decimal(chance_over(amount, later)), 4))
