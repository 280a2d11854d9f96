"""The chart of the reliability board: money wasted by account, by what kind of waste it is."""

from collections.abc import Sequence

from consumption_cs.lib.display import money_text, percent_text
from consumption_cs.lib.figures import Figure, Numbers, Series
from reviews.reports.reliability import AccountWaste
from reviews.reports.reliability_words import largest


def waste_figure(accounts: Sequence[AccountWaste], currency: str, csv_url: str) -> Figure | None:
    """Return the accounts of one currency with the most waste, at most twelve; None when there is none."""
    shown = largest(accounts, currency)
    if not shown:
        return None
    names = [one.account.name for one in shown]
    everything = sum(one.waste.total for one in accounts if one.account.currency == currency)
    top = shown[0]
    share = percent_text(top.waste.total / everything, places=0) if everything else ""
    headline = (
        f"{share} of what was wasted is at {top.account.name}"
        if len(shown) > 1
        else f"All of it is at {top.account.name}"
    )
    kinds = (
        ("Failed", [one.waste.failed - one.waste.credit_candidate for one in shown], "main"),
        ("Failed by our fault", [one.waste.credit_candidate for one in shown], "flag"),
        ("Retries", [one.waste.retries for one in shown], "second"),
        ("Duplicates", [one.waste.duplicates for one in shown], "third"),
        ("Idle minimum", [one.waste.idle_minimum for one in shown], "weak"),
    )
    return Figure(
        id="wasted",
        headline=headline,
        sub=f"{currency} of the last 28 closed days, at contract rates. At most twelve accounts.",
        summary=f"Bar chart of money wasted by account. {headline}.",
        series=[Series(name, names, values, tone=tone) for name, values, tone in kinds if any(values)],  # type: ignore[arg-type]
        currency=currency,
        csv_url=csv_url,
        numbers=Numbers(
            ["Account", "Failed", "By our fault", "Retries", "Duplicates", "Idle minimum", "Wasted", "Of spend"],
            [
                [
                    one.account.name,
                    *(
                        money_text(amount, currency)
                        for amount in (
                            one.waste.failed, one.waste.credit_candidate, one.waste.retries, one.waste.duplicates,
                            one.waste.idle_minimum, one.waste.total,
                        )
                    ),
                    percent_text((one.waste.percent or 0) / 100),
                ]
                for one in shown
            ],
        ),
    )  # fmt: skip
