"""Files of the team's page: the load of each person, and what they are paid by."""

from collections.abc import Iterable

from consumption_cs.lib.csv_files import write_rows
from consumption_cs.lib.money import exponent, round_to
from reviews.models import IncentiveDispute
from reviews.reports.incentive_lines import LedgerLine
from reviews.reports.team import Team

_LOAD = (
    "person", "email", "accounts", "open_plays", "tier_hours", "play_hours", "hours_available", "percent", "why_not",
    "at_risk", "currency",
)  # fmt: skip
_LEDGER = (
    "quarter", "person", "email", "account", "name", "day", "weeks_in_band_percent", "why_not", "weeks_in_band",
    "weeks_counted", "weeks_excused", "target_a_week", "currency", "production_workflows", "ladder_percent",
    "top_share_percent", "excused", "waits_for_approval", "dispute", "disputed_at", "dispute_reason", "answered_by",
    "answered_at", "answer",
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
    """Return one line an account and its owner, in the order given; the last dispute with its answer."""
    return write_rows(_LEDGER, [_row(line) for line in lines])


def _row(line: LedgerLine) -> list[object]:
    def told(value: object) -> object:
        return "" if value is None else value

    account, person = line.account, line.person
    known = line.in_band is not None
    return [
        line.quarter.name, str(person), person.email, account.key, account.name,
        line.day.isoformat() if line.day else "",
        told(None if line.in_band is None else round_to(line.in_band, 4)), line.why_not,
        line.inside if known else "", len(line.counted) if known else "", len(line.weeks) - len(line.counted),
        told(None if line.target is None else round_to(line.target, exponent(account.currency))), account.currency,
        told(line.workflows), told(line.ladder), told(line.top_share), line.excused_words,
        "; ".join(one.words for one in line.waiting), *_dispute(line),
    ]  # fmt: skip


def _dispute(line: LedgerLine) -> list[object]:
    """Return the state, when and why it was disputed, and who answered what when; empty where nobody did."""
    last = line.dispute
    if last is None:
        return [""] * 6
    raised = next(one for one in reversed(line.disputes) if one.step == IncentiveDispute.Step.RAISED)
    head = [last.get_step_display().lower(), raised.at.isoformat(), raised.text]
    return [*head, *(["", "", ""] if last is raised else [str(last.by), last.at.isoformat(), last.text])]
