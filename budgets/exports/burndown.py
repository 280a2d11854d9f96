"""The burndown as a table: each day's balance by commit, and the forecast ahead."""

from collections.abc import Iterator

from budgets.reports.burndown import Burndown
from consumption_cs.lib.csv_files import write_rows
from consumption_cs.lib.money import exponent

_FIXED = ("day", "currency", "known", "left", "left_p10", "left_p50", "left_p90", "forecast_made_at")


def burndown_csv(seen: Burndown) -> bytes:
    """Return the days of the term: what was left at their end, and from the forecast on what will be."""
    return write_rows((*_FIXED, *(layer.commit.name for layer in seen.layers)), _rows(seen))


def _rows(seen: Burndown) -> Iterator[list[object]]:
    currency = seen.account.currency
    places = exponent(currency)
    for at, day in enumerate(seen.days):
        each = [layer.left[at] for layer in seen.layers]
        yield [day, currency, "booked", sum(each), "", "", "", "", *each]
    if seen.ahead is None or seen.run is None:
        return
    blank = [""] * len(seen.layers)
    made = seen.run.made_at.isoformat()
    ahead = seen.ahead
    for day, low, middle, high in zip(ahead.days, ahead.low, ahead.middle, ahead.high, strict=True):
        amounts = [f"{amount:.{places}f}" for amount in (low, middle, high)]
        yield [day, currency, "forecast", "", *amounts, made, *blank]
