"""The expansion portfolio as a table."""

from collections.abc import Iterable

from consumption_cs.lib.csv_files import write_rows
from reviews.reports.expansion import CandidateLine

_COLUMNS = (
    "account", "account_name", "candidate", "source", "state", "rung", "currency", "value_a_month", "evidence",
    "effort_weeks", "in_the_way", "path_to_value", "spend_low", "spend_likely", "spend_high", "quarter", "owner",
)  # fmt: skip


def expansion_csv(lines: Iterable[CandidateLine]) -> bytes:
    """Return a line a candidate; what is not estimated is empty."""
    return write_rows(_COLUMNS, [_row(line) for line in lines])


def _row(line: CandidateLine) -> list[object]:
    row = line.row
    amounts = [row.value_a_month, row.evidence, row.effort_weeks]
    return [
        row.account.key, row.account.name, row.title, row.source, row.state, line.rung, row.currency,
        *("" if amount is None else f"{amount:f}" for amount in amounts), "; ".join(row.obstacles),
        "" if line.path is None else f"{line.path:.2f}",
        *("" if amount is None else f"{amount:f}" for amount in (row.spend_low, row.spend_likely, row.spend_high)),
        row.quarter or "", (row.owner.name or row.owner.email) if row.owner else "",
    ]  # fmt: skip
