"""A person's word against the score: for at most 30 days, with why, in the audit log."""

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError

from accounts.actions.audit import audit
from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from reviews.models import HealthOverride

LONGEST = timedelta(days=30)


def set_override(
    viewer: Viewer, account: Account, score: int, reason: str, lasting: timedelta, now: datetime
) -> HealthOverride:
    """Let `score` hold instead of the measured one; it replaces an earlier word. Raises ValidationError."""
    if not reason.strip():
        raise ValidationError("Say why: the team reads it beside the score.")
    if not 0 <= score <= 100:
        raise ValidationError("A score is 0 to 100.")
    if not timedelta() < lasting <= LONGEST or viewer.user_id is None:
        raise ValidationError("It lasts for up to 30 days, then it is looked at again.")
    end_override(viewer, account, now)
    made = HealthOverride.objects.create(
        organization_id=viewer.organization_id,
        account=account,
        score=score,
        reason=reason.strip(),
        by_id=viewer.user_id,
        starts_at=now,
        ends_at=now + lasting,
    )
    audit(viewer, "health.overridden", made, account.name, {"score": score, "reason": made.reason})
    return made


def end_override(viewer: Viewer, account: Account, now: datetime) -> None:
    """Take back the word that holds at `now`, if there is one."""
    rows = HealthOverride.objects.visible_to(viewer).filter(
        account=account, ended_at=None, starts_at__lte=now, ends_at__gt=now
    )
    for row in rows.select_for_update(of=("self",)):
        row.ended_at = now
        row.save(update_fields=["ended_at"])
        audit(viewer, "health.override_ended", row, account.name, {"score": row.score})
