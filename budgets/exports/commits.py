"""The commits of an account as a table."""

from decimal import Decimal

from accounts.models import Account
from budgets.reports.balances import AccountBalance, CommitState
from consumption_cs.lib.csv_files import write_rows

_COLUMNS = (
    "account", "contract", "commit", "kind", "state", "unit", "amount", "rate", "currency", "granted", "drawn",
    "settled", "ongoing", "priority", "effective_on", "expires_on", "recurs_months", "expiring", "cancelled_on",
)  # fmt: skip


def commits_csv(account: Account, balance: AccountBalance) -> bytes:
    """Return one line a commit, in the order they are drawn."""
    return write_rows(_COLUMNS, [_row(account, row) for row in balance.commits])


def _row(account: Account, row: CommitState) -> list[object]:
    commit = row.commit
    return [
        account.key, commit.contract.name, commit.name, commit.kind, row.state, commit.unit, _plain(commit.amount),
        _plain(commit.rate), account.currency, row.granted, row.drawn, row.settled, row.ongoing, commit.priority,
        commit.effective_on, commit.expires_on or "", commit.recurs_months or "", row.expiring,
        commit.cancelled_on or "",
    ]  # fmt: skip


def _plain(amount: Decimal) -> str:
    """Return all digits that matter and no exponent, which a spreadsheet would round."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
