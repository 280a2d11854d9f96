"""Files of the team's page: the load of each person, and what they are paid by."""

from collections.abc import Iterable

from consumption_cs.lib.csv_files import write_rows
from reviews.reports.incentives import LedgerLine
from reviews.reports.team import Team

_LOAD = (
    "person", "email", "accounts", "open_plays", "tier_hours", "play_hours", "hours_available", "percent", "why_not",
    "at_risk", "currency",
)  # fmt: skip
_LEDGER = (
    "person", "email", "account", "name", "day", "weeks_in_band_percent", "why_not", "production_workflows",
    "ladder_percent", "top_share_percent", "excused", "disputed",
)  # fmt: skip


def team_csv(seen: Team) -> bytes:
    """Return a line a person and currency of what is at risk; hours a week."""
    rows: list[list[object]] = []
    for one in seen.people:
        percent = "" if one.percent is None else f"{one.percent:.1f}"
        head = [
            str(one.user or ""), one.user.email if one.user else "", len(one.accounts), one.plays, one.tier_hours,
            one.play_hours, "" if one.available is None else one.available, percent, one.why_not,
        ]  # fmt: skip
        rows += [[*head, amount, code] for code, amount in sorted(one.at_risk.items())] or [[*head, "", ""]]
    return write_rows(_LOAD, rows)


def ledger_csv(lines: Iterable[LedgerLine]) -> bytes:
    """Return one line an account and its owner, in the order given."""
    return write_rows(_LEDGER, [_row(line) for line in lines])


def _row(line: LedgerLine) -> list[object]:
    def told(value: object) -> object:
        return "" if value is None else value

    account = line.account
    return [
        str(account.csm), account.csm.email if account.csm else "", account.key, account.name,
        line.day.isoformat() if line.day else "",
        told(line.in_band), line.why_not, told(line.workflows), told(line.ladder), told(line.top_share),
        line.excused_words, line.disputed,
    ]  # fmt: skip
