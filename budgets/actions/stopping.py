"""The signed link in a notification: it ends the mails to one seat without signing in."""

from uuid import UUID

from django.core import signing

from accounts.models import Membership
from budgets.models import NotificationWishes
from consumption_cs.lib.tenancy import Viewer, enter

_SALT = "budgets.notifications"


def stop_token(seat: Membership) -> str:
    """Return what the link in a mail proves: that whoever has it may end the mails to this one seat, and no more."""
    return signing.dumps([str(seat.organization_id), str(seat.pk)], salt=_SALT)


def seat_of(token: str) -> tuple[Viewer, Membership] | None:
    """Return the seat that a mail's link names, entering its organization; None for a link that is none.

    To be called inside a transaction.
    """
    try:
        organization_id, seat_id = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    viewer = Viewer(UUID(organization_id), name="Link in a mail")
    enter(viewer)
    found = Membership.objects.visible_to(viewer).select_related("organization", "account").filter(pk=seat_id).first()
    return None if found is None else (viewer, found)


def stop_mails(seat: Membership) -> None:
    """No more alerts and digests by mail to this seat. Again changes nothing."""
    wishes, _ = NotificationWishes.objects.get_or_create(
        membership=seat, defaults={"organization_id": seat.organization_id, "account_id": seat.account_id}
    )
    wishes.by_mail, wishes.digest = False, NotificationWishes.Digest.NONE
    wishes.save(update_fields=["by_mail", "digest"])


def gets_mails(seat: Membership) -> bool:
    """Return whether this seat gets mails now."""
    wishes = NotificationWishes.objects.filter(membership=seat).first()
    return wishes is None or wishes.by_mail or wishes.digest != NotificationWishes.Digest.NONE
