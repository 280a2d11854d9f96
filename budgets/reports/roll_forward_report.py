"""Roll-forward: opening + granted − drawn − expired ± changes = closing, by account and billing period."""

from collections.abc import Sequence
from datetime import datetime

from accounts.models import Account, Organization
from budgets.reports.burndown_report import MOVES
from budgets.reports.document import PRINTED, Cell, Column, Document, Row, Table, cents
from budgets.reports.statements import periods_of, statement
from consumption_cs.lib.display import counted
from consumption_cs.lib.tenancy import Viewer

# Neither opening nor closing is added up over periods: each closing is the next one's opening.
_CHANGES = tuple(Column(column.label, "money", total=column.label != "Opening") for column in MOVES)
COLUMNS = (
    Column("Account"), Column("Key"), Column("Currency"), Column("From", "date"), Column("Until", "date"),
    *_CHANGES, Column("Closing", "money", adds=("Opening", "Cancelled")), Column("Overage", "money", total=True),
    Column("State"),
)  # fmt: skip
_MOVES = ("opening", "granted", "amended", "not_rolled_over", "drawn", "expired", "cancelled", "closing")


def account_rows(viewer: Viewer, account: Account, as_of: datetime) -> list[Row]:
    """Return one row a billing period, the latest first, from what had been booked by then."""
    rows: list[Row] = []
    for period in periods_of(viewer, account, as_of):
        found = statement(viewer, account, period, as_of)
        state = "closed" if period.is_closed else "ended" if period.has_ended else "open"
        moves = [cents(getattr(found.total, name), account.currency) for name in _MOVES]
        head: list[Cell] = [account.name, account.key, account.currency, period.starts_on, period.ends_on]
        rows.append([*head, *moves, cents(found.overage, account.currency), state])
    return rows


def account_document(viewer: Viewer, organization: Organization, account: Account, as_of: datetime) -> Document:
    """Return the account's roll-forward."""
    return _document(organization, account.name, account.timezone, account_rows(viewer, account, as_of), as_of)


def organization_document(organization: Organization, rows: Sequence[Row], as_of: datetime) -> Document:
    """Return the roll-forward of all accounts from their rows."""
    return _document(organization, "", organization.timezone, rows, as_of)


def _document(organization: Organization, account: str, zone: str, rows: Sequence[Row], as_of: datetime) -> Document:
    table = Table(
        "Periods", "By billing period", "Opening + granted + amended + … = closing; a closing is the next opening.",
        COLUMNS, rows, most_printed=PRINTED,
    )  # fmt: skip
    said = f"{counted(len(rows), 'billing period')} from opening to closing."
    return Document("roll_forward", "Roll-forward", organization.name, account, as_of, zone, said, (), [table])
