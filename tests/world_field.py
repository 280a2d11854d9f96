"""A way to spend less, of an account of the world: one that the customer sees, which is done, and one they do not."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.models import Account, User
from reviews.models import CostProposal
from usage.models import Workflow


def make_proposal(account: Account, workflow: Workflow, by: User, canary: str, now: datetime) -> CostProposal:
    """Return the shared one; all texts contain the canary."""
    own: dict[str, Any] = {
        "organization": account.organization, "account": account, "workflow": workflow, "currency": account.currency,
        "detail": canary, "trade_off": canary, "created_by": by, "saving_a_month": Decimal("86.75"),
    }  # fmt: skip
    CostProposal.objects.create(**own, title=f"{canary} unshared", evidence={"kind": "retries", "note": canary})
    return CostProposal.objects.create(
        **own, title=f"{canary} saving", is_shared=True, state=CostProposal.State.DONE,
        done_on=(now - timedelta(days=20)).date(),
    )  # fmt: skip
