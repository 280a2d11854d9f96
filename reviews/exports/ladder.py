"""The ladder over all accounts as a file: one line a workflow."""

from collections.abc import Iterable

from consumption_cs.lib.csv_files import write_rows
from reviews.reports.ladders import LadderLine

_COLUMNS = (
    "account", "account_name", "workflow", "workflow_name", "rung", "next_rung", "gates_met", "gates", "open_gates",
    "state", "proposed_rung", "proposed_since", "next_gate_by", "owner_at_customer", "our_owner", "checked_at",
)  # fmt: skip


def ladder_csv(lines: Iterable[LadderLine]) -> bytes:
    """Return the lines in the order given."""
    return write_rows(_COLUMNS, map(_row, lines))


def _row(line: LadderLine) -> list[object]:
    card, move = line.card, line.move
    owner = str(card.our_owner) if card and card.our_owner else ""
    return [
        line.account.key, line.account.name, line.workflow.key, line.workflow.name, line.workflow.stage,
        line.next_name.lower(), line.met, line.gates, "; ".join(line.open_labels), line.why,
        move.to_stage if move else "", move.happened_on.isoformat() if move else "",
        card.next_gate_on.isoformat() if card and card.next_gate_on else "", card.their_owner if card else "", owner,
        card.checked_at.isoformat() if card and card.checked_at else "",
    ]  # fmt: skip
