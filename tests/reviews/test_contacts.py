"""Contacts: who is who, who is missing, who left; and nothing of it is ever shown to the customer."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from accounts.models import PORTAL_ROLES, Role
from consumption_cs.lib.tenancy import enter, leave
from reviews.actions.contacts import Person, contact_left, save_contact
from reviews.models import Contact, Cover
from reviews.reports.people import people
from tests.factories import NOW, make_account, make_key, make_member, make_user, portal_of, signed_in, staff_of
from tests.reviews.people_factories import make_contact
from tests.routes import ROUTES
from tests.world import make_world
from tests.world_people import INTERNAL

pytestmark = pytest.mark.django_db


def test_somebody_is_tied_to_the_portal_by_their_e_mail() -> None:
    account = make_account()
    member = make_member(account, Role.PORTAL_OWNER, make_user("dana@northwind.example"))
    contact = make_contact(account, email="Dana@Northwind.example")
    assert (contact.email, contact.user_id) == ("dana@northwind.example", member.user_id)


def test_a_portal_member_of_another_account_is_nobodys_contact_here() -> None:
    account = make_account()
    stranger = make_member(make_account(account.organization, "Contoso"))
    assert make_contact(account, email=stranger.user.email).user_id is None
    with pytest.raises(ValidationError, match="member of this account"):
        save_contact(staff_of(account), account, Person("Eve", user_id=stranger.user_id))


def test_an_e_mail_is_one_persons() -> None:
    account = make_account()
    dana = make_contact(account, email="dana@northwind.example")
    with pytest.raises(ValidationError, match="Dana has this e-mail already"):
        make_contact(account, "Milo", email="dana@northwind.example")
    person = Person("Dana Weiss", "executive", "dana@northwind.example", external_id=dana.external_id)
    assert save_contact(staff_of(account), account, person, dana).pk == dana.pk


def test_missing_roles_are_named_and_quiet_people_marked() -> None:
    account = make_account()
    seat = make_member(account, Role.PORTAL_OWNER, make_user("dana@northwind.example"))
    make_contact(account, email="dana@northwind.example")
    make_contact(account, "Ines", role="engineer")
    found = people(staff_of(account), account, NOW)
    assert found.heading == "One champion, no executive"
    assert [role for role, _, _ in found.missing] == ["executive", "buyer"]
    assert [(one.contact.name, one.seen, one.pill) for one in found.there] == [
        ("Dana", "never signed in", ("Champion, quiet", "warn")),
        ("Ines", "not in the portal", ("Engineer", "")),
    ]
    seat.last_seen_at = NOW - timedelta(days=2)
    seat.save()
    assert people(staff_of(account), account, NOW).there[0].pill == ("Champion", "good")


def test_who_left_is_kept_and_their_role_is_missing() -> None:
    account = make_account()
    dana = make_contact(account)
    contact_left(staff_of(account), dana, NOW.date(), NOW.date())
    found = people(staff_of(account), account, NOW)
    assert found.heading == "Nobody is known yet"
    assert [(one.contact.name, one.pill) for one in found.left] == [("Dana", ("Left", "bad"))]
    assert "champion" in [role for role, _, _ in found.missing]
    with pytest.raises(ValidationError, match="today or a day before"):
        contact_left(staff_of(account), dana, NOW.date() + timedelta(days=1), NOW.date())


def test_portal_members_nobody_wrote_down_are_offered() -> None:
    account = make_account()
    seat = make_member(account, Role.PORTAL_OWNER)
    assert [one.pk for one in people(staff_of(account), account, NOW).members] == [seat.pk]
    assert people(portal_of(account), account, NOW).members == []


def test_the_pages_add_correct_and_let_go() -> None:
    account = make_account()
    client = signed_in(make_member(account.organization, Role.CSM))
    url = f"/accounts/{account.pk}/people/"
    assert client.post(url, {"name": "Dana", "role": "champion"}).status_code == 302
    enter(staff_of(account))
    dana = Contact.objects.get()
    leave()
    assert client.post(f"{url}{dana.pk}/", {"name": "Dana Weiss", "role": "buyer"}).status_code == 302
    assert client.post(f"{url}{dana.pk}/", {"name": "", "role": "buyer"}).status_code == 422
    assert client.post(f"{url}{dana.pk}/left/").status_code == 302
    enter(staff_of(account))
    dana.refresh_from_db()
    assert (dana.name, dana.role, dana.left_on is not None) == ("Dana Weiss", "buyer", True)


def test_covers_are_set_and_ended_on_their_page() -> None:
    account = make_account()
    me, colleague = make_member(account.organization, Role.CSM), make_member(account.organization, Role.CSM)
    client, day = signed_in(me), timezone.now().date()
    asked = {"absent": str(me.user_id), "covered_by": str(colleague.user_id), "starts_on": day, "last_day": day}
    assert client.post("/covers/", asked).status_code == 302
    assert client.post("/covers/", asked | {"last_day": day - timedelta(days=1)}).status_code == 422
    enter(staff_of(account))
    cover = Cover.objects.get()
    leave()
    assert str(colleague.user) in client.get("/covers/").content.decode()
    assert signed_in(colleague).post(f"/covers/{cover.pk}/end/").status_code == 403
    assert client.post(f"/covers/{cover.pk}/end/").status_code == 302
    enter(staff_of(account))
    assert not Cover.objects.exists()


@pytest.mark.parametrize("role", [*PORTAL_ROLES, "account key"])
def test_what_is_written_of_a_customer_is_in_no_answer_to_them(role: str) -> None:
    """Every route of the project, with the ids of their own account's internal rows."""
    world = make_world(timezone.now())
    own = world.accounts[0]
    if role == "account key":
        _, secret = make_key(world.organization, ("read",), name="Theirs", account=own.account)
        client, headers = Client(), {"Authorization": f"Bearer {secret}"}
    else:
        client, headers = signed_in(own.members[role]), {}
    leave()
    for route in ROUTES:
        answer: Any = client.get(route.url(world.ids()), headers=headers)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert INTERNAL.encode() not in body, route.name
