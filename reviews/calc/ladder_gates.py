"""The gates of the workflow ladder: what each asks of a workflow, and whether data or a person's word meets it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from statistics import median
from typing import Literal

import numpy as np

from budgets.calc.usage_windows import Floats
from consumption_cs.lib.display import money_short, percent_text, quantity_text
from reviews.calc.production import DEFAULT_TARGET, ENOUGH_FINISHED, SPARSE, WINDOW, success

WEEK = 7
TEAM_DIMENSIONS = (
    "team", "department", "group", "business_unit", "cost_center", "unit", "key", "api_key", "agent", "user",
)  # fmt: skip

By = Literal["data", "person"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one workflow at the start of its local day `today`.

    Floats are per closed local day, oldest first, ending yesterday, all of the same length. `runs` succeeded and cost
    something. `alerts`: hours until each alert of 28 days was handled, and whether it was. `teams` None: no event
    says who used it. `ticks`: what a person confirmed, with the words shown beside it.
    """

    today: date
    currency: str
    runs: Floats
    spend: Floats
    finished: Floats
    successes: Floats
    outcomes: Floats
    account_spend: float = 0.0  # of the 28 days
    target: Decimal | None = None
    first_call_on: date | None = None
    first_runs: int = 0  # of any environment, since the beginning
    billable_on: date | None = None
    budget: Decimal | None = None
    alerts: tuple[tuple[float, bool], ...] = ()
    teams: int | None = None
    ticks: Mapping[str, str] = field(default_factory=dict)

    cadence: float = field(init=False)  # the usual days between two days with runs; 0: fewer than two

    def __post_init__(self) -> None:
        active = np.flatnonzero(self.runs > 0)
        gaps = np.diff(active).tolist()
        object.__setattr__(self, "cadence", float(median(gaps)) if gaps else 0.0)

    @property
    def window(self) -> int:
        """Return how many days runs and success are counted over: 28, or two cycles of one that runs seldom."""
        return max(WINDOW, int(2 * self.cadence) + 1) if self.cadence >= SPARSE else WINDOW

    @property
    def wanted(self) -> float:
        """Return the success target in percent; 95 where none is agreed."""
        return DEFAULT_TARGET if self.target is None else float(self.target) * 100


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a gate is met, and the figure or name shown beside it."""

    is_met: bool
    value: str


@dataclass(frozen=True, slots=True)
class Gate:
    """One criterion. `{need}` in `label` is its threshold in `unit`; without `need` it has none.

    `stands` gates must stay met on the rung that they opened; the others are passed once. `short` completes the
    sentence "Only … is missing".
    """

    key: str
    by: By
    label: str
    what: str
    short: str
    unit: str = ""
    need: Decimal | None = None
    lowest: Decimal = Decimal(0)
    highest: Decimal = Decimal(0)
    stands: bool = False

    def whole_title(self, need: Decimal | None) -> str:
        """Return the title with a threshold that it leaves out: "Unit cost, 5% more at most"."""
        if need is None or not need or "{need}" in self.label:
            return self.title(need)
        gap = "" if self.unit.startswith("%") else " "
        return f"{self.label}, {quantity_text(need)}{gap}{self.unit}"

    def title(self, need: Decimal | None) -> str:
        return self.label.format(need=quantity_text(need) if need is not None else "")


def gate_check(key: str, need: Decimal | None, facts: Facts) -> Checked:
    """Check one gate; a person's is met by their tick alone."""
    if GATES[key].by == "person":
        return Checked(key in facts.ticks, facts.ticks.get(key) or ("done" if key in facts.ticks else "open"))
    return _CHECKS[key](facts, float(need or 0))


def day_words(day: date) -> str:
    return f"{day:%b} {day.day}"


def runs_of(facts: Facts) -> int:
    return int(facts.runs[-facts.window :].sum())


def active_days(facts: Facts) -> int:
    return int((facts.runs[-facts.window :] > 0).sum())


def below_since(facts: Facts) -> date | None:
    """Return the first day of those in a row, up to yesterday, on which the week so far was below target."""
    below = _below(facts)
    count = len(below) - 1 - int(np.flatnonzero(~below)[-1]) if not below.all() else len(below)
    return facts.today - timedelta(days=count) if count else None


def _below(facts: Facts) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return for each of the last 28 days whether the week up to it was below target; weeks of little use are not."""
    done, good = (_weekly(days)[-WINDOW:] for days in (facts.finished, facts.successes))
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = (done >= ENOUGH_FINISHED) & (good * 100 < facts.wanted * done)
    return found


def _weekly(days: Floats) -> Floats:
    sums = np.concatenate([np.zeros(1), np.cumsum(days)])
    starts = np.maximum(np.arange(1, len(sums)) - WEEK, 0)
    return np.asarray(sums[1:] - sums[starts])


def _first_call(facts: Facts, need: float) -> Checked:
    return Checked(facts.first_call_on is not None, day_words(facts.first_call_on) if facts.first_call_on else "none")


def _first_runs(facts: Facts, need: float) -> Checked:
    return Checked(facts.first_runs >= need, quantity_text(facts.first_runs) if facts.first_runs else "none")


def _billable(facts: Facts, need: float) -> Checked:
    return Checked(facts.billable_on is not None, day_words(facts.billable_on) if facts.billable_on else "none")


def _is_cyclic(facts: Facts) -> bool:
    """Return whether it runs every five days or less often, and did so at least twice."""
    return facts.cadence >= SPARSE and active_days(facts) >= 2


def _runs(facts: Facts, need: float) -> Checked:
    found = runs_of(facts)
    return Checked(found >= need or _is_cyclic(facts), quantity_text(found) if found else "none")


def _days(facts: Facts, need: float) -> Checked:
    found = active_days(facts)
    words = f"{found} of its cycles" if _is_cyclic(facts) and found < need else str(found)
    return Checked(found >= need or _is_cyclic(facts), words)


def _success(facts: Facts, need: float) -> Checked:
    rate = success(facts.finished, facts.successes, facts.window)
    if rate is None and _is_cyclic(facts):
        return _few_runs(facts)
    if rate is None:
        return Checked(False, f"{int(facts.finished[-facts.window :].sum())} of {ENOUGH_FINISHED} runs")
    wanted = max(need, facts.wanted)
    value = percent_text(rate / 100)
    return Checked(rate >= wanted, value if rate >= wanted else f"{value[:-1]} of {_plain(wanted)}%")


def _few_runs(facts: Facts) -> Checked:
    """Judge a workflow that runs seldom by the runs there are: it may never come to thirty."""
    done, good = (int(days[-facts.window :].sum()) for days in (facts.finished, facts.successes))
    return Checked(done > 0 and good * 100 >= facts.wanted * done, f"{good} of {done} runs")


def _target_set(facts: Facts, need: float) -> Checked:
    return Checked(facts.target is not None, f"{_plain(facts.wanted)}%" if facts.target is not None else "none")


def _in_target(facts: Facts, need: float) -> Checked:
    finished = int(facts.finished[-WINDOW:].sum())
    if finished < ENOUGH_FINISHED and _is_cyclic(facts):
        return _few_runs(facts)
    if finished < ENOUGH_FINISHED:
        return Checked(False, f"{finished} of {ENOUGH_FINISHED} runs")
    held = WINDOW - int(_below(facts).sum())
    return Checked(held >= min(need, WINDOW), str(held))


def _budget(facts: Facts, need: float) -> Checked:
    return Checked(facts.budget is not None, money_short(facts.budget, facts.currency) if facts.budget else "none")


def _alerts(facts: Facts, need: float) -> Checked:
    due = [is_handled and hours <= need for hours, is_handled in facts.alerts if is_handled or hours > need]
    return Checked(all(due), f"{sum(due)} of {len(due)}" if due else "no alert")


def _unit_cost(facts: Facts, need: float) -> Checked:
    made = facts.outcomes if facts.outcomes.sum() else facts.successes
    now, then = made[-WINDOW:].sum(), made[-2 * WINDOW : -WINDOW].sum()
    spent = facts.spend[-2 * WINDOW : -WINDOW].sum()
    if now < ENOUGH_FINISHED or then < ENOUGH_FINISHED or spent <= 0:
        return Checked(False, "too early")
    change = float(facts.spend[-WINDOW:].sum() / now / (spent / then) - 1)
    return Checked(change * 100 <= need, percent_text(change, places=0, signed=True))


def _teams(facts: Facts, need: float) -> Checked:
    return Checked((facts.teams or 0) >= need, "not named" if facts.teams is None else str(facts.teams))


def _share(facts: Facts, need: float) -> Checked:
    if facts.account_spend <= 0:
        return Checked(False, "no spend")
    share = float(facts.spend[-WINDOW:].sum()) / facts.account_spend
    return Checked(share * 100 <= need, percent_text(share, places=0))


def _plain(number: float) -> str:
    return quantity_text(Decimal(str(round(number, 2))))


def _gate(key: str, by: By, label: str, what: str, short: str, **more: object) -> Gate:
    return Gate(key, by, label, what, short, **more)  # type: ignore[arg-type]


def _need(usual: int, lowest: int, highest: int) -> dict[str, Decimal]:
    return {"need": Decimal(usual), "lowest": Decimal(lowest), "highest": Decimal(highest)}


GATES: dict[str, Gate] = {
    gate.key: gate
    for gate in (
        _gate("owner", "person", "Owner named", "Somebody on the customer’s side answers for it.", "an owner"),
        _gate("value", "person", "Value stated", "What one outcome, or a month, is worth is stated.", "its value"),
        _gate("access", "person", "Data access", "The data it works on may be used.", "access to its data"),
        _gate("legal", "person", "Legal check", "The customer’s lawyers have cleared it.", "the legal check"),
        _gate("runbook", "person", "Runbook", "Who does what when it fails is written down.", "the runbook"),
        _gate("sponsor", "person", "Sponsor named", "An executive of the customer stands behind it.", "a sponsor"),
        _gate("training", "person", "People trained", "Those who use it know how.", "training"),
        _gate("test_call", "data", "First test call", "It was called once, in any environment.", "a first call"),
        _gate("first_runs", "data", "{need} first runs", "So many runs in all, those outside of production too.",
              "a longer trial", unit="runs", **_need(50, 1, 100_000)),
        _gate("first_billable", "data", "First billable", "A successful run in production was billed.",
              "a first billable run"),
        _gate("runs", "data", "Runs ≥ {need}", "So many successful billable runs in 28 days; of one that runs every "
              "five days or less often, two cycles count.", "more use", unit="runs", stands=True,
              **_need(20, 1, 1_000_000)),
        _gate("days", "data", "Days ≥ {need} of 28", "Successful billable runs on so many of 28 days; of one that "
              "runs every five days or less often, two cycles count.", "use on more days", unit="days", stands=True,
              **_need(8, 1, 28)),
        _gate("success", "data", "Success", "Success in 28 days meets the workflow’s target, and at least this "
              "percentage; 95% where no target is agreed. Needs 30 finished runs, or two "
              "cycles of one that runs seldom.", "its success", unit="% at least",
              stands=True, **_need(0, 0, 100)),
        _gate("target_set", "data", "Target set", "A success target is agreed for the workflow.", "a success target",
              stands=True),
        _gate("in_target", "data", "{need} days on target", "On so many of the last 28 days, the week up to that day "
              "met the success target.", "time on target", unit="days", stands=True, **_need(28, 7, 28)),
        _gate("budget_set", "data", "Budget set", "The workflow has a budget of its own.", "the budget", stands=True),
        _gate("alerts", "data", "Alerts in {need} h", "Each alert of 28 days was acknowledged within so many hours.",
              "a quick answer to alerts", unit="hours", **_need(4, 1, 168)),
        _gate("unit_cost", "data", "Unit cost", "Cost of an outcome in 28 days rose by no more than this on the 28 "
              "days before.", "its unit cost", unit="% more at most", **_need(5, 0, 100)),
        _gate("teams", "data", "Teams ≥ {need}", "So many teams, departments or keys used it in 28 days, as events "
              "name them.", "use by more teams", unit="teams", stands=True, **_need(3, 1, 1000)),
        _gate("share", "data", "Spend ≤ {need}%", "No more than this share of the account’s spend in 28 days hangs on "
              "it.", "a smaller share of spend", unit="% of spend", stands=True, **_need(60, 5, 100)),
    )
}  # fmt: skip

_CHECKS: dict[str, Callable[[Facts, float], Checked]] = {
    "test_call": _first_call,
    "first_runs": _first_runs,
    "first_billable": _billable,
    "runs": _runs,
    "days": _days,
    "success": _success,
    "target_set": _target_set,
    "in_target": _in_target,
    "budget_set": _budget,
    "alerts": _alerts,
    "unit_cost": _unit_cost,
    "teams": _teams,
    "share": _share,
}


def standing_check(key: str, need: Decimal | None, facts: Facts) -> Checked:
    """Check a gate that must stay met.

    A day below target in the past is forgiven once the week is on target again, and too few runs to judge success
    by are no failure: they are what the gates of runs and days are for.
    """
    if key == "in_target":
        since = below_since(facts)
        return Checked(since is None, "yes" if since is None else f"below since {day_words(since)}")
    if key == "success" and success(facts.finished, facts.successes, facts.window) is None:
        return Checked(True, "few runs")
    return gate_check(key, need, facts)


def standing_title(key: str, need: Decimal | None) -> str:
    return "On target" if key == "in_target" else GATES[key].title(need)
