"""What happens in the book is told once, to the vendor's destinations alone."""

import pytest

from budgets.models import Delivery, Destination
from reviews.actions.telling import Mail, mail_people, tell_event
from tests import factories
from tests.reviews.play_factories import NOW, make_book

pytestmark = pytest.mark.django_db


def test_the_same_told_twice_is_sent_once_and_again_at_another_moment() -> None:
    (account,) = make_book()
    Destination.objects.create(
        organization=account.organization, kind="webhook", name="All", address=b"x", shown="x", account=None
    )
    for moment in ("1", "1", "2"):
        tell_event(account.organization_id, NOW, "health.changed", account, {"id": "7", "at": moment, "score": 61})
    assert Delivery.objects.count() == 2
    row = Delivery.objects.first()
    assert row is not None
    assert row.is_internal
    assert row.payload["data"]["account"] == {"id": str(account.pk), "key": account.key, "name": account.name}
    assert row.payload["data"]["score"] == 61


def test_a_channel_that_people_read_hears_only_what_somebody_chose() -> None:
    (account,) = make_book()
    own = {"organization": account.organization, "address": b"x", "shown": "x", "kind": "slack"}
    Destination.objects.create(**own, name="All alerts")
    chosen = Destination.objects.create(**own, name="Health", topics=["health.changed"])
    tell_event(account.organization_id, NOW, "health.changed", account, {"id": "7", "heading": "Health fell to 61"})
    row = Delivery.objects.get()
    assert row.destination == chosen
    assert row.payload["heading"] == f"{account.name}: Health fell to 61"


def test_a_mail_goes_to_the_vendors_people_alone_and_as_they_wish() -> None:
    (account,) = make_book()
    customer = factories.make_member(account).user
    mails = [
        Mail(user.pk, "1", "play.started", "A play has begun", "Because.", "https://example.test", "Open")
        for user in (customer, account.csm)
        if user is not None
    ]
    for _ in range(2):
        mail_people(account.organization_id, NOW, mails)
    row = Delivery.objects.get()
    assert row.membership is not None
    assert row.membership.user == account.csm
