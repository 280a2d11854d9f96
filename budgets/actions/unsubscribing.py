"""The signed link in a monthly mail: it ends one subscription without signing in."""

from uuid import UUID

from django.core import signing

from budgets.models import ReportSubscription
from consumption_cs.lib.tenancy import Viewer, enter

_SALT = "budgets.report_subscription"


def token_of(subscription: ReportSubscription) -> str:
    """Return what the link in a mail proves: that whoever has it may end this one subscription, and no more."""
    return signing.dumps([str(subscription.organization_id), str(subscription.pk)], salt=_SALT)


def subscription_of(token: str) -> tuple[Viewer, ReportSubscription] | None:
    """Return the subscription that a mail's link names, entering its organization; None for a link that is none.

    To be called inside a transaction.
    """
    try:
        organization_id, subscription_id = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    viewer = Viewer(UUID(organization_id), name="Link in a mail")
    enter(viewer)
    rows = ReportSubscription.objects.visible_to(viewer).select_related("account", "organization")
    found = rows.filter(pk=subscription_id).first()
    return None if found is None else (viewer, found)
