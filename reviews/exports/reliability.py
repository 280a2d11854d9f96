"""The reliability board as a table: one line a workflow, and one for each account's minimum that was not used up."""

from collections.abc import Iterable
from decimal import Decimal

from consumption_cs.lib.csv_files import write_rows
from reviews.reports.reliability import AccountWaste, Line

_COLUMNS = (
    "account", "account_name", "owners", "workflow", "stage", "state", "finished", "success_ratio", "success_low_95",
    "success_high_95", "target", "success_change_points", "currency", "spend", "failed", "credit_candidate", "retries",
    "duplicates", "beyond_quota", "idle_minimum", "wasted", "wasted_percent", "wasted_28_days_before", "errors",
)  # fmt: skip


def reliability_csv(lines: Iterable[Line], minimums: Iterable[AccountWaste]) -> bytes:
    """Return the lines in the order given; `minimums` of accounts follow, since no workflow caused them."""
    return write_rows(_COLUMNS, [*map(_row, lines), *(_minimum(one) for one in minimums if one.waste.idle_minimum)])


def _row(line: Line) -> list[object]:
    low, high = line.interval or (None, None)
    return [
        line.account.key, line.account.name, ", ".join(line.owners), line.name, line.stage, line.state, line.finished,
        _number(line.rate, 4), _number(low, 4), _number(high, 4), f"{line.wanted.normalize():f}",
        _number(line.change_points, 2), line.currency, _number(line.waste.spend), _number(line.waste.failed),
        _number(line.waste.credit_candidate), _number(line.waste.retries), _number(line.waste.duplicates),
        _number(line.waste.beyond_quota), "0.00", _number(line.waste.total), _number(line.waste.percent),
        _number(line.waste_before.total if line.before else None),
        "; ".join(f"{error or 'no error named'} ({times})" for error, times in line.errors),
    ]  # fmt: skip


def _minimum(one: AccountWaste) -> list[object]:
    amount = _number(one.waste.idle_minimum)
    head: list[object] = [one.account.key, one.account.name, "", "Minimum spend not used up", "", "", "", "", "", ""]
    return [
        *head, "", "", one.account.currency, amount, "0.00", "0.00", "0.00", "0.00", "0.00", amount, amount, "100.00",
        _number(one.before.idle_minimum), "",
    ]  # fmt: skip


def _number(value: Decimal | float | None, places: int = 2) -> str:
    return "" if value is None else f"{value:.{places}f}"
