"""A crossed rule as a headline and as the numbers it rests on."""

from decimal import Decimal

from budgets.calc.budget_rules import PACES, Figures, figure_of
from budgets.reports.budget_figures import NewSource
from budgets.reports.budget_use import BudgetUse
from consumption_cs.lib.display import counted, money_text, quantity_text, unit_price_text

WINDOW_WORDS = {"velocity_fast": "1 and 6 hours", "velocity_slow": "6 hours and 3 days"}


def headline_of(kind: str, value: Decimal, use: BudgetUse, figures: Figures) -> str:
    """Return a sentence for people: which budget, what happened, and how long its period still lasts."""
    return f"{use.budget.name}: {_finding(kind, value, use, figures)}"[:300]


def _finding(kind: str, value: Decimal, use: BudgetUse, figures: Figures) -> str:
    amount, left = _money(use.amount, use), counted((use.after_day - use.today).days, "day")
    figure = _figure(kind, figures)
    if kind in PACES:
        return f"spent at {_times(figure)} the budget's pace over {WINDOW_WORDS[kind]}"
    words = {
        "actual_percent": f"{_percent(use.percent)} of {amount} is spent, {left} before the period ends",
        "actual_amount": f"{_percent(use.percent)} of {amount} is spent, {left} before the period ends",
        "forecast_over": f"a chance of {_percent(figure)} to go over {amount} in {left}",
        "forecast_p50": f"will probably end at {_percent(figure)} of {amount}, in {left}",
        "forecast_p90": f"may end at {_percent(figure)} of {amount}, in {left}",
        "balance_below": f"{_money(figure, use)} is left on commits",
        "days_below": f"commits last {counted(int(figure), 'day')} at the present burn",
        "under_use": f"only {_percent(figure)} of a straight line is spent, {left} before the period ends",
        "unit_cost": f"one outcome costs {_unit(figure, use)}, more than {_unit(value, use)}",
        "success_below": f"{_percent(figure)} of attempts succeed, fewer than {_percent(value)}",
    }
    return words[kind]


def source_headline(use: BudgetUse, source: NewSource) -> str:
    """Return the sentence about a workflow that has spent much on its first day."""
    return f"{use.budget.name}: {source.name} is new and has spent {_money(source.spent, use)} today"[:300]


def numbers_of(kind: str, use: BudgetUse, figures: Figures) -> dict[str, str]:
    """Return the numbers to freeze, as text: what was used, and what this kind of rule compares."""
    found: dict[str, Decimal | int | None] = {"used": use.used, "amount": use.amount, "percent": use.percent}
    if kind.startswith("forecast") and figures.fan is not None:
        chance = figures.p_over
        found |= {"probability": None if chance is None else Decimal(chance)}
        found |= {"p10": figures.fan.p10, "p50": figures.fan.p50, "p90": figures.fan.p90}
    if kind in PACES:
        short = PACES[kind][0]
        found |= {"times": _figure(kind, figures), "per_hour": figures.windows[short] / short}
        found |= {"budget_per_hour": use.per_hour}
    if kind in ("balance_below", "days_below"):
        found |= {"remaining": figures.remaining, "days": figures.days_left}
    if kind == "unit_cost":
        found |= {"unit_cost": figures.unit_cost}
    if kind == "success_below":
        found |= {"success_rate": _figure(kind, figures) / 100, "finished": figures.finished}
    return {name: _text(number) for name, number in found.items() if number is not None}


def _text(number: Decimal | int) -> str:
    rounded = round(Decimal(number), 6).normalize()
    return f"{rounded:f}"


def _figure(kind: str, figures: Figures) -> Decimal:
    return figure_of(kind, figures) or Decimal(0)


def _unit(amount: Decimal, use: BudgetUse) -> str:
    return unit_price_text(amount, use.account.currency)


def _money(amount: Decimal, use: BudgetUse) -> str:
    return money_text(amount, use.account.currency)


def _percent(value: Decimal) -> str:
    return f"{quantity_text(round(value, 1), places=None if value == round(value) else 1)}%"


def _times(value: Decimal) -> str:
    return f"{quantity_text(round(value, 1), places=1)} times"
