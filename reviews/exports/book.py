"""The queue as a file."""

from collections.abc import Iterable

from consumption_cs.lib.csv_files import write_rows
from reviews.calc.queue import GROUPS
from reviews.reports.queue import Row

_COLUMNS = (
    "account", "name", "csm", "group", "act_on", "reason", "at_risk", "currency", "at_risk_kind", "play", "next_step",
    "health", "run_out_p10_days", "run_out_p50_days", "run_out_p90_days", "commit_used_percent", "last_touch",
)  # fmt: skip


def book_csv(rows: Iterable[Row]) -> bytes:
    """Return one line an account, in the order given; what is not known is empty."""
    return write_rows(_COLUMNS, [_row(row) for row in rows])


def _row(row: Row) -> list[object]:
    numbers = row.found.number
    return [
        row.account.key, row.account.name, str(row.account.csm or ""), GROUPS[row.standing.group],
        row.standing.act_on.isoformat() if row.standing.act_on else "", row.sentence, row.at_risk,
        row.account.currency, row.at_risk_words, row.run.name if row.run else "", row.run.next_step if row.run else "",
        "" if row.score is None else row.score, *(_text(numbers(f"run_out_{name}")) for name in ("p10", "p50", "p90")),
        _text(numbers("commit_used_percent")), row.touch.at.isoformat() if row.touch else "",
    ]  # fmt: skip


def _text(number: object) -> object:
    return "" if number is None else number
