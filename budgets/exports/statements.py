"""A statement as a table: one line a commit, meter and adjustment, with the totals that they add up to."""

from collections.abc import Iterator

from accounts.models import Account
from budgets.reports.statements import Statement, StatementLine
from consumption_cs.lib.csv_files import write_rows

_COLUMNS = (
    "account", "period_from", "period_until", "closed", "line", "name", "currency", "opening", "granted", "amended",
    "not_rolled_over", "drawn", "expired", "cancelled", "closing", "rated", "adjusted", "overage", "surcharge", "due",
    "reason",
)  # fmt: skip


def statement_csv(account: Account, found: Statement) -> bytes:
    """Return the statement; the lines of a kind add up to its total line."""
    return write_rows(_COLUMNS, _rows(account, found))


def _rows(account: Account, found: Statement) -> Iterator[list[object]]:
    period = found.period
    head = [account.key, period.starts_on, period.ends_on, "yes" if period.is_closed else "no"]
    for line in found.commits:
        yield [*head, "commit", line.name, found.currency, *_moves(line), "", "", "", "", "", ""]
    yield [*head, "commits", "All commits", found.currency, *_moves(found.total), "", "", "", "", "", ""]
    for meter in found.meters:
        money = ["", "", "", "", meter.drawn, "", "", "", meter.rated, meter.adjusted, meter.overage]
        yield [*head, "meter", meter.name, found.currency, *money, "", "", ""]
    for one in found.adjustments:
        name = f"{one.meter_name}, period from {one.period_starts_on}"
        yield [*head, "adjustment", name, found.currency, *[""] * 9, one.amount, "", "", "", one.reason]
    money = ["", "", "", "", found.drawn, "", "", "", found.rated, found.adjusted, found.overage]
    yield [*head, "total", "Due", found.currency, *money, found.surcharge, found.due, ""]


def _moves(line: StatementLine) -> list[object]:
    return [
        line.opening, line.granted, line.amended, line.not_rolled_over, line.drawn, line.expired, line.cancelled,
        line.closing,
    ]  # fmt: skip
