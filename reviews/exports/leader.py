"""Files of the leader's pages: the walk by month and account, and the dates ahead."""

from collections.abc import Iterable
from datetime import datetime

from budgets.exports.run_outs import event, folded
from consumption_cs.lib.csv_files import write_rows
from reviews.reports.renewals import RenewalLine
from reviews.reports.retention import RetentionSeen

_WALK = ("month", "account", "kind", "before", "after", "change", "currency")
_DATES = (
    "account", "name", "csm", "kind", "on", "early", "late", "at_stake", "currency", "automated", "because", "human",
    "final", "said_by", "reason", "flag",
)  # fmt: skip

_CALLS = {"grow": "grow", "flat": "flat", "at_risk": "at risk"}


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


def renewals_ics(lines: Iterable[RenewalLine], site_url: str, now: datetime) -> bytes:
    """Return an iCalendar file: a whole day for each date. Ids stay the same, so that entries move with forecasts."""
    told = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Consumption CS//Renewals//EN", "CALSCALE:GREGORIAN"]
    for line in lines:
        verb = "commit most likely runs out" if line.kind == "run_out" else "term ends"
        about = f"Data: {_CALLS[line.call.opinion]}{''.join(f'; {why}' for why in line.call.because)}."
        about += f" People: {_CALLS[line.human]}." if line.human else " No opinion yet."
        url = f"{site_url}accounts/{line.account.pk}/brief/"
        uid = f"{line.kind}-{line.account.pk}-{line.term_ends_on:%Y%m%d}"
        told += event(uid, line.on, f"{line.account.name}: {verb}", about, url, now)
    told.append("END:VCALENDAR")
    return "".join(f"{folded(one)}\r\n" for one in told).encode()


def _row(line: RenewalLine) -> list[object]:
    said = line.opinion
    return [
        line.account.key, line.account.name, str(line.account.csm or ""), line.kind_name, line.on.isoformat(),
        line.early.isoformat() if line.early else "", line.late.isoformat() if line.late else "", line.stake,
        line.account.currency, line.call.opinion, "; ".join(line.call.because), line.human,
        "yes" if line.is_final else "", str(said.by or "") if said else "", said.reason if said else "", line.flag,
    ]  # fmt: skip
