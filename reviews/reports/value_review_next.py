"""What a value review says of the way ahead: the plan's objectives, the next workflows, and how far to trust it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from accounts.models import Account
from budgets.reports.verification import badge
from consumption_cs.lib.display import counted, percent_text
from consumption_cs.lib.tenancy import Viewer
from reviews.reports.expansion import next_candidates
from reviews.reports.plans import active_plan
from reviews.reports.value_review_sums import Sums

HUNDRED = Decimal(100)


def next_workflows(viewer: Viewer, account: Account) -> list[dict[str, Any]]:
    """Return the two or three workflows with the cleanest path to value."""
    return next_candidates(viewer, account)


def objectives(viewer: Viewer, account: Account, now: datetime) -> dict[str, Any]:
    """Return the shared objectives of the active plan as measured now; or why there are none."""
    found = active_plan(viewer, account, now)
    shared = [one for one in found.objectives if one.row.is_shared] if found else []
    if not shared:
        return {"objectives": [], "objectives_missing": "No objective of an adoption plan is shared."}
    rows = [
        {
            "id": str(one.row.pk),
            "title": one.row.title,
            "target": one.target,
            "value": one.value,
            "start": one.start,
            "state": one.state,
            "share": f"{one.progress.share:.6f}" if one.progress.share is not None else None,
        }
        for one in shared
    ]
    return {"objectives": rows, "objectives_missing": None}


def trust(viewer: Viewer, account: Account, sums: Sums, asked: Any) -> dict[str, Any]:
    """Return what the figures rest on: attempts, days with data, and whether the ledger agrees."""
    days = (asked.end - asked.start).days
    share = Decimal(sums.days_with_data) / days if days else Decimal(0)
    found = badge(viewer)
    agrees = {"good": True, "bad": False}.get(found.tone)
    words = f"{counted(sums.attempts, 'finished attempt')}, use on {percent_text(share, places=0)} of the days"
    return {
        "attempts": sums.attempts,
        "received_share": f"{share:.6f}",
        "reconciled": agrees,
        "words": f"{words}; {found.words[0].lower()}{found.words[1:]}.",
    }
