"""Steps of workflows up and back, as lines of an account's timeline."""

from collections.abc import Iterable
from datetime import datetime

from django.urls import reverse

from accounts.models import Account
from reviews.models import RungMove
from reviews.reports.ladder_words import move_detail, move_tone, move_words
from reviews.reports.timeline_telemetry import TELEMETRY_ONLY, Item


def rungs(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return proposals when they were made, each with what was decided."""
    rows = RungMove.objects.filter(
        organization_id=account.organization_id, account=account, proposed_at__lte=until
    ).select_related("workflow", "decided_by")
    for move in rows.order_by("-proposed_at", "-pk")[:take]:
        yield Item(
            at=move.proposed_at,
            key=str(move.pk),
            groups=TELEMETRY_ONLY,
            icon="trending-down" if move.kind == RungMove.Kind.DEMOTION else "trending-up",
            tone=move_tone(move),
            title=f"{move.workflow.name}: {move_words(move)}",
            by="Ladder",
            text=move_detail(move, inside=True),
            url=reverse("reviews:ladder_card", args=[account.pk, move.workflow_id]),
        )
