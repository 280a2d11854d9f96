"""Outcomes of a month as a table."""

from accounts.models import Account
from consumption_cs.lib.csv_files import write_rows
from reviews.reports.outcomes import OutcomeLine, Outcomes

_COLUMNS = (
    "workflow", "stage", "outcome", "from", "before", "currency", "outcomes", "spend", "cost_of_1000",
    "value_of_one", "value", "state", "who", "answered_on", "known_after_days", "not_all_known_from",
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
        (terms.on or "") if terms else "", terms.lag_days if terms else 0, line.open_from or "",
    ]  # fmt: skip
