"""Outcomes of a month as a table, and what they cost month by month."""

from collections.abc import Sequence

from accounts.models import Account
from consumption_cs.lib.csv_files import write_rows
from reviews.reports.outcome_months import FlowMonths
from reviews.reports.outcomes import OutcomeLine, Outcomes

_COLUMNS = (
    "workflow", "stage", "outcome", "from", "before", "currency", "outcomes", "spend", "cost_of_1000",
    "value_of_one", "value", "state", "who", "answered_on", "known_after_days", "not_all_known_from",
    "waste", "waste_percent", "failed", "retried", "duplicate",
)  # fmt: skip
_MONTHS = (
    "month", "workflow", "outcome", "currency", "spend", "outcomes", "cost_of_one", "cost_of_1000",
    "known_after_days", "all_known", "days_known_to",
)  # fmt: skip


def outcomes_csv(seen: Outcomes, account: Account) -> bytes:
    """Return a line a workflow; what is not known is empty."""
    return write_rows(_COLUMNS, [_row(line, seen, account) for line in seen.lines])


def _row(line: OutcomeLine, seen: Outcomes, account: Account) -> list[object]:
    terms = line.terms
    return [
        line.workflow.name, line.workflow.stage, terms.definition if terms else line.workflow.outcome_unit,
        seen.start.isoformat(), seen.end.isoformat(), account.currency, f"{line.outcomes.normalize():f}",
        f"{line.spend:f}", "" if line.per_thousand is None else f"{line.per_thousand:.6f}",
        "" if line.value_each is None else f"{line.value_each:f}",
        "" if line.value is None else f"{line.value:f}", line.state, terms.who if terms else "",
        (terms.on or "") if terms else "", terms.lag_days if terms else 0, line.open_from or "", *_waste(line),
    ]  # fmt: skip


def _waste(line: OutcomeLine) -> list[str]:
    found = line.waste
    if found is None:
        return [""] * 5
    percent = "" if found.percent is None else f"{found.percent:.4f}"
    failed, retried, duplicate = (f"{amount:.6f}" for amount in (found.failed, found.retries, found.duplicates))
    return [f"{found.total:.6f}", percent, failed, retried, duplicate]


def outcome_months_csv(flows: Sequence[FlowMonths], account: Account) -> bytes:
    """Return a line a month and workflow; a cost that is not known is empty.

    Spend and outcomes are those of the days before `days_known_to`: later ones still wait for outcomes.
    """
    rows: list[list[object]] = [
        [
            f"{one.month:%Y-%m}", flow.workflow.name, flow.workflow.outcome_unit, account.currency, f"{one.spend:f}",
            f"{one.outcomes.normalize():f}", "" if one.per_thousand is None else f"{one.per_thousand / 1000:.9f}",
            "" if one.per_thousand is None else f"{one.per_thousand:.6f}", flow.lag_days,
            "no" if one.is_open else "yes", one.known_to.isoformat(),
        ]
        for flow in flows
        for one in flow.months
    ]  # fmt: skip
    return write_rows(_MONTHS, rows)
