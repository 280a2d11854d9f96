"""An alert in sentences and facts, from the numbers that it was raised on."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import Account
from budgets.models import Alert, Anomaly
from consumption_cs.lib.display import counted, money_text, percent_text, quantity_text
from consumption_cs.lib.periods import day_of, zone_of
from usage.reports.overview_words import Fact, short_date

Shown = Callable[[Decimal, str], str]


@dataclass(frozen=True, slots=True)
class Number:
    """How one of the numbers of an alert is shown: what it is, the figure, and a few words beside it."""

    label: str
    shown: Shown
    note: str = ""


def _money(amount: Decimal, currency: str) -> str:
    return money_text(amount, currency)


def _signed(amount: Decimal, currency: str) -> str:
    return money_text(amount, currency, signed=True)


def _share(ratio: Decimal, currency: str) -> str:
    return percent_text(ratio)


def _times(ratio: Decimal, currency: str) -> str:
    return f"{quantity_text(ratio, places=1)}×"


NUMBERS: dict[str, Number] = {
    "impact": Number("Beyond the usual", _signed),
    "actual": Number("Spent", _money),
    "expected": Number("Usual", _money),
    "used": Number("Spent in the period", _money),
    "amount": Number("Budget", _money),
    "percent": Number("Of the budget", lambda value, _: f"{quantity_text(value, places=1)}%"),
    "probability": Number("Chance of going over", _share),
    "p50": Number("Most likely at the end", _money),
    "p10": Number("Low end", _money, "9 in 10 are above"),
    "p90": Number("High end", _money, "9 in 10 are below"),
    "straight": Number("A straight line would be at", _money),
    "times": Number("Pace", _times, "of the budget's"),
    "per_hour": Number("Pace", lambda value, currency: f"{money_text(value, currency)} an hour"),
    "usual_per_hour": Number("Usual pace", lambda value, currency: f"{money_text(value, currency)} an hour"),
    "budget_per_hour": Number("The budget's pace", lambda value, currency: f"{money_text(value, currency)} an hour"),
    "remaining": Number("Left on commits", _money),
    "days": Number("Lasts", lambda value, _: counted(int(value), "day"), "at the present burn"),
    "unit_cost": Number("One outcome costs", _money),
    "success_rate": Number("Success rate", _share),
    "finished": Number("Finished attempts", lambda value, _: quantity_text(value)),
    "week": Number("A usual week", _money),
    "window_hours": Number("Seen over", lambda value, _: counted(int(value), "hour")),
}
MOST_FACTS = 4


def alert_facts(alert: Alert, account: Account) -> list[Fact]:
    """Return the figures it was raised on, the telling ones first; at most four."""
    facts = []
    for name, number in NUMBERS.items():
        value = alert.numbers.get(name)
        if value not in (None, ""):
            facts.append(Fact(number.label, number.shown(Decimal(str(value)), account.currency), number.note))
    return facts[:MOST_FACTS]


def alert_lead(alert: Alert, account: Account) -> str:
    """Return one or two sentences under the headline: what it belongs to, and what was crossed."""
    parts = []
    if alert.budget is not None:
        parts.append(f"It belongs to the budget “{alert.budget.name}”{_period(alert, account)}.")
    elif alert.anomaly is not None:
        parts.append(_beginning(alert.anomaly, alert, account))
    if alert.threshold is not None and alert.budget is not None:
        parts.append(f"You are told from {_threshold(alert, account)} on.")
    if alert.recovered_at is not None:
        parts.append("It has recovered by itself.")
    return " ".join(parts)


def _period(alert: Alert, account: Account) -> str:
    if alert.period_start is None or alert.period_end is None:
        return ""
    zone = zone_of(account.timezone)
    first, after = day_of(alert.period_start, zone), day_of(alert.period_end, zone)
    return f" of {short_date(first)} to just before {short_date(after)}"


def _beginning(anomaly: Anomaly, alert: Alert, account: Account) -> str:
    local = anomaly.started_at.astimezone(zone_of(account.timezone))
    where = f" in {alert.workflow.name}" if alert.workflow else ""
    return f"It began on {short_date(local.date())} at {local:%H:%M}{where}."


_PERCENTS = {"actual_percent", "forecast_over", "forecast_p50", "forecast_p90", "under_use", "success_below"}
_PACES = {"velocity_fast", "velocity_slow"}


def _threshold(alert: Alert, account: Account) -> str:
    value = Decimal(alert.threshold or 0)
    if alert.kind in _PERCENTS or alert.kind.startswith("limit_"):
        return f"{quantity_text(value)}%"
    if alert.kind in _PACES:
        return f"{quantity_text(value)} times the budget's pace"
    if alert.kind == "days_below":
        return counted(int(value), "day")
    return money_text(value, account.currency)


def told_words(alert: Alert) -> str:
    """Return how soon it was told: after it began, or after the event was accepted."""
    since = alert.anomaly.started_at if alert.anomaly else alert.accepted_at
    if since is None or alert.is_silent:
        return "What happened"
    seconds = max((alert.raised_at - since).total_seconds(), 0)
    if seconds < 90:
        return f"Told {counted(round(seconds), 'second')} after the event came in"
    if seconds < 5400:
        return f"Told {counted(round(seconds / 60), 'minute')} after it began"
    return f"Told {counted(round(seconds / 3600), 'hour')} after it began"
