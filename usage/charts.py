"""Charts of usage: from what a report found to the figure that the page draws."""

from datetime import date, timedelta
from decimal import Decimal

from accounts.models import Account
from consumption_cs.lib.display import money_text, percent_text, quantity_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Rule, Series
from usage.reports.overview import Figures, Overview
from usage.reports.overview_words import month_name, short_date, whole
from usage.reports.workflows import WorkflowSeen

NONE = "—"


def daily_spend(seen: Overview, csv_url: str, more: tuple[str, str] | None = None) -> Figure:
    """Spend by day of the month, with the straight projection ahead and the month before as a reference."""
    month, currency = seen.month, seen.account.currency
    over = [day for day in month.days if day < month.today]
    spent = [_spend(seen, day) if day <= month.today else None for day in month.days]
    rate = seen.closed_spend / month.closed if seen.closed_spend is not None and month.closed else None
    ahead = [_ahead(seen, day, rate) for day in month.days]
    spike = seen.trend.spike
    spike_at = month.days.index(spike.day) if spike and spike.day in over else None
    series = [Series("Spent", month.days, spent, flagged=[] if spike_at is None else [spike_at])]
    if any(value is not None for value in ahead):
        series.append(Series("Straight projection", month.days, ahead, tone="weak"))
    marks = []
    if spike and spike_at is not None:
        marks = [Mark(spike.day, spike.amount, money_text(spike.impact, currency, places=0, signed=True))]
    return Figure(
        id="daily",
        headline=_finding(seen),
        sub=_sub(seen),
        summary=f"Bar chart of spend by day in {month_name(month)}. {_finding(seen)}. A table below has the numbers.",
        series=series,
        marks=marks,
        rules=_before_rule(seen),
        currency=currency,
        numbers=_numbers(seen, ahead),
        csv_url=csv_url,
        more=more,
    )


def _ahead(seen: Overview, day: date, rate: Decimal | None) -> Decimal | None:
    """What the straight line adds to a day: all of one to come, and what is left of today's."""
    if rate is None or not seen.month.is_running or day < seen.month.today:
        return None
    return max(rate - (_spend(seen, day) or 0), Decimal(0)) if day == seen.month.today else rate


def _spend(seen: Overview, day: date) -> Decimal | None:
    figures = seen.days.get(day)
    return figures.spend if figures else Decimal(0)


def _finding(seen: Overview) -> str:
    trend, currency = seen.trend, seen.account.currency
    if not seen.total.events:
        return f"No usage in {month_name(seen.month)}"
    if not seen.total.spend and not seen.total.unpriced:
        return f"Nothing was billed in {month_name(seen.month)}"
    spike = trend.spike
    if spike and seen.month.first <= spike.day < seen.month.end:
        words = {"rising": "Daily spend is rising", "falling": "Daily spend is falling"}
        start = words.get(trend.shape, "Daily spend is steady")
        return f"{start}; {short_date(spike.day)} stands out by {whole(spike.impact, currency)}"
    if trend.shape == "too early":
        return "Daily spend; a trend needs 14 days"
    if trend.shape == "steady" or trend.change is None:
        return "Daily spend is steady"
    percent = percent_text(abs(trend.change), places=0)
    return f"Daily spend is {trend.shape}: {percent} {'more' if trend.change > 0 else 'less'} in the last 7 days"


def _sub(seen: Overview) -> str:
    trend, currency = seen.trend, seen.account.currency
    if not trend.weekday:
        return f"In {currency}, by day of {seen.account.timezone}."
    weekend = f", weekend days {whole(trend.weekend, currency)}" if trend.weekend else ""
    today = " Today is not over." if seen.month.is_running else ""
    return f"Weekdays usually cost {whole(trend.weekday, currency)}{weekend}.{today}"


def _before_rule(seen: Overview) -> list[Rule]:
    before, month = seen.whole_before.spend, seen.month.before
    if not before:
        return []
    a_day = before / month.length
    return [Rule(f"{whole(a_day, seen.account.currency)} a day was the average of {month_name(month)}", y=a_day)]


def _numbers(seen: Overview, ahead: list[Decimal | None]) -> Numbers:
    currency, month, before = seen.account.currency, seen.month, seen.month.before
    rows = []
    is_adjusted = any(seen.days[day].adjusted for day in month.days if day in seen.days)
    for at, day in enumerate(month.days):
        is_past = day <= month.today
        same_day = before.first + timedelta(days=at)
        rows.append(
            [
                short_date(day) + (" (not over)" if day == month.today else ""),
                _money(_spend(seen, day), currency) if is_past else NONE,
                _money(ahead[at], currency) if ahead[at] is not None else NONE,
                _money(_spend(seen, same_day), currency) if at < before.length and same_day in seen.days else NONE,
            ]
        )
        if is_adjusted:
            figures = seen.days.get(day)
            rows[-1].append(_money(figures.adjusted, currency) if figures and figures.adjusted else NONE)
    names = ["Day", "Spent", "Straight projection", f"Same day of {month_name(before)}"]
    return Numbers([*names, "Adjustments in it"] if is_adjusted else names, rows)


def _money(amount: Decimal | None, currency: str) -> str:
    return NONE if amount is None else money_text(amount, currency)


def success_by_week(weeks: list[tuple[date, Figures]], target: Decimal | None, csv_url: str = "") -> Figure:
    """Success rate of one workflow by week (from Monday); weeks with too few runs are left out."""
    rates = [figures.success_rate if figures.is_sure else None for _, figures in weeks]
    known = [rate for rate in rates if rate is not None]
    return Figure(
        id="success",
        headline=_success_finding(known, target),
        sub="By week. Weeks with fewer than 30 finished runs are left out.",
        summary="Line chart of the success rate by week. The table below has the numbers.",
        series=[Series("Success rate", [week for week, _ in weeks], rates, kind="line")],
        rules=[Rule(f"Target {percent_text(target)}", y=target)] if target else [],
        value="percent",
        from_zero=False,
        numbers=Numbers(
            ["Week from", "Success rate", "Finished runs"],
            [
                [short_date(week), percent_text(rate) if rate is not None else NONE, quantity_text(figures.finished)]
                for (week, figures), rate in zip(weeks, rates, strict=True)
            ],
        ),
        csv_url=csv_url,
    )


def _success_finding(known: list[Decimal], target: Decimal | None) -> str:
    if not known:
        return "Too few finished runs for a success rate"
    if target is not None and known[-1] < target:
        return f"Success is below its target of {percent_text(target)}"
    if len(known) > 1 and known[-1] < min(known[:-1]):
        return f"Last week was the least reliable, at {percent_text(known[-1])}"
    return f"Success held at {percent_text(min(known))} or better"


def workflow_spend(seen: WorkflowSeen, account: Account, csv_url: str) -> Figure:
    """One workflow's spend by day of the month."""
    month, currency = seen.month, account.currency
    spent = [_of_day(seen.days.get(day)) if day <= month.today else None for day in month.days]
    total = whole(seen.total.spend, currency) if seen.total.events else "nothing"
    name = month_name(month)
    headline = f"{name[0].upper()}{name[1:]} cost {total}" + (" so far" if month.is_running else "")
    return Figure(
        id="spend",
        headline=headline,
        sub=f"By day of {account.timezone}." + (" Today is not over." if month.is_running else ""),
        summary=f"Bar chart of spend by day. {headline}. A table below has the numbers.",
        series=[Series("Spent", month.days, spent)],
        currency=currency,
        numbers=Numbers(
            ["Day", "Spent", "Events"],
            [
                [short_date(day), _money(spent[at], currency), quantity_text(_events_of(seen.days.get(day)))]
                for at, day in enumerate(month.days)
                if day <= month.today
            ],
        ),
        csv_url=csv_url,
        legend_off=True,
    )


def _of_day(figures: Figures | None) -> Decimal | None:
    return figures.spend if figures else Decimal(0)


def _events_of(figures: Figures | None) -> int:
    return figures.events if figures else 0
