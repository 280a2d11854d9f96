"""The chart of a budget: its period so far, added up, and where it will most likely end."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate

from accounts.models import Account
from budgets.calc.budget_rules import Fan
from budgets.reports.budget_use import BudgetUse
from budgets.reports.headroom import limit_amount
from budgets.reports.scope_days import scope_days
from consumption_cs.lib.display import money_text
from consumption_cs.lib.figures import Figure, Numbers, Rule, Series
from consumption_cs.lib.tenancy import Viewer
from usage.reports.overview_words import short_date

MOST_DAYS = 400
ZERO = Decimal(0)


def budget_figure(viewer: Viewer, account: Account, use: BudgetUse, fan: Fan | None) -> Figure | None:
    """The period added up day by day, with the budget, the limit, and the range at its end; None for a single day."""
    days = [
        use.first_day + timedelta(days=index) for index in range(min((use.after_day - use.first_day).days, MOST_DAYS))
    ]
    if len(days) < 2:
        return None
    spent = scope_days(viewer, use.budget, use.first_day, use.after_day)
    known = [day for day in days if day <= use.today]
    sums: list[Decimal | None] = list(accumulate(spent.get(day, ZERO) for day in known))
    rules = [Rule("Budget", y=use.amount)]
    limit = limit_amount(use)
    if use.limit is not None and limit != use.amount:
        rules.append(Rule("Limit", y=limit, tone="bad"))
    return Figure(
        id="budget",
        headline=_finding(use, fan),
        sub=f"{account.currency}, added up from {short_date(days[0])}, at the contract rate.",
        summary="Line chart of the spend of the period, added up day by day, with the budget and where it may end.",
        series=[
            *_ahead(use, fan, days, known, sums),
            Series("Spent so far", days, [*sums, *[None] * (len(days) - len(sums))], kind="area"),
        ],
        rules=rules,
        currency=account.currency,
        numbers=Numbers(
            ["Day", "Spent so far"],
            [
                [short_date(day), money_text(total or ZERO, account.currency)]
                for day, total in zip(known, sums, strict=True)
            ],
        ),
    )


def _ahead(
    use: BudgetUse, fan: Fan | None, days: list[date], known: list[date], sums: list[Decimal | None]
) -> list[Series]:
    """Straight lines from today to the low, middle and high total at the period's end."""
    if fan is None or not known or len(known) >= len(days):
        return []
    start, ahead = sums[-1] or ZERO, len(days) - len(known)

    def path(total: Decimal) -> list[Decimal | None]:
        rise = max(total, start) - start
        steps: list[Decimal | None] = [start + rise * (index + 1) / ahead for index in range(ahead)]
        return [*[None] * (len(known) - 1), start, *steps]

    return [
        Series("", days, path(fan.p90), kind="fan", tone="band"),
        Series("8 in 10 outcomes", days, path(fan.p10), kind="fan", tone="band"),
        Series("Most likely", days, path(fan.p50), kind="line", tone="dash"),
    ]


def _finding(use: BudgetUse, fan: Fan | None) -> str:
    used, amount = (money_text(one, use.account.currency, places=0) for one in (use.used, use.amount))
    if use.used >= use.amount:
        return f"{used} is spent of {amount}: the budget is used up"
    if fan is None or use.today >= use.after_day:
        return f"{used} of {amount} is spent"
    likely = money_text(fan.p50, use.account.currency, places=0)
    return f"{used} of {amount} is spent; most likely {likely} at the end"
