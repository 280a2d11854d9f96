"""Files of the leader's pages: the walk by month and account, and the dates ahead."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from budgets.exports.run_outs import event, folded
from consumption_cs.lib.csv_files import write_rows
from consumption_cs.lib.money import round_to
from reviews.calc.walk import Walk
from reviews.reports.renewals import RenewalLine
from reviews.reports.retention import RetentionSeen

_ROLLING = (
    "month", "months_known", "nrr_look_back_percent", "grr_look_back_percent", "nrr_run_rate_percent",
    "grr_run_rate_percent", "nrr_year_on_year_percent", "grr_year_on_year_percent", "grr_committed_percent",
    "currency",
)  # fmt: skip
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


def walk_csv(seen: RetentionSeen, begin: date, end: date, walk: Walk) -> bytes:
    """Return one line an account: what it used in either month, and last the sums; to the cent."""
    rows: list[list[object]] = [
        [seen.names.get(step.account, step.account), step.kind, step.before, step.after, step.change, seen.currency]
        for step in walk.steps
    ]
    rows.append(["All", "", walk.opening, walk.closing, walk.closing - walk.opening, seen.currency])
    return write_rows(("account", "kind", f"{begin:%Y-%m}", f"{end:%Y-%m}", "change", "currency"), rows)


def rolling_csv(seen: RetentionSeen) -> bytes:
    """Return one line a month: retention every way in percent, empty where it is not known."""

    def told(percent: Decimal | None) -> object:
        return "" if percent is None else round_to(percent, 4)

    return write_rows(
        _ROLLING,
        [
            [
                f"{row.month:%Y-%m}", row.known, *(told(one) for one in (
                    row.back_net, row.back_gross, row.net, row.gross, row.year_net, row.year_gross, row.committed
                )), seen.currency,
            ]
            for row in seen.rolling
        ],
    )  # fmt: skip


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
