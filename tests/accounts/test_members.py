"""Seats: who may change them, what is never possible, and what it leaves in the audit log."""

import pytest
from django.test import Client

from accounts.actions.people import Refused, change_role
from accounts.models import Account, AuditEvent, Invitation, Membership, Organization, Role
from consumption_cs.lib.tenancy import Viewer, enter, leave
from tests.factories import NOW, make_account, make_member, make_organization, make_user, signed_in, staff_of
from tests.threads import in_threads

pytestmark = pytest.mark.django_db


def _role_now(member: Membership) -> str | None:
    enter(staff_of(member.organization))
    role: str | None = Membership.objects.filter(pk=member.pk).values_list("role", flat=True).first()
    leave()
    return role


def _actions(organization: Organization) -> list[str]:
    enter(staff_of(organization))
    found = list(AuditEvent.objects.order_by("created_at", "pk").values_list("action", flat=True))
    leave()
    return found


@pytest.fixture
def admin() -> Membership:
    return make_member(make_organization())


@pytest.fixture
def account(admin: Membership) -> Account:
    return make_account(admin.organization)


def test_an_admin_changes_a_role_and_it_counts_from_the_next_request(admin: Membership) -> None:
    csm = make_member(admin.organization, Role.CSM)
    leave()
    theirs = signed_in(csm)
    assert theirs.get("/keys/").status_code == 403
    signed_in(admin).post(f"/members/{csm.pk}/role/", {"role": Role.FIELD_CTO})
    assert _role_now(csm) == Role.FIELD_CTO
    assert theirs.get("/keys/").status_code == 200
    assert _actions(admin.organization) == ["member.role_changed"]


def test_who_is_removed_sees_nothing_from_the_next_request_on(admin: Membership, account: Account) -> None:
    csm = make_member(admin.organization, Role.CSM)
    Account.objects.filter(pk=account.pk).update(csm=csm.user)
    Invitation.objects.create(
        organization=admin.organization, email="x@y.example", role=Role.CSM, token_hash="a" * 64,
        invited_by=csm.user, expires_at=NOW,
    )  # fmt: skip
    leave()
    theirs = signed_in(csm)
    assert theirs.get("/accounts/").status_code == 200
    response = signed_in(admin).post(f"/members/{csm.pk}/remove/", follow=True)
    assert "1 account had them as CSM" in response.content.decode()
    assert theirs.get("/accounts/").status_code == 403
    assert "not a member anywhere" in theirs.get("/").content.decode()
    enter(staff_of(admin.organization))
    assert Account.objects.get(pk=account.pk).csm is None
    assert Invitation.objects.get().revoked_at is not None


def test_the_last_admin_stays_admin(admin: Membership) -> None:
    with pytest.raises(Refused, match="last admin"):
        change_role(Viewer(admin.organization_id, None, Role.ADMIN, make_user().pk), admin, Role.CSM, NOW)


def test_the_last_owner_of_an_account_cannot_be_removed_even_by_staff(admin: Membership, account: Account) -> None:
    owner = make_member(account)
    leave()
    response = signed_in(admin).post(f"/accounts/{account.pk}/members/{owner.pk}/remove/", follow=True)
    assert "is the last owner" in response.content.decode()
    assert _role_now(owner) == Role.PORTAL_OWNER


def test_nobody_changes_or_removes_themselves(admin: Membership) -> None:
    make_member(admin.organization)
    leave()
    for act in ("role", "remove"):
        response = signed_in(admin).post(f"/members/{admin.pk}/{act}/", {"role": Role.CSM}, follow=True)
        assert "cannot change your own seat" in response.content.decode()
    assert _role_now(admin) == Role.ADMIN


@pytest.mark.parametrize("role", ["portal_owner", "superuser", ""])
def test_staff_get_no_role_that_is_not_one_of_theirs(role: str, admin: Membership) -> None:
    csm = make_member(admin.organization, Role.CSM)
    leave()
    signed_in(admin).post(f"/members/{csm.pk}/role/", {"role": role})
    assert _role_now(csm) == Role.CSM


def test_a_csm_seats_customers_but_no_staff(admin: Membership, account: Account) -> None:
    csm = make_member(admin.organization, Role.CSM)
    viewer = make_member(account, Role.PORTAL_VIEWER)
    leave()
    client = signed_in(csm)
    assert client.post(f"/members/{admin.pk}/role/", {"role": Role.CSM}).status_code == 403
    assert client.post("/members/invite/", {"email": "a@b.example", "role": Role.ADMIN}).status_code == 403
    client.post(f"/accounts/{account.pk}/members/{viewer.pk}/role/", {"role": Role.PORTAL_ENGINEER})
    assert _role_now(viewer) == Role.PORTAL_ENGINEER
    client.post(f"/accounts/{account.pk}/members/{viewer.pk}/role/", {"role": Role.ADMIN})
    assert _role_now(viewer) == Role.PORTAL_ENGINEER


def test_an_owner_manages_the_people_of_their_account_alone(admin: Membership, account: Account) -> None:
    other = make_account(admin.organization, "Other")
    owner, theirs, foreign = make_member(account), make_member(account, Role.PORTAL_VIEWER), make_member(other)
    leave()
    client = signed_in(owner)
    assert client.get("/members/")["Location"] == f"/accounts/{account.pk}/members/"
    client.post(f"/accounts/{account.pk}/members/{theirs.pk}/role/", {"role": Role.PORTAL_FINANCE})
    assert _role_now(theirs) == Role.PORTAL_FINANCE
    for url in (
        f"/accounts/{other.pk}/members/{foreign.pk}/role/",
        f"/accounts/{account.pk}/members/{foreign.pk}/role/",
    ):
        assert client.post(url, {"role": Role.PORTAL_VIEWER}).status_code == 404
    assert client.post(f"/members/{admin.pk}/remove/").status_code == 403
    assert _role_now(foreign) == Role.PORTAL_OWNER


def test_somebody_with_two_seats_switches_between_them(admin: Membership) -> None:
    second = make_member(make_account(make_organization("Globex")), user=admin.user)
    leave()
    client = signed_in(admin)
    assert client.get("/")["Location"] == "/accounts/"
    assert client.post("/switch/", {"membership": str(second.pk)})["Location"] == "/"
    assert client.get("/")["Location"] == f"/accounts/{second.account_id}/"


def test_nobody_switches_to_the_seat_of_somebody_else(admin: Membership) -> None:
    stranger = make_member(make_organization("Globex"))
    leave()
    assert signed_in(admin).post("/switch/", {"membership": str(stranger.pk)}).status_code == 404


def test_strangers_are_sent_to_sign_in(client: Client) -> None:
    assert client.get("/").headers["Location"].startswith("/sign-in/login/")


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_do_not_both_succeed() -> None:
    from django.db import transaction

    with transaction.atomic():
        organization = make_organization()
        pair = [make_member(organization), make_member(organization)]
    turns = iter([(pair[0], pair[1]), (pair[1], pair[0])])

    def demote() -> bool:
        actor, target = next(turns)
        with transaction.atomic():
            enter(Viewer(organization.pk, None, Role.ADMIN, actor.user_id))
            try:
                change_role(Viewer(organization.pk, None, Role.ADMIN, actor.user_id), target, Role.CSM, NOW)
            except Refused:
                return False
        return True

    assert sorted(in_threads(2, demote)) == [False, True]
