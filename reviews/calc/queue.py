"""Who needs somebody today, and why: the reason of an account, until when to act, and its rank. Pure Decimal.

Reasons come from the metrics of the last closed day. A reason says by when somebody should act; a play, a task or an
alert that is due earlier goes first. Rank is money at risk × urgency.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

Numbers = Mapping[str, Decimal | None]
ZERO = Decimal(0)
TODAY, WEEK, LATER, NONE = "today", "week", "later", "none"
GROUPS = {TODAY: "Today", WEEK: "This week", LATER: "Later", NONE: "On track"}
# What is due today weighs twice what is due this week; what is late, a tenth more a day, up to twice as much.
REVIEW_DAYS = 3  # a review that is due is prepared this week, not today
URGENCY = {TODAY: Decimal(1), WEEK: Decimal("0.5"), LATER: Decimal("0.2"), NONE: Decimal("0.05")}

# The metrics that say where an account stands.
READS = (
    "at_risk", "change_28", "champion_gone", "commit_granted", "commit_left", "failing_days", "open_spikes", "pacing",
    "reliability_gap", "run_out_p50", "run_out_percent", "seen_days", "sentiment", "silent_days", "term_days_left",
    "top_share_percent", "waiting_days",
)  # fmt: skip
REASONS = {
    "exhausted": "Commit used up",
    "silent": "No use",
    "spike": "Spike to explain",
    "stalled": "No billable use yet",
    "run_out": "Runs out before the term",
    "champion_gone": "Champion gone",
    "reliability": "Below its success target",
    "underburn": "Behind its plan",
    "overburn": "Ahead of its plan",
    "falling": "Use is falling",
    "renewal": "Renewal ahead",
    "sentiment": "They were last negative",
    "no_visit": "Nobody signs in",
    "one_workflow": "Rests on one workflow",
    "review": "Value review due",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One of REASONS, and in how many days somebody should act on it (0: today)."""

    key: str
    within_days: int


@dataclass(frozen=True, slots=True)
class Due:
    """What is due for an account beside its reasons: each the first day of its kind, None without any."""

    step_on: date | None = None  # the next step of a running play
    task_on: date | None = None
    has_urgent_alert: bool = False
    review_days: int | None = None  # until the next value review


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands in the queue. `reasons`: the first is told. `act_on` None: nothing is due.

    `rank`: higher goes first within its group.
    """

    reasons: tuple[Reason, ...]
    group: str
    act_on: date | None
    days_late: int
    rank: Decimal


def reasons(numbers: Numbers, due: Due, *, onboarding_days: int = 14) -> tuple[Reason, ...]:
    """Return why the account needs somebody, the most urgent first; of equal ones in the order of REASONS."""
    found = [Reason(key, days) for key, days in _within(numbers, due, onboarding_days).items() if days is not None]
    order = list(REASONS)
    return tuple(sorted(found, key=lambda one: (one.within_days, order.index(one.key))))


def _within(numbers: Numbers, due: Due, onboarding_days: int) -> dict[str, int | None]:
    """Return for each reason in how many days to act, or None where it does not hold."""
    get = _Reader(numbers)
    used_up = get.above("commit_granted", 0) and get.at_most("commit_left", 0)
    # An allowance that refills has no term to run out of.
    before_term = get.above("run_out_percent", 50) and get.above("commit_granted", 0) and not used_up
    pacing_is_told = get.known("pacing")
    return {
        "exhausted": 0 if used_up else None,
        "silent": 0 if get.at_least("silent_days", 7) else 2 if get.at_least("silent_days", 2) else None,
        "spike": 0 if get.above("open_spikes", 0) else None,
        "stalled": (
            0 if get.at_least("waiting_days", onboarding_days)
            else 3 if get.at_least("waiting_days", onboarding_days / 2) else None
        ),
        "run_out": _steps(numbers.get("run_out_p50"), ((30, 0), (60, 3), (90, 7))) if before_term else None,
        "champion_gone": 3 if get.above("champion_gone", 0) else None,
        "reliability": 1 if get.at_least("failing_days", 3) and get.above("reliability_gap", 0) else None,
        "underburn": 5 if pacing_is_told and get.below("pacing", 0.75) else None,
        "overburn": 3 if get.above("pacing", 1.25) and get.above("run_out_percent", 50) else None,
        "falling": 3 if get.below("change_28", -20) else None,
        "renewal": _steps(numbers.get("term_days_left"), ((30, 0), (90, 3), (120, 7), (180, 14))),
        "sentiment": 3 if numbers.get("sentiment") == 0 else None,
        "no_visit": 7 if get.at_least("seen_days", 30) else None,
        "one_workflow": 14 if get.above("top_share_percent", 70) and get.above("commit_left", 0) else None,
        "review": None if due.review_days is None or due.review_days > 14 else max(due.review_days, REVIEW_DAYS),
    }  # fmt: skip


def standing(numbers: Numbers, due: Due, today: date, *, onboarding_days: int = 14) -> Standing:
    """Return where an account stands on its local `today`."""
    why = reasons(numbers, due, onboarding_days=onboarding_days)
    # A renewal without anything at risk is only a date: it does not ask for anybody today.
    at_risk = numbers.get("at_risk") or ZERO
    pressing = [one for one in why if not (one.key in ("renewal", "one_workflow") and at_risk <= 0)]
    days = [(day - today).days for day in (due.step_on, due.task_on) if day is not None]
    if due.has_urgent_alert:
        days.append(0)
    if due.step_on is None:  # a running play says by when; without one the reason does
        days += [one.within_days for one in pressing]
    if not days:
        return Standing(why, NONE, None, 0, at_risk * URGENCY[NONE])
    first = min(days)
    group = TODAY if first <= 0 else WEEK if first <= 7 else LATER
    late = max(-first, 0)
    urgency = URGENCY[group] * min(1 + Decimal(late) / 10, Decimal(2))
    return Standing(tuple(pressing) or why, group, today + timedelta(days=first), late, at_risk * urgency)


class _Reader:
    """Comparisons that are false where a number is not known. Levels are whole or exact in binary."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers

    def known(self, name: str) -> bool:
        return self.numbers.get(name) is not None

    def at_least(self, name: str, least: float) -> bool:
        value = self.numbers.get(name)
        return value is not None and value >= least

    def at_most(self, name: str, most: float) -> bool:
        value = self.numbers.get(name)
        return value is not None and value <= most

    def above(self, name: str, level: float) -> bool:
        value = self.numbers.get(name)
        return value is not None and value > level

    def below(self, name: str, level: float) -> bool:
        value = self.numbers.get(name)
        return value is not None and value < level


def _steps(value: Decimal | None, steps: tuple[tuple[int, int], ...]) -> int | None:
    """Return the answer of the first step that `value` does not exceed."""
    if value is None:
        return None
    return next((answer for most, answer in steps if value <= most), None)
