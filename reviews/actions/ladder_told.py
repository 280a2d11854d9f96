"""Proposed steps of the ladder, and what people decide, are told to the vendor's destinations that ask for it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from budgets.actions.outbox import site_url
from reviews.actions.telling import Happened, tell_events
from reviews.models import RungMove
from reviews.reports.ladder_words import move_detail, move_words


def tell_moves(organization_id: UUID, now: datetime, topic: str, move_ids: Sequence[UUID]) -> None:
    """Tell of each move once: `rung.proposed` or `rung.decided`. In the caller's transaction."""
    if not move_ids:
        return
    rows = RungMove.objects.filter(pk__in=move_ids).select_related("account", "workflow", "decided_by")
    tell_events(organization_id, now, [_happened(topic, move) for move in rows])


def _happened(topic: str, move: RungMove) -> Happened:
    url = site_url("reviews:ladder_card", move.account_id, move.workflow_id)
    data = {
        "move_id": str(move.pk),
        "workflow_id": str(move.workflow_id),
        "workflow": move.workflow.name,
        "kind": move.kind,
        "from": move.from_stage,
        "to": move.to_stage,
        "state": move.state,
        "since": move.happened_on.isoformat(),
        "evidence": move.evidence,
        "expires_on": move.expires_on.isoformat() if move.expires_on else None,
        "url": url,
    }
    heading = f"{move.workflow.name}: {move_words(move)}"
    return Happened(topic, move.account, str(move.pk), data, heading, move_detail(move, inside=True), url)
