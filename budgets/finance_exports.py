"""Downloads for finance: CSV that adds up and that no spreadsheet runs."""

from collections.abc import Iterable
from decimal import Decimal

from consumption_cs.lib.csv_files import write_rows
from usage.reports.margin import AccountMargin, Months

_MARGIN = (
    "account", "name", "currency", "from", "to", "revenue", "of_it_adjustments", "revenue_with_known_cost", "cost",
    "left", "margin_percent", "coverage_percent", "margin_percent_before", "events_without_price",
    "meters_without_cost",
)  # fmt: skip


def margin_csv(lines: Iterable[AccountMargin], months: Months) -> bytes:
    """Return the margin board; what is not known is an empty cell, never 0. `to` is the first day after."""
    return write_rows(_MARGIN, (_margin_row(line, months) for line in lines))


def _margin_row(line: AccountMargin, months: Months) -> list[object]:
    part = line.now
    return [
        line.key, line.name, line.currency, months.start, months.end, _plain(part.revenue), _plain(part.adjusted),
        _plain(part.revenue - part.costless), _plain(part.cost), _plain(part.left),
        _percent(part.margin.percent), _percent(part.margin.coverage_percent), _percent(line.before.margin.percent),
        part.unpriced_events, "; ".join(sorted(line.missing.values())),
    ]  # fmt: skip


def _plain(amount: Decimal | None) -> str | None:
    if amount is None:
        return None
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _percent(percent: Decimal | None) -> str | None:
    return None if percent is None else f"{percent:.2f}"
