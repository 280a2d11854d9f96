"""Planned activities are told, and taken back; the forecast bends to them at its next turn."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account
from budgets.models import PlannedActivity
from consumption_cs.lib.tenancy import Viewer


@dataclass(frozen=True, slots=True)
class NewPlan:
    """Something expected on local days [starts_on, ends_on). `extra_spend` in the account's currency, in all, or
    `change_percent` of usual daily use; neither: it is only shown, and mutes alarms if `mutes`."""

    kind: str
    name: str
    starts_on: date
    ends_on: date
    extra_spend: Decimal | None = None
    change_percent: Decimal | None = None
    mutes: bool = True


def plan_activity(viewer: Viewer, account: Account, new: NewPlan) -> PlannedActivity:
    """Store what is planned. Raises ValidationError of the constraints, with words."""
    with transaction.atomic():
        plan = PlannedActivity(
            organization_id=viewer.organization_id,
            account=account,
            created_by_id=viewer.user_id,
            by_customer=viewer.is_portal,
            **asdict(new),
        )
        plan.full_clean(exclude=["organization", "account", "created_by", "meter"])
        plan.save()
        audit(
            viewer,
            "planned_activity.created",
            plan,
            plan.name,
            {"from": f"{new.starts_on}", "until": f"{new.ends_on}"},
        )
    return plan


def cancel_activity(viewer: Viewer, plan: PlannedActivity, now: datetime) -> None:
    """Take it back: forecasts from now on do not count it."""
    with transaction.atomic():
        plan.cancelled_at = now
        plan.save(update_fields=["cancelled_at"])
        audit(viewer, "planned_activity.cancelled", plan, plan.name)
