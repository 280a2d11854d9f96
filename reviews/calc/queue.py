"""Who needs somebody today, and why: the reason of an account, until when to act, and its rank. Pure Decimal.

Reasons come from the metrics of the last closed day. A reason says by when somebody should act; a play, a task or an
alert that is due earlier goes first. Rank is money at risk × urgency.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from operator import attrgetter

Numbers = Mapping[str, Decimal | None]
ZERO = Decimal(0)
TODAY, WEEK, LATER, NONE = "today", "week", "later", "none"
GROUPS = {TODAY: "Today", WEEK: "This week", LATER: "Later", NONE: "On track"}
# (most days ahead, act within days): the nearer, the sooner.
_RUN_OUT = ((30, 0), (60, 3), (90, 7))
_RENEWAL = ((30, 0), (90, 3), (120, 7), (180, 14))
# What is due today weighs twice what is due this week; what is late, a tenth more a day, up to twice as much.
BEHIND, AHEAD = Decimal("0.75"), Decimal("1.25")  # of the plan
REVIEW_DAYS = 3  # a review that is due is prepared this week, not today
URGENCY = {TODAY: Decimal(1), WEEK: Decimal("0.5"), LATER: Decimal("0.2"), NONE: Decimal("0.05")}

# The metrics that say where an account stands.
READS = (
    "at_risk", "change_28", "champion_gone", "commit_granted", "commit_left", "failing_days", "open_spikes", "pacing",
    "payment_failed", "reliability_gap", "run_out_p50", "run_out_percent", "seen_days", "sentiment", "silent_days",
    "term_days_left", "top_share_percent", "waiting_days",
)  # fmt: skip
REASONS = {
    "exhausted": "Commit used up",
    "unpaid": "Payment failed",
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
    return tuple(sorted(found, key=attrgetter("within_days")))


def _within(numbers: Numbers, due: Due, onboarding_days: int) -> dict[str, int | None]:
    """Return for each reason in how many days to act, or None where it does not hold; in the order of REASONS."""
    level = numbers.get
    granted, left, risky = level("commit_granted") or 0, level("commit_left"), (level("run_out_percent") or 0) > 50
    silent, waiting = level("silent_days") or 0, level("waiting_days")
    pacing, failing = level("pacing"), level("failing_days") or 0
    used_up = granted > 0 and left is not None and left <= 0
    stalled = None if waiting is None or 2 * waiting < onboarding_days else 3
    if waiting is not None and waiting >= onboarding_days:
        stalled = 0
    return {
        "exhausted": 0 if used_up else None,
        "unpaid": 1 if level("payment_failed") == 1 else None,
        "silent": 0 if silent >= 7 else 2 if silent >= 2 else None,
        "spike": 0 if (level("open_spikes") or 0) > 0 else None,
        "stalled": stalled,
        # An allowance that refills has no term to run out of.
        "run_out": _steps(level("run_out_p50"), _RUN_OUT) if risky and granted > 0 and not used_up else None,
        "champion_gone": 3 if (level("champion_gone") or 0) > 0 else None,
        "reliability": 1 if failing >= 3 and (level("reliability_gap") or 0) > 0 else None,
        "underburn": 5 if pacing is not None and pacing < BEHIND else None,
        "overburn": 3 if risky and pacing is not None and pacing > AHEAD else None,
        "falling": 3 if (level("change_28") or 0) < -20 else None,
        "renewal": _steps(level("term_days_left"), _RENEWAL),
        "sentiment": 3 if level("sentiment") == 0 else None,
        "no_visit": 7 if (level("seen_days") or 0) >= 30 else None,
        "one_workflow": 14 if (level("top_share_percent") or 0) > 70 and (left or 0) > 0 else None,
        "review": None if due.review_days is None or due.review_days > 14 else max(due.review_days, REVIEW_DAYS),
    }


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


def _steps(value: Decimal | None, steps: tuple[tuple[int, int], ...]) -> int | None:
    """Return the answer of the first step that `value` does not exceed."""
    if value is None:
        return None
    return next((answer for most, answer in steps if value <= most), None)
