"""What commits of different size would cost, as a chart."""

from decimal import Decimal

from budgets.reports.right_sizing import RightSizing
from consumption_cs.lib.display import money_text, percent_text
from consumption_cs.lib.figures import Figure, Mark, Numbers, Series


def size_chart(seen: RightSizing, currency: str) -> Figure:
    """Expected cost by size of the commit, with the cheapest marked."""

    def money(amount: float) -> str:
        return money_text(Decimal(repr(round(amount, 2))), currency, places=0)

    names = [money(size.commit) for size in seen.found]
    best = money(seen.best.commit)
    headline = f"A commit of {best} costs least: {money(seen.best.cost)} in all is expected"
    if not seen.best.commit:
        headline = f"No commit costs least: {money(seen.best.cost)} is expected as you go"
    return Figure(
        id="sizes",
        headline=headline,
        sub=f"Expected cost of a term of {seen.days} days, commit and overage together, in {currency}.",
        summary=f"{headline}. A table below has the numbers.",
        series=[
            Series("Commit", names, [round(size.commit, 2) for size in seen.found], tone="weak"),
            Series("Expected overage", names, [round(size.overage, 2) for size in seen.found], tone="flag"),
        ],
        marks=[Mark(best, round(seen.best.cost, 2), "least", "ink")],
        currency=currency,
        numbers=Numbers(
            ["Commit", "Discount", "Expected cost", "Expected overage", "Expected unused", "Chance of overage"],
            [
                [
                    money(size.commit),
                    percent_text(size.percent / 100, places=0),
                    money(size.cost),
                    money(size.overage),
                    money(size.unused),
                    percent_text(size.p_overage, places=0),
                ]
                for size in seen.found
            ],
        ),
    )
