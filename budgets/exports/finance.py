"""Downloads for finance: CSV that adds up and that no spreadsheet runs."""

from collections.abc import Iterable
from decimal import Decimal

from budgets.reports.reconciliation import Line
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


_RECONCILIATION = (
    "account", "name", "period_start", "period_end", "state", "currency", "rolled_up_events", "rated_events",
    "late_events", "events_without_price", "rated", "adjustments", "drawn", "overage", "today_not_booked_yet",
    "unexplained", "surcharge", "due", "invoiced", "invoice_number", "invoice_difference",
    "invoice_difference_percent",
)  # fmt: skip


def reconciliation_csv(lines: Iterable[Line]) -> bytes:
    """Return one row for each billing period; `period_end` is the first day after."""
    return write_rows(_RECONCILIATION, (_reconciliation_row(line) for line in lines))


def _reconciliation_row(line: Line) -> list[object]:
    state = "closed" if line.row else "ended" if line.has_ended else "open"
    ratio = line.invoice_ratio
    return [
        line.account.key, line.account.name, line.span.start, line.span.end, state, line.account.currency,
        line.rolled_events, line.rated_events, line.late_events, line.unpriced_events, _plain(line.rated),
        _plain(line.adjusted), _plain(line.drawn), _plain(line.overage), _plain(line.ongoing),
        _plain(line.unexplained), _plain(line.surcharge), _plain(line.due), _plain(line.invoiced),
        line.row.invoice_number if line.row else "", _plain(line.invoice_difference),
        None if ratio is None else f"{ratio * 100:.2f}",
    ]  # fmt: skip
