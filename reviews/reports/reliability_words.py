"""The reliability board in words: its sentence, and what its split of waste knows and does not know."""

from collections.abc import Sequence
from typing import Any

from consumption_cs.lib.display import counted, money_text, percent_text
from reviews.calc.waste import Waste
from reviews.reports.reliability import AccountWaste, Board, Known, Line, by_currency

NO_HASH = "not known: no event carries the hash of its input"
NO_ATTEMPT = "not known: events do not number their attempts"
NO_FAULT = "not known: failures do not say whose fault they are"
NO_OUTCOME = "not known: no event says whether it succeeded"


def headline(board: Board) -> str:
    """Return the sentence on top, over all workflows of the organization."""
    if not board.lines:
        return "Nothing was used in the last 56 days, so there is nothing to judge."
    judged = [line for line in board.lines if line.state in ("below", "perhaps", "met")]
    below = [line for line in judged if line.state == "below"]
    if not judged:
        return "No workflow says of 30 attempts how they ended, so its success is not known."
    if not below:
        return f"No workflow is surely below its success target, of {len(judged)} that say how their work ends."
    tail = "is below its success target" if len(below) == 1 else "are below their success target"
    return f"{len(below)} of {counted(len(judged), 'workflow')} {tail}."


def lead(board: Board) -> str:
    """Return what was wasted in the currency most used, and who wastes the largest share."""
    totals = [
        (currency, now, before) for currency, now, before in by_currency(board.accounts) if now.percent is not None
    ]
    worst = max(board.accounts, key=lambda one: one.waste.percent or 0, default=None)
    if not totals or worst is None:
        return ""
    currency, now, before = totals[0]
    wasted, spent = (money_text(amount, currency, places=0) for amount in (now.total, now.spend))
    told = f"{wasted} of {spent} bought nothing ({percent_text((now.percent or 0) / 100)})"
    if before.percent is not None and now.percent is not None:
        told += f", {_moved(now.percent - before.percent)}"
    if len(totals) > 1:
        told += "; what other currencies wasted stands below"
    if not worst.waste.percent:
        return told + "."
    most, share = money_text(worst.waste.total, worst.account.currency, places=0), worst.waste.percent / 100
    return f"{told}. {worst.account.name} wastes the largest share of what it spends: {percent_text(share)}, {most}."


def _moved(points: Any) -> str:
    if abs(points) < 0.05:
        return "as in the 28 days before"
    return f"{abs(points):.1f} points {'more' if points > 0 else 'less'} than in the 28 days before"


def kinds(totals: Sequence[tuple[str, Waste, Waste]], known: Known) -> list[dict[str, Any]]:
    """Return the kinds of waste with their amounts by currency; what events do not tell is said instead of a zero."""
    fault = "candidates for a credit" if known.faults else ""
    told = "" if known.outcomes else NO_OUTCOME
    rows = (
        ("Failed", "failed", "work that did not succeed", told),
        ("of it our fault", "credit_candidate", fault, told or ("" if known.faults else NO_FAULT)),
        ("Retries", "retries", "attempts after the first", "" if known.attempts else NO_ATTEMPT),
        ("Duplicates", "duplicates", "the same input again", "" if known.hashes else NO_HASH),
        ("Beyond quota", "beyond_quota", "use outside production is not billed", ""),
        ("Idle minimum", "idle_minimum", "minimum spend not used up", ""),
        ("All together", "total", "", ""),
    )
    return [
        {"label": label, "note": note, "unknown": unknown, "amounts": _amounts(totals, name)}
        for label, name, note, unknown in rows
    ]


def _amounts(totals: Sequence[tuple[str, Waste, Waste]], name: str) -> list[str]:
    """Amounts of the currencies in which there is any; a single zero where there is none."""
    amounts = [(code, getattr(now, name)) for code, now, _ in totals]
    shown = [(code, amount) for code, amount in amounts if amount] or amounts[:1]
    return [money_text(amount, code) for code, amount in shown]


def errors_text(line: Line) -> list[str]:
    """Return the most frequent errors of a line: "timeout, 41 times"."""
    return [f"{error or 'no error named'}, {times:,}×" for error, times in line.errors]


def largest(accounts: Sequence[AccountWaste], currency: str, most: int = 12) -> list[AccountWaste]:
    """Return the accounts of a currency with the most waste, the largest first."""
    return [one for one in accounts if one.account.currency == currency and one.waste.total > 0][:most]
