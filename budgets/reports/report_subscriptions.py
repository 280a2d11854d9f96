"""Monthly reports: whose they are, who may see them, and whether their reader still may read them."""

from typing import cast

from django.db.models import QuerySet

from accounts.models import Account, Membership, Role
from accounts.permissions import can
from budgets.models import ReportSubscription
from consumption_cs.lib.tenancy import Viewer


def subscriptions(viewer: Viewer, account: Account | None) -> "QuerySet[ReportSubscription]":
    """Return those in force that the viewer may change: their own; an admin all, a portal owner their people's.

    Of one account, or with None of the organization and of all accounts.
    """
    rows = ReportSubscription.objects.visible_to(viewer).filter(ended_at=None).select_related("user", "account")
    if account is not None:
        rows = rows.filter(account=account)
    if viewer.role == Role.PORTAL_OWNER:
        seats = Membership.objects.visible_to(viewer).filter(account_id=viewer.account_id)
        rows = rows.filter(user__in=seats.values("user"))
    elif viewer.role != Role.ADMIN:
        rows = rows.filter(user=viewer.user_id)
    return cast("QuerySet[ReportSubscription]", rows.order_by("account__name", "kind", "format", "pk"))


def may_get(viewer: Viewer, subscription: ReportSubscription) -> bool:
    """Return whether its reader still has a seat from which they could ask for the report. `viewer`: a job."""
    if not subscription.user.is_active:
        return False
    seats = Membership.objects.visible_to(viewer).filter(user=subscription.user_id)
    return any(
        can(Viewer(viewer.organization_id, seat.account_id, seat.role), "report.create")
        for seat in seats
        if seat.account_id is None or seat.account_id == subscription.account_id
    )
