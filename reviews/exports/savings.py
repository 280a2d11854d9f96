"""Cost-tuning proposals as a table, each with its bridge once it is done."""

from collections.abc import Iterable

from consumption_cs.lib.csv_files import write_rows
from reviews.models import CostProposal
from reviews.reports.savings import Proof
from reviews.reports.savings_words import BRIDGE_NAMES

_COLUMNS = (
    "title", "workflow", "state", "currency", "saving_a_month", "effort", "trade_off", "done_on", "compared_days",
    "cost_of", "before", *BRIDGE_NAMES, "after", "saved_since",
)  # fmt: skip


def savings_csv(rows: Iterable[tuple[CostProposal, Proof | None]]) -> bytes:
    """Return a line a proposal; before + the parts = after, to the last place."""
    return write_rows(_COLUMNS, [_row(proposal, proof) for proposal, proof in rows])


def _row(proposal: CostProposal, proof: Proof | None) -> list[object]:
    head: list[object] = [
        proposal.title, proposal.workflow.name if proposal.workflow else "", proposal.state, proposal.currency,
        f"{proposal.saving_a_month:.2f}", proposal.effort, proposal.trade_off, proposal.done_on or "",
    ]  # fmt: skip
    if proof is None or proof.problem:
        return [*head, *[""] * (5 + len(BRIDGE_NAMES))]
    parts = {row["name"]: row["amount"] for row in proof.rows if not row["is_total"]}
    return [
        *head, proof.days, proof.per, str(proof.opening), *(parts.get(name, "0") for name in BRIDGE_NAMES),
        str(proof.closing), f"{proof.saved:.2f}",
    ]  # fmt: skip
