"""Files of the leader's pages: the walk by month and account, and the dates ahead."""

from collections.abc import Iterable

from consumption_cs.lib.csv_files import write_rows
from reviews.reports.renewals import RenewalLine
from reviews.reports.retention import RetentionSeen

_WALK = ("month", "account", "kind", "before", "after", "change", "currency")
_DATES = (
    "account", "name", "csm", "kind", "on", "early", "late", "at_stake", "currency", "automated", "because", "human",
    "final", "said_by", "reason", "flag",
)  # fmt: skip


def retention_csv(seen: RetentionSeen) -> bytes:
    """Return one line an account and month: the steps of a month add up to its change, to the cent."""
    rows = [
        [f"{month:%Y-%m}", seen.names.get(step.account, step.account), step.kind, step.before, step.after, step.change]
        for month, walk in seen.walks
        for step in walk.steps
    ]
    return write_rows(_WALK, [[*row, seen.currency] for row in rows])


def renewals_csv(lines: Iterable[RenewalLine]) -> bytes:
    """Return one line a date, in the order given."""
    return write_rows(_DATES, [_row(line) for line in lines])


def _row(line: RenewalLine) -> list[object]:
    said = line.opinion
    return [
        line.account.key, line.account.name, str(line.account.csm or ""), line.kind_name, line.on.isoformat(),
        line.early.isoformat() if line.early else "", line.late.isoformat() if line.late else "", line.stake,
        line.account.currency, line.call.opinion, "; ".join(line.call.because), line.human,
        "yes" if line.is_final else "", str(said.by or "") if said else "", said.reason if said else "", line.flag,
    ]  # fmt: skip
