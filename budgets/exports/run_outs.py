"""Run-out dates as a calendar (RFC 5545) and as a table."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from budgets.reports import burndown_words as words
from budgets.reports.run_outs import RunOutLine
from consumption_cs.lib.csv_files import write_rows

_COLUMNS = (
    "account", "name", "state", "currency", "left", "early", "most_likely", "late", "chance_before_term_end",
    "term_ends_on", "approval_days", "start_approval_by", "forecast_made_at",
)  # fmt: skip
_LINE = 73  # octets, with room for the fold's own space


def run_outs_csv(lines: Iterable[RunOutLine]) -> bytes:
    """Return one line an account, as on the page."""
    return write_rows(_COLUMNS, [_row(line) for line in lines])


def _row(line: RunOutLine) -> list[object]:
    run = line.run
    head: list[object] = [line.account.key, line.account.name, line.state, line.account.currency]
    if run is None:
        return [*head, *[""] * 9]
    return [
        *head, _or_empty(run.remaining), _or_empty(run.exhaust_p10), _or_empty(run.exhaust_p50),
        _or_empty(run.exhaust_p90), "" if run.p_exhausted is None else round(run.p_exhausted, 3),
        _or_empty(run.term_ends_on), line.approval_days, _or_empty(line.decide_by), run.made_at.isoformat(),
    ]  # fmt: skip


def _or_empty(value: object) -> object:
    return "" if value is None else value


def calendar(lines: Sequence[RunOutLine], name: str, site_url: str, now: datetime) -> bytes:
    """Return an iCalendar file: for each account the day to start approval, and the most likely run-out day.

    The identifiers stay the same from forecast to forecast, so that a subscribed calendar moves its entries.
    """
    told = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Consumption CS//Run-out dates//EN", "CALSCALE:GREGORIAN"]
    told += [f"X-WR-CALNAME:{escaped(name)}", "REFRESH-INTERVAL;VALUE=DURATION:PT12H"]
    for line in lines:
        if line.run is None or line.run.exhaust_p50 is None or line.state in ("refills", "exhausted"):
            continue
        url = f"{site_url}/accounts/{line.account.pk}/burndown/"
        window = words.range_text(line.run, now.date())
        about = f"8 in 10 outcomes: {window}. Forecast of {line.run.as_of}."
        if line.decide_by:
            title = f"{line.account.name}: start approval of a top-up"
            told += event(f"approval-{line.account.pk}", line.decide_by, title, about, url, now)
        title = f"{line.account.name}: commit most likely runs out"
        told += event(f"run-out-{line.account.pk}", line.run.exhaust_p50, title, about, url, now)
    told.append("END:VCALENDAR")
    return "".join(f"{folded(one)}\r\n" for one in told).encode()


def event(uid: str, day: date, title: str, about: str, url: str, now: datetime) -> list[str]:
    return [
        "BEGIN:VEVENT",
        f"UID:{uid}@consumption-cs",
        f"DTSTAMP:{now:%Y%m%dT%H%M%SZ}",
        f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
        f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
        f"SUMMARY:{escaped(title)}",
        f"DESCRIPTION:{escaped(about)}",
        f"URL:{url}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def escaped(text: str) -> str:
    clean = "".join(letter for letter in text if letter.isprintable() or letter == "\n")
    return clean.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def folded(line: str) -> str:
    """Break a line at 73 octets, never inside a character."""
    parts, part, size = [], "", 0
    for letter in line:
        width = len(letter.encode())
        if size + width > _LINE:
            parts.append(part)
            part, size = "", 0
        part += letter
        size += width
    return "\r\n ".join([*parts, part])
