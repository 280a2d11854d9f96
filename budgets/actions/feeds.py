"""Secret calendar addresses: made, shown once, revoked; and found again by what a calendar program presents."""

import secrets
from datetime import datetime, timedelta

from django.db import transaction

from accounts.actions.audit import audit
from accounts.credentials import hash_secret
from accounts.models import Account, Membership
from budgets.models import CalendarFeed
from consumption_cs.lib.tenancy import Viewer, enter, present

_NOTED_EVERY = timedelta(minutes=10)


def create_feed(viewer: Viewer, account: Account | None, now: datetime) -> tuple[CalendarFeed, str]:
    """Return a new feed of the viewer's, and the token that is never shown again; an older one of theirs ends.

    Raises ValueError for a viewer who is no person.
    """
    if viewer.user_id is None:
        raise ValueError("Only a person has a calendar.")
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        own = CalendarFeed.objects.visible_to(viewer).filter(account=account, user_id=viewer.user_id, revoked_at=None)
        for old in own:
            revoke_feed(viewer, old, now)
        feed = CalendarFeed.objects.create(
            organization_id=viewer.organization_id,
            account=account,
            user_id=viewer.user_id,
            token_hash=hash_secret(token),
        )
        audit(viewer, "calendar_feed.created", feed, "Run-out dates")
    return feed, token


def revoke_feed(viewer: Viewer, feed: CalendarFeed, now: datetime) -> None:
    """End the address."""
    with transaction.atomic():
        feed.revoked_at = now
        feed.save(update_fields=["revoked_at"])
        audit(viewer, "calendar_feed.revoked", feed, "Run-out dates")


def viewer_of_feed(token: str, now: datetime) -> tuple[Viewer, CalendarFeed] | None:
    """Return who the token speaks for, entering their organization; None for a token that does not count.

    To be called inside a transaction. It counts no longer when it was revoked or its maker lost the seat.
    """
    present(token_hash=hash_secret(token))
    feed = CalendarFeed.objects.filter(token_hash=hash_secret(token), revoked_at=None).first()
    if feed is None:
        return None
    viewer = Viewer(feed.organization_id, feed.account_id, "system", feed.user_id)
    enter(viewer)
    seat = Membership.objects.visible_to(viewer).filter(user_id=feed.user_id, account_id=feed.account_id)
    if not seat.exists():
        return None
    if feed.last_read_at is None or now - feed.last_read_at > _NOTED_EVERY:
        CalendarFeed.objects.filter(organization_id=feed.organization_id, pk=feed.pk).update(last_read_at=now)
    return viewer, feed
