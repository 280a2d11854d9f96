"""The money card of a value review: spend against budget by month, the commit, its date and what to decide."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from consumption_cs.lib.display import counted, listed, percent_text
from reviews.reports.review_format import HUNDRED, ZERO, long_date, money, to_day, weekday, width_of
from usage.reports.overview_words import short_date


def spend_card(figures: Mapping[str, Any]) -> dict[str, Any]:
    spend, currency, commit = figures["spend"], figures["account"]["currency"], figures["commit"]
    rows = [_spend_row(figures)]
    if commit:
        rows += _commit_rows(commit, currency, to_day(figures["as_of"][:10]))
    elif figures["commit_missing"]:
        rows.append({"amount": "None", "title": "No commit", "detail": figures["commit_missing"], "tone": ""})
    months = spend["months"]
    most = max([Decimal(month["spend"]) for month in months], default=ZERO)
    most = max([most, *(Decimal(month["budget"]) for month in months if month["budget"])]) or Decimal(1)
    return {
        "sub": f"{figures['period']['label']}; forecast as of {long_date(to_day(figures['as_of'][:10]))}",
        "rows": rows,
        "decide_by": weekday(to_day(commit["decide_by"])) if commit and commit["decide_by"] else "",
        "decision": (commit["decision"] or "") if commit else "",
        "months": [
            {
                "label": month["label"], "spend": money(month["spend"], currency), "number": Decimal(month["spend"]),
                "budget": money(month["budget"], currency) if month["budget"] else "",
                "height": width_of(max(Decimal(month["spend"]), ZERO) / most),
                "mark": width_of(Decimal(month["budget"]) / most) if month["budget"] else "",
            }
            for month in months
        ],
        "line": _line(commit) if commit else None,
    }  # fmt: skip


def _spend_row(figures: Mapping[str, Any]) -> dict[str, Any]:
    spend, currency = figures["spend"], figures["account"]["currency"]
    left = spend["left"]
    title = "Spend"
    if left is not None:
        title += f", {money(left, currency)} {'under' if Decimal(left) >= 0 else 'over'} budget"
    months = [f"{month['label']} {money(month['spend'], currency)}" for month in spend["months"]]
    detail = listed(months) if len(months) <= 4 else f"{counted(len(months), 'month')}, the last {months[-1]}"
    budgets = {month["budget"] for month in spend["months"]}
    if len(budgets) == 1 and (budget := budgets.pop()):
        detail += f", against {money(budget, currency)} a month"
    detail += "."
    if Decimal(spend["credits"]):
        detail += f" {money(spend['credits'], currency)} was credited."
    tone = "warn" if left is not None and Decimal(left) < 0 else ""
    return {"amount": money(spend["total"], currency), "title": title, "detail": detail, "tone": tone}


def _commit_rows(commit: Mapping[str, Any], currency: str, as_of: date) -> list[dict[str, Any]]:
    gone = f", {percent_text(Decimal(commit['term_share']))} of the term gone" if commit["term_share"] else ""
    ends = f" to {long_date(to_day(commit['ends_on']))}" if commit["ends_on"] else ""
    rows = [
        {
            "amount": percent_text(Decimal(commit["used_share"])), "title": f"Commit used{gone}", "tone": "",
            "detail": f"{money(commit['used'], currency)} of {money(commit['amount'], currency)} since"
            f" {long_date(to_day(commit['starts_on']))}. {money(commit['left'], currency)} left{ends}.",
        }
    ]  # fmt: skip
    if commit["p50"]:
        middle = to_day(commit["p50"])
        span = ""
        if commit["p10"] and commit["p90"]:
            span = f"{long_date(to_day(commit['p10']))} to {long_date(to_day(commit['p90']))} in 8 of 10 outcomes."
        if commit["ends_on"] and commit["runs_out_before_end"]:
            days = (to_day(commit["ends_on"]) - middle).days
            span += f" {counted(days, 'day')} before the term ends at the most likely pace."
        year = f", {middle.year}" if middle.year != as_of.year else ""
        rows.append(
            {"amount": short_date(middle), "title": f"Likely run-out{year}", "detail": span.strip(),
             "tone": "warn" if commit["runs_out_before_end"] else ""}
        )  # fmt: skip
    else:
        rows.append(
            {"amount": "Lasts", "title": "No run-out before the term ends", "tone": "good",
             "detail": "At the most likely pace something is left when the term ends."}
        )  # fmt: skip
    return rows


def _line(commit: Mapping[str, Any]) -> dict[str, Any] | None:
    """The burndown in percent of its box: what was left, and the range of what is forecast."""
    points, ahead = commit["points"], commit["ahead"]
    days = [to_day(point["on"]) for point in (*points, *ahead)]
    if len(points) < 2:
        return None
    first, last = min(days), max(*days, *([to_day(commit["ends_on"])] if commit["ends_on"] else []))
    most = max(Decimal(point["left"]) for point in points) or Decimal(1)

    def place(day: str, amount: str) -> str:
        x = Decimal((to_day(day) - first).days) / max((last - first).days, 1) * HUNDRED
        y = (1 - max(min(Decimal(amount) / most, Decimal(1)), ZERO)) * HUNDRED
        return f"{x:.2f},{y:.2f}"

    low = [place(point["on"], point["p10"]) for point in ahead]
    high = [place(point["on"], point["p90"]) for point in ahead]
    return {
        "left": " ".join(place(point["on"], point["left"]) for point in points),
        "ahead": " ".join(place(point["on"], point["p50"]) for point in ahead),
        "band": " ".join([*high, *reversed(low)]),
        "first": long_date(first),
        "last": long_date(last),
        "most": most,
    }
