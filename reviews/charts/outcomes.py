"""The charts of the outcomes page: for each workflow what 1,000 outcomes cost, month by month."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from consumption_cs.lib.display import listed, money_text, percent_text, quantity_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Series
from consumption_cs.lib.periods import add_months
from reviews.reports.outcome_months import FlowMonths, MonthCost

MONTHS = 13  # drawn: a year and the month so far
MOST = 4  # workflows drawn; all are in the file
ALIKE = Decimal("0.005")  # below half a percent nothing is said to have changed


def cost_figures(flows: Sequence[FlowMonths], currency: str, csv_url: str) -> list[Figure]:
    """Return a figure for each of the workflows on which most was spent."""
    return [_figure(flow, at, currency, csv_url) for at, flow in enumerate(flows[:MOST], 1)]


def compared(flows: Sequence[FlowMonths]) -> str:
    """Return a sentence on how many workflows got cheaper over the months; empty where nothing can be compared."""
    changes = [flow.change for flow in flows if flow.change is not None]
    if len(changes) < 2:
        return ""
    cheaper, dearer = sum(one <= -ALIKE for one in changes), sum(one >= ALIKE for one in changes)
    if not cheaper and not dearer:
        return "Outcomes cost what they did in the first full month shown."
    said = [f"{word} in {number}" for word, number in (("cheaper", cheaper), ("dearer", dearer)) if number]
    said[0] += f" of {len(changes)} workflows"
    return f"Since the first full month shown, outcomes got {listed(said)}."


def _figure(flow: FlowMonths, at: int, currency: str, csv_url: str) -> Figure:
    # The axis is the same whenever a workflow began: months before its first are empty.
    early = [add_months(flow.months[0].month, -ago) for ago in range(MONTHS - len(flow.months), 0, -1)]
    months = [*early, *(one.month for one in flow.months)]
    drawn = [*(None for _ in early), *(one if one.per_thousand is not None else None for one in flow.months)]
    hover = [*("" for _ in early), *(_hover(one, flow, currency) for one in flow.months)]
    headline = _headline(flow, currency)
    series = [
        Series("Cost of 1,000", months, [one.per_thousand if one and not one.is_open else None for one in drawn],
               hover=hover),
        Series("Not all outcomes known yet" if flow.lag_days else "Month so far", months,
               [one.per_thousand if one and one.is_open else None for one in drawn], tone="weak", hover=hover),
    ]  # fmt: skip
    return Figure(
        id=f"cost-{at}",
        headline=headline,
        sub=_sub(flow),
        summary=f"Bar chart of what 1,000 {flow.unit} cost by month. {headline}. A table below has the numbers.",
        series=series if any(one and one.is_open for one in drawn) else series[:1],
        currency=currency,
        size="short",
        marks=[Mark(one.month, 0, "none", "ink") for one in flow.months if one.per_thousand is None and one.spend],
        numbers=Numbers(
            ["Month", "Spend", flow.unit[:1].upper() + flow.unit[1:], "Cost of 1,000"],
            [_row(one, currency) for one in reversed(flow.months)],
        ),
        csv_url=csv_url,
    )


def _headline(flow: FlowMonths, currency: str) -> str:
    name, closed = flow.workflow.name, flow.closed
    if not closed:
        return f"{name}: no full month with an outcome yet"
    last = closed[-1]
    cost = money_text(last.per_thousand or Decimal(0), currency)
    change = flow.change
    if change is None:
        return f"{name}: 1,000 {flow.unit} cost {cost} in {last.month:%B}"
    since = f"{closed[0].month:%B %Y}"
    if abs(change) < ALIKE:
        return f"{name}: 1,000 {flow.unit} cost {cost}, as in {since}"
    word = "less" if change < 0 else "more"
    return f"{name}: 1,000 {flow.unit} cost {cost}, {percent_text(abs(change), places=0)} {word} than in {since}"


def _sub(flow: FlowMonths) -> str:
    said = ["Spend of a month over the outcomes of its work"]
    if flow.lag_days:
        said[0] += f", which are known after {flow.lag_days} day{'s' if flow.lag_days > 1 else ''}"
        if any(one.is_open for one in flow.months):
            said.append("A light month counts only the days whose outcomes are known")
    barren = [f"{one.month:%b %Y}" for one in flow.months if one.per_thousand is None and one.spend]
    if barren:
        said.append(f"No outcomes in {listed(barren)}")
    return ". ".join(said) + "."


def _days(one: MonthCost) -> str:
    """The month, or how far its outcomes are known."""
    if not one.is_open:
        return f"{one.month:%b %Y}"
    if one.known_to == one.month:
        return f"{one.month:%b %Y}, none known yet"
    return f"{one.month:%b %Y}, known to {_last(one.known_to)}"


def _last(end: date) -> str:
    day = end - timedelta(days=1)
    return f"{day:%b} {day.day}"


def _cost(one: MonthCost, currency: str) -> str:
    if one.per_thousand is not None:
        return money_text(one.per_thousand, currency)
    return "Not known yet" if one.known_to == one.month else "No outcomes"


def _hover(one: MonthCost, flow: FlowMonths, currency: str) -> str:
    spend = money_text(one.spend, currency, places=0)
    return f"{_days(one)}\n{_cost(one, currency)} for 1,000\n{quantity_text(one.outcomes)} {flow.unit}, {spend}"


def _row(one: MonthCost, currency: str) -> list[str]:
    outcomes = quantity_text(one.outcomes) if one.outcomes else "None"
    return [_days(one), money_text(one.spend, currency, places=0), outcomes, _cost(one, currency)]
