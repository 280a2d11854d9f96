"""The incentive ledger in sentences."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from consumption_cs.lib.display import counted, percent_text
from reviews.calc.quarters import Quarter
from reviews.reports.incentive_lines import LedgerLine
from usage.reports.overview_words import Fact, Words

HUNDRED = Decimal(100)


def status(lines: Sequence[LedgerLine]) -> tuple[str, str]:
    """Return the pill's words and tone: disputes that wait come first."""
    waiting = sum(line.open_dispute is not None for line in lines)
    if waiting:
        return f"{counted(waiting, 'dispute')} {'waits' if waiting == 1 else 'wait'}", "warn"
    if not lines:
        return "Nothing to pay by", "none"
    return "Nothing is disputed", "good"


def headline(lines: Sequence[LedgerLine], quarter: Quarter) -> list[Words]:
    """In Q4 2026, 41 of 63 weeks were in band over 9 accounts."""
    known = [line for line in lines if line.in_band is not None]
    if not lines:
        return [Words(f"Nobody you may look at is paid by an account in {quarter}.")]
    if not known:
        return [Words(f"Weeks in band of {quarter} are not known yet for {counted(len(lines), 'account')}.")]
    inside, weeks = sum(line.inside for line in known), sum(len(line.counted) for line in known)
    return [
        Words(f"In {quarter}, "),
        Words(f"{inside} of {counted(weeks, 'week')}", strong=True),
        Words(" were in band over "),
        Words(counted(len(known), "account"), strong=True),
        Words("."),
    ]


def lead(lines: Sequence[LedgerLine], quarter: Quarter, now: datetime) -> str:
    """How far the quarter is, and what is not known."""
    parts = []
    if quarter.end > now.date():
        parts.append(
            f"The quarter runs until {quarter.last_day:%B} {quarter.last_day.day}: these are its weeks so far."
        )
    unknown = sum(line.in_band is None for line in lines)
    if unknown and unknown < len(lines):
        parts.append(f"Of {counted(unknown, 'account')} the weeks in band are not known; the line says why.")
    return " ".join(parts)


def facts(lines: Sequence[LedgerLine]) -> list[Fact]:
    """Weeks in band, depth, what was excused, and disputes."""
    known = [line for line in lines if line.in_band is not None]
    weeks, inside = sum(len(line.counted) for line in known), sum(line.inside for line in known)
    flows = [line.workflows for line in lines if line.workflows is not None]
    excused = sum(len(line.excused) for line in lines)
    waiting = sum(len(line.waiting) for line in lines)
    answered = sum(line.dispute is not None and line.open_dispute is None for line in lines)
    open_ones = sum(line.open_dispute is not None for line in lines)
    return [
        Fact("Weeks in band", percent_text(Decimal(inside) / weeks, places=0), f"{inside} of {weeks}")
        if weeks
        else Fact("Weeks in band", "Not known yet", "needs four whole weeks", none=True),
        Fact("Workflows in production", str(sum(flows)), f"of {counted(len(flows), 'account')}")
        if flows
        else Fact("Workflows in production", "Not known yet", "not measured in the quarter", none=True),
        Fact("Excused", counted(excused, "item"), f"{waiting} more wait" if waiting else "each approved")
        if excused or waiting
        else Fact("Excused", "Nothing", "", none=True),
        Fact(
            "Disputes", str(open_ones + answered), f"{open_ones} open, {answered} answered",
            tone="warn" if open_ones else "",
        )
        if open_ones or answered
        else Fact("Disputes", "None", "", none=True),
    ]  # fmt: skip
