"""Which metrics an account has, in which unit, and how each is defined: read by pages, recipes, plays and exports.

A value is a Decimal, or None with its reason; it is never zero because it is unknown. Money is in the account's
currency. Numbers in brackets are those of the product's list of metrics. Pure.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Unit = Literal["money", "percent", "ratio", "days", "count", "hours", "score", "flag"]


PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Definition:
    """What a metric is called, its unit, its formula in words, and what is said of the edges.

    `better`: whether more is better (1), worse (-1) or neither (0). `is_internal`: never shown to a customer.
    """

    label: str
    unit: Unit
    formula: str
    edges: str = ""
    better: int = 0
    is_internal: bool = False
    number: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    """One metric of one account on one day; `value` None: not known, for `reason`. `inputs` are what it came from."""

    value: Decimal | None
    reason: str = ""
    inputs: dict[str, Any] | None = None


def number(value: float | Decimal | None, reason: str = "", **inputs: Any) -> Value:
    """Return a value with four places, or null with its reason."""
    if value is None:
        return Value(None, reason, inputs or None)
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    return Value(exact.quantize(PLACES), "", inputs or None)


def _d(number: int, label: str, unit: Unit, formula: str, edges: str = "", better: int = 0,
       is_internal: bool = False) -> Definition:  # fmt: skip
    return Definition(label, unit, formula, edges, better, is_internal, number)


DEFINITIONS: dict[str, Definition] = {
    "first_value_days": _d(
        1, "Time to first billable event", "days",
        "Days from the start of the contract to the first day with successful billable use in production.",
        "None yet: the days it waits are told instead. Use before the contract keeps its negative number.", -1,
    ),
    "waiting_days": _d(
        1, "Waiting for a first billable event", "days",
        "Days since the start of the contract while there is no billable use.", "Not known once there is.", -1,
    ),
    "production_workflows": _d(
        2, "Production workflows", "count",
        "Workflows in production with at least 20 successful billable runs on at least 8 of the last 28 days.",
        "A workflow is dropped only after 14 days below that.", 1,
    ),
    "success_percent": _d(
        3, "Success rate", "percent",
        "Successful attempts ÷ finished attempts of the last 28 days, over all workflows.",
        "Fewer than 30 finished: too few to say.", 1,
    ),
    "reliability_gap": _d(
        3, "Reliability gap", "ratio",
        "Largest number of points by which a production workflow's success of 28 days is below its target.",
        "0: all are on target. Not known without a workflow that says how its work ended.", -1,
    ),
    "failing_days": _d(
        3, "Days below target", "days",
        "Closed days in a row, up to yesterday, on which a production workflow was below its success target.",
        "Days with fewer than 10 finished attempts are passed over.", -1,
    ),
    "commit_used_percent": _d(
        4, "Commit utilisation", "percent", "Drawn ÷ committed, of the commits in force.",
        "Above 100 is overage. Refilling allowances are left out.",
    ),
    "commit_granted": _d(4, "Commit", "money", "What the commits in force grant, with amendments."),
    "commit_left": _d(4, "Commit left", "money", "Granted − drawn − expired, of the commits in force.", "", 1),
    "term_elapsed_percent": _d(4, "Term gone", "percent", "Days gone ÷ days of the commit's term."),
    "term_days_left": _d(4, "Days to the end of the term", "days", "Days from today to the contract's end."),
    "daily_variance_percent": _d(
        5, "Daily variance", "percent",
        "1.4826 × median absolute deviation of the weekday-adjusted spend of 28 days ÷ its median.",
        "Median of zero: the share of days without spend is told instead.", -1,
    ),
    "zero_days_percent": _d(5, "Days without spend", "percent", "Days without spend ÷ the last 28 days.", "", -1),
    "margin_percent": _d(
        6, "Margin", "percent", "(Revenue − cost to serve) ÷ revenue, month to date.",
        "Not known where no cost is; internal only.", 1, True,
    ),
    "pacing": _d(
        7, "Pacing", "ratio", "Commit utilisation ÷ the share of the term that is gone.",
        "Too early in the first 21 days or 10 % of the term; not for pay as you go.",
    ),
    "burn_rate": _d(
        8, "Burn rate", "money", "Weekday-adjusted average spend a day with a half-life of 14 days.",
        "Excused spikes are left out.",
    ),
    "burn_rate_7": _d(8, "Burn rate of 7 days", "money", "Mean spend a day of the last 7 closed days."),
    "burn_rate_28": _d(8, "Burn rate of 28 days", "money", "Mean spend a day of the last 28 closed days."),
    "run_out_p10": _d(9, "Run-out, early", "days", "Days until the commit is used up, in the earliest tenth."),
    "run_out_p50": _d(
        9, "Run-out, most likely", "days", "Days until the commit is used up, in half of the forecast's outcomes.",
        "Not known when it likely lasts beyond its term.",
    ),
    "run_out_p90": _d(9, "Run-out, late", "days", "Days until the commit is used up, in nine of ten outcomes."),
    "run_out_percent": _d(
        9, "Chance to run out in the term", "percent", "Share of outcomes in which the commit ends before its term.",
    ),
    "month_end_p10": _d(10, "Month end, low", "money", "Month to date + forecast of the rest, lowest tenth."),
    "month_end_p50": _d(10, "Month end", "money", "Month to date + the forecast of the rest, median."),
    "month_end_p90": _d(10, "Month end, high", "money", "Month to date + forecast of the rest, nine of ten."),
    "overage": _d(
        11, "Expected overage", "money", "Expected use beyond the commit to the end of the term, at overage rates.",
        "", -1,
    ),
    "overage_percent": _d(11, "Chance of overage", "percent", "Share of outcomes with any overage.", "", -1),
    "shelfware": _d(
        12, "Expected unused commit", "money", "Expected commit left at the end of the term, less what rolls over.",
        "", -1,
    ),
    "shelfware_percent": _d(
        12, "Chance of unused commit", "percent", "Share of outcomes with over 10 % of the commit unused.", "", -1,
    ),
    "budget_used_percent": _d(
        13, "Budget used", "percent", "Used ÷ budget of the period, the fullest of the account's budgets.",
    ),
    "budget_forecast_percent": _d(
        13, "Forecast to budget", "percent", "Expected use of the period ÷ budget, the fullest of the budgets.",
    ),
    "spike_score": _d(
        14, "Unusual day", "score", "Yesterday's log spend against the same weekdays, in robust deviations.",
        "Needs four weeks.", -1,
    ),
    "spike_impact": _d(14, "Impact of an unusual day", "money", "Yesterday's spend − its expected value.", "", -1),
    "open_spikes": _d(14, "Open spikes", "count", "Open alerts of unusual use, without an explanation yet.", "", -1),
    "change_7": _d(
        15, "Change in 7 days", "percent", "Spend of the last 7 closed days against the 7 before.", "", 1,
    ),
    "change_28": _d(
        15, "Change in 28 days", "percent", "Spend of the last 28 closed days against the 28 before.",
        "Needs 56 days; excused spikes are left out.", 1,
    ),
    "change_year": _d(
        15, "Change in a year", "percent", "Spend of the last 28 closed days against the same weeks a year before.",
        "Needs 13 months.", 1,
    ),
    "top_share_percent": _d(
        16, "Largest workflow's share", "percent", "Spend of the largest workflow ÷ spend, last 28 days.", "", -1,
    ),
    "concentration": _d(16, "Concentration (HHI)", "ratio", "Sum of the squared shares of the workflows.", "", -1),
    "effective_workflows": _d(16, "Effective workflows", "ratio", "1 ÷ concentration.", "", 1),
    "breadth": _d(
        17, "Breadth", "score",
        "100: three or more production workflows and the largest below 60 % of spend; 70: two; 40: one; 0: none.",
        "", 1,
    ),
    "ladder_percent": _d(
        17, "Ladder", "percent", "Rungs reached ÷ rungs there are, over the account's workflows.",
        "Idea counts 0 and scaled 5 of 5.", 1,
    ),
    "waste": _d(
        18, "Waste", "money", "Spend of 28 days on failed, repeated and duplicate work, each once.", "", -1,
    ),
    "waste_percent": _d(18, "Waste of spend", "percent", "Waste ÷ spend of the last 28 days.", "", -1),
    "unit_cost": _d(
        19, "Cost of one outcome", "money", "Spend ÷ successful outcomes of the last 28 days.",
        "Without an outcome there is no such cost.", -1,
    ),
    "outcomes_per_1000": _d(21, "Outcomes for 1,000", "ratio", "1,000 ÷ cost of one outcome.", "", 1),
    "forecast_error_percent": _d(
        26, "Forecast error", "percent", "Sum of the misses ÷ sum of what was used, 30 days ahead.", "", -1,
    ),
    "in_band_percent": _d(
        27, "Weeks in band", "percent", "Weeks of the last 13 that drew within ±20 % of their target.",
        "Excused weeks are left out. Target: what is left over what is left of the term, then.", 1,
    ),
    "alerts_7": _d(29, "Alerts in 7 days", "count", "Alerts raised in the last seven days.", "", -1),
    "open_alerts": _d(29, "Open alerts", "count", "Alerts that are open now.", "", -1),
    "lag_hours": _d(30, "Freshness", "hours", "Hours since the last event arrived.", "", -1),
    "late_percent": _d(
        30, "Late events", "percent", "Events of 7 days that came more than an hour after they happened.", "", -1,
    ),
    "spend_28": _d(8, "Spend of 28 days", "money", "Spend of the last 28 closed days.", "", 1),
    "silent_days": _d(
        0, "Days without use", "days", "Closed days in a row, up to yesterday, without spend.",
        "Only where use on most days is normal.", -1,
    ),
    "seen_days": _d(0, "Last visit to the portal", "days", "Days since anybody of the customer signed in.", "", -1),
    "owner_seen_days": _d(0, "Last visit of an owner", "days", "Days since an owner signed in.", "", -1),
    "owners": _d(0, "Owners in the portal", "count", "People with the owner's seat.", "", 1),
    "champions": _d(0, "Champions", "count", "Champions who have not left.", "", 1),
    "champion_gone": _d(0, "Champion gone", "flag", "1: a champion or owner there was has left.", "", -1),
    "payment_failed": _d(
        0, "Payment failed", "flag", "1: the last entry on a payment says that it failed; 0: that it arrived.",
        "Not known until somebody enters a payment on the timeline, by hand, file or API.", -1,
    ),
    "touch_days": _d(0, "Last touch", "days", "Days since the last call, meeting, mail or review.", "", -1),
    "sentiment": _d(
        0, "Sentiment", "score", "100 positive, 50 neutral, 0 negative, as last entered.", "Not known after 120 days.",
        1,
    ),
    "engagement": _d(
        0, "Engagement", "score",
        "Half sentiment, half visits: 100 within 14 days, 50 within 30, else 0; the known half alone when one is not.",
        "", 1,
    ),
    "spend_to_plan_percent": _d(
        0, "Spend against plan", "percent", "Spend of 28 days ÷ what the plan of the commit asks for in 28 days.",
    ),
    "suppressed_percent": _d(
        0, "Suppressed demand", "percent",
        "Share of the last 28 days on which a limit was acting, or use was held flat under a cap.", "", -1,
    ),
    "at_risk": _d(
        0, "At risk", "money",
        "The largest of: commit of a renewal in 180 days without a green opinion, commit not started, expected unused "
        "commit, overage that is not agreed, commit that rests on one workflow (what is left × its share).",
        "Counts an account once.", -1, True,
    ),
}  # fmt: skip

Values = dict[str, Value]
PORTAL = tuple(name for name, one in DEFINITIONS.items() if not one.is_internal)
