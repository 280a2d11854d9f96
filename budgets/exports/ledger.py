"""The ledger as a table: all entries that a filter lets through, oldest first."""

from collections.abc import Iterator

from accounts.models import Account
from budgets.reports.ledger import LedgerFilters, LedgerLine, entries
from consumption_cs.lib.csv_files import write_rows
from consumption_cs.lib.tenancy import Viewer

_COLUMNS = (
    "day", "kind", "commit", "meter", "amount", "currency", "balance_of_commit", "balance_of_all", "why",
    "entry", "reverses", "reversed_by", "reason", "by", "booked_at",
)  # fmt: skip
_PAGE = 5000


def ledger_csv(viewer: Viewer, account: Account, filters: LedgerFilters) -> bytes:
    """Return the entries, newest first. To be called inside the tenant scope."""
    return write_rows(_COLUMNS, _rows(viewer, account, filters))


def _rows(viewer: Viewer, account: Account, filters: LedgerFilters) -> Iterator[list[object]]:
    cursor = ""
    while True:
        page = entries(viewer, account, filters, cursor, _PAGE)
        for line in page.lines:
            yield _row(line, account.currency)
        cursor = page.next_cursor
        if not cursor:
            return


def _row(line: LedgerLine, currency: str) -> list[object]:
    return [
        line.day, line.kind, line.commit_name, line.meter_name, line.amount, currency,
        "" if line.balance is None else line.balance, line.total, line.why,
        line.id, line.reverses or "", line.reversed_by or "", line.reason, line.actor_name,
        line.booked_at.isoformat(),
    ]  # fmt: skip
