"""Which reports there are, of one account and of all."""

from collections.abc import Callable, Sequence
from datetime import datetime

from accounts.models import Account, Organization
from budgets.models import Report
from budgets.reports import accuracy_report, burndown_report, exposure_report, roll_forward_report
from budgets.reports.document import Column, Document, Row
from consumption_cs.lib.tenancy import Viewer

Kind = Report.Kind
RowsOf = Callable[[Viewer, Account, datetime], list[Row]]

# What the report of an organization is made of, account by account.
BY_ACCOUNT: dict[str, tuple[tuple[Column, ...], RowsOf]] = {
    Kind.BURNDOWN: (burndown_report.ACCOUNTS, burndown_report.account_row),
    Kind.ROLL_FORWARD: (roll_forward_report.COLUMNS, roll_forward_report.account_rows),
    Kind.EXPOSURE: (exposure_report.COLUMNS, exposure_report.account_rows),
}
_OF_ACCOUNT = {
    Kind.BURNDOWN: burndown_report.burndown_document,
    Kind.ROLL_FORWARD: roll_forward_report.account_document,
    Kind.EXPOSURE: exposure_report.account_document,
}
# Made in one go for the whole organization, and only for its staff.
_OF_STAFF = {Kind.ACCURACY: accuracy_report.organization_document}
_OF_ALL = {
    Kind.BURNDOWN: burndown_report.organization_burndown,
    Kind.ROLL_FORWARD: roll_forward_report.organization_document,
    Kind.EXPOSURE: exposure_report.organization_document,
}


def document(
    viewer: Viewer, organization: Organization, account: Account | None, kind: str, as_of: datetime
) -> Document:
    """Return the figures of a report that is made in one go. To be called as a viewer of just that account, if any.

    Raises LookupError for one that is made in slices, and for one of an account that there is only of all.
    """
    if account is not None:
        return _OF_ACCOUNT[Kind(kind)](viewer, organization, account, as_of)
    if Kind(kind) not in _OF_STAFF:
        raise LookupError(f"{kind} of all accounts is made in slices.")
    return _OF_STAFF[Kind(kind)](viewer, organization, as_of)


def organization_document(organization: Organization, kind: str, rows: Sequence[Row], as_of: datetime) -> Document:
    """Return the figures of all accounts."""
    return _OF_ALL[Kind(kind)](organization, rows, as_of)


def in_order(row: Row) -> tuple[str, ...]:
    """By account and what follows its currency: the same for the same accounts, in whatever order they were read."""
    return tuple(str(cell) for cell in row[:4])


def choices(of_account: bool) -> list[tuple[str, str]]:
    """Return the kinds of report that there are of one account, or of the whole organization."""
    return [(str(kind), kind.label) for kind in (_OF_ACCOUNT if of_account else (*_OF_ALL, *_OF_STAFF))]
