"""What a leader looks at, of an account of the world: why it spends less, its renewal, and what its CSM is paid by."""

from datetime import datetime, timedelta
from decimal import Decimal

from accounts.models import Account, User
from reviews.calc.quarters import Quarter
from reviews.models import IncentiveDispute, LossEvidence, RenewalCall


def make_evidence(account: Account, by: User, canary: str, now: datetime) -> LossEvidence:
    """Return evidence that waits for approval; its text and that of an opinion contain the canary."""
    today = now.date()
    RenewalCall.objects.create(
        organization=account.organization, account=account, term_ends_on=today + timedelta(days=90),
        opinion=RenewalCall.Opinion.FLAT, reason=f"{canary} verbal yes", automated="at_risk", by=by, at=now,
    )  # fmt: skip
    return LossEvidence.objects.create(
        organization=account.organization, account=account, kind=LossEvidence.Kind.ASSISTED,
        starts_on=today - timedelta(days=30), amount_a_month=Decimal("41.25"), currency=account.currency,
        note=f"{canary} trimmed", entered_by=by,
    )  # fmt: skip


def make_dispute(account: Account, by: User, canary: str, now: datetime) -> IncentiveDispute:
    """Return what the CSM disputes of the running quarter's line; nobody answered yet."""
    return IncentiveDispute.objects.create(
        organization=account.organization, account=account, quarter_starts_on=Quarter.of(now.date()).start, person=by,
        text=f"{canary} disputes", line={"Weeks in band": canary}, by=by, at=now,
    )  # fmt: skip
