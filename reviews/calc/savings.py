"""Ways to spend less for the same outcomes, found in what workflows did in 28 days. Pure Decimal.

Money is saved once: what a workflow that never works would save is not counted as failures too, and failures after
the last attempt that is kept are not counted as failures either. Amounts are scaled from 28 days to a month.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from consumption_cs.lib.money import exactly
from usage.calc.intervals import ENOUGH_RUNS, wilson

ZERO, HALF = Decimal(0), Decimal("0.5")
MONTH = Decimal(365) / 12 / 28
KEPT_ATTEMPTS = 3
MOST = 3  # suggestions of an account
LEAST_SHARE = Decimal("0.002")  # of the account's spend: less is not worth anybody's afternoon
CHEAPER = Decimal("0.8")  # a class that costs at most this share of the dearer one's unit price
WORSE = Decimal("0.02")  # by which a cheaper class's success may be below


@dataclass(frozen=True, slots=True)
class Attempts:
    """What attempts with one number did: money, how many, and how many of them succeeded."""

    number: int
    spend: Decimal
    events: int
    successes: int
    failed_spend: Decimal


@dataclass(frozen=True, slots=True)
class ClassUse:
    """What one value of a dimension (a model, a region) was used for."""

    value: str
    quantity: Decimal
    spend: Decimal
    finished: int = 0
    successes: int = 0

    @property
    def price(self) -> Decimal:
        return self.spend / self.quantity if self.quantity > 0 else ZERO

    @property
    def success(self) -> Decimal | None:
        return Decimal(self.successes) / self.finished if self.finished >= ENOUGH_RUNS else None


@dataclass(frozen=True, slots=True)
class FlowUse:
    """One workflow's 28 days. `failed`, `duplicates`: money that bought nothing. `target` 0 to 1.

    `classes` is {dimension: its values} of one meter each; `attempts` are those from the fourth on and only there
    where events number them.
    """

    workflow: str
    name: str
    spend: Decimal
    finished: int
    successes: int
    target: Decimal
    failed: Decimal = ZERO
    duplicates: Decimal = ZERO
    repeated: int = 0
    attempts: Sequence[Attempts] = ()
    jobs: int = 0  # first attempts
    classes: Mapping[str, Sequence[ClassUse]] = field(default_factory=dict)
    top_error: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`kind`: idle, retries, failures, duplicates or cheaper; `facts` are the numbers it rests on, for words."""

    kind: str
    workflow: str
    name: str
    saving_a_month: Decimal
    effort: str
    facts: Mapping[str, str]


@exactly
def suggestions(flows: Sequence[FlowUse]) -> list[Suggestion]:
    """Return at most three ways to save, the largest first, each above a five-hundredth of what is spent."""
    spend = sum((flow.spend for flow in flows), ZERO)
    found = [one for flow in flows for one in _of(flow)]
    worth = [one for one in found if one.saving_a_month >= LEAST_SHARE * spend * MONTH and one.saving_a_month >= 1]
    return sorted(worth, key=lambda one: (-one.saving_a_month, one.kind, one.name))[:MOST]


def _of(flow: FlowUse) -> list[Suggestion]:
    idle = _idle(flow)
    if idle is not None:
        return [idle]
    retries, kept_failed = _retries(flow)
    return [
        one for one in (retries, _failures(flow, kept_failed), _duplicates(flow), _cheaper(flow)) if one is not None
    ]


def _made(flow: FlowUse, kind: str, saving: Decimal, effort: str, **facts: object) -> Suggestion | None:
    if saving <= 0:
        return None
    return Suggestion(
        kind, flow.workflow, flow.name, saving * MONTH, effort, {name: str(fact) for name, fact in facts.items()}
    )


def _idle(flow: FlowUse) -> Suggestion | None:
    """It costs and never works: nothing is lost while it is stopped."""
    if flow.finished < ENOUGH_RUNS or flow.successes > 0:
        return None
    return _made(flow, "idle", flow.spend, "hours", finished=flow.finished, error=flow.top_error)


def _retries(flow: FlowUse) -> tuple[Suggestion | None, Decimal]:
    """Stop after the third attempt; returns the failed spend that this leaves, for failures."""
    late = [one for one in flow.attempts if one.number > KEPT_ATTEMPTS]
    saving, lost = sum((one.spend for one in late), ZERO), sum(one.successes for one in late)
    made = _made(
        flow, "retries", saving, "hours", events=sum(one.events for one in late), lost=lost, jobs=flow.jobs,
        kept=KEPT_ATTEMPTS,
    )  # fmt: skip
    if made is None:
        return None, flow.failed
    return made, max(flow.failed - sum((one.failed_spend for one in late), ZERO), ZERO)


def _failures(flow: FlowUse, failed: Decimal) -> Suggestion | None:
    """Lift success to its target: what fails beyond that costs and brings nothing."""
    if flow.finished < ENOUGH_RUNS or failed <= 0:
        return None
    successes = min(max(flow.successes, 0), flow.finished)
    rate = Decimal(successes) / flow.finished
    if rate >= flow.target or wilson(successes, flow.finished)[1] >= float(flow.target):
        return None
    avoidable = 1 - (1 - flow.target) / (1 - rate)
    return _made(
        flow, "failures", failed * avoidable, "days", rate=rate, target=flow.target, failed=failed,
        finished=flow.finished, error=flow.top_error,
    )  # fmt: skip


def _duplicates(flow: FlowUse) -> Suggestion | None:
    return _made(flow, "duplicates", flow.duplicates, "days", events=flow.repeated)


def _cheaper(flow: FlowUse) -> Suggestion | None:
    """Move half of the dearest class's use to the cheapest that works as well; the best dimension only."""
    best: Suggestion | None = None
    for dimension, uses in flow.classes.items():
        used = [use for use in uses if use.quantity > 0 and use.spend > 0]
        if len(used) < 2:
            continue
        dear = max(used, key=lambda use: use.price)
        cheap = min(used, key=lambda use: use.price)
        if cheap.price > CHEAPER * dear.price or _is_worse(cheap, dear):
            continue
        made = _made(
            flow, "cheaper", HALF * dear.quantity * (dear.price - cheap.price), "days", dimension=dimension,
            dear=dear.value, cheap=cheap.value, times=dear.price / cheap.price,
            dear_success="" if dear.success is None else dear.success,
            cheap_success="" if cheap.success is None else cheap.success,
        )  # fmt: skip
        if made is not None and (best is None or made.saving_a_month > best.saving_a_month):
            best = made
    return best


def _is_worse(cheap: ClassUse, dear: ClassUse) -> bool:
    return cheap.success is not None and dear.success is not None and cheap.success < dear.success - WORSE
