"""An invitation is one seat for one address, once, for 72 hours, as the inviter said."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.actions.people import Refused, accept, find_invitation
from accounts.models import Account, AuditEvent, Invitation, Membership, Role, User
from consumption_cs.lib.tenancy import enter, leave
from tests.factories import make_account, make_member, make_organization, make_user, signed_in, staff_of
from tests.threads import in_threads

EMAIL = "dana@northwind.example"
PERSON = {"name": "Dana Mercer", "password": "violet harbour mornings"}


@pytest.fixture
def admin(db: None) -> Membership:
    return make_member(make_organization())


@pytest.fixture
def account(admin: Membership) -> Account:
    return make_account(admin.organization)


def _link_in(message: mail.EmailMessage) -> str:
    found = re.search(r"/invitations/[\w-]+/", str(message.body))
    assert found
    return found.group()


@pytest.fixture
def link(account: Account, admin: Membership, django_capture_on_commit_callbacks: object) -> str:
    """The address in the mail to Dana, invited as a viewer of the account."""
    leave()
    return _invite(signed_in(admin), account, django_capture_on_commit_callbacks)


def _invite(client: Client, account: Account, capture: object, **fields: str) -> str:
    with capture(execute=True):  # type: ignore[operator]
        data = {"email": EMAIL, "role": Role.PORTAL_VIEWER} | fields
        assert client.post(f"/accounts/{account.pk}/members/invite/", data).status_code == 302
    return _link_in(mail.outbox[-1])


def _seats(account: Account) -> list[tuple[str, str]]:
    enter(staff_of(account))
    found = list(Membership.objects.filter(account=account).values_list("user__email", "role"))
    leave()
    return found


def test_the_mail_has_both_forms_and_its_link_starts_at_our_own_address(link: str, settings: object) -> None:
    message = mail.outbox[-1]
    assert message.to == [EMAIL]
    assert f"{settings.SITE_URL}{link}" in str(message.body)  # type: ignore[attr-defined]
    assert isinstance(message, mail.EmailMultiAlternatives)
    assert link in str(message.alternatives[0][0])


def test_a_host_of_somebody_elses_choice_never_gets_into_the_mail(
    account: Account, admin: Membership, django_capture_on_commit_callbacks: object
) -> None:
    leave()
    client = signed_in(admin)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        url = f"/accounts/{account.pk}/members/invite/"
        client.post(url, {"email": EMAIL, "role": "portal_viewer"}, headers={"X-Forwarded-Host": "evil.example"})
    assert "evil.example" not in str(mail.outbox[-1].message())


def test_only_the_hash_of_the_link_is_kept(link: str, account: Account) -> None:
    enter(staff_of(account))
    assert link.split("/")[2] not in str(Invitation.objects.values().get())


def test_a_new_person_sets_name_and_password_and_is_in(link: str, account: Account) -> None:
    client = Client()
    assert EMAIL in client.get(link).content.decode()
    assert client.post(link, PERSON)["Location"] == "/"
    assert client.get("/")["Location"] == f"/accounts/{account.pk}/"
    assert _seats(account) == [(EMAIL, Role.PORTAL_VIEWER)]
    enter(staff_of(account))
    assert list(AuditEvent.objects.order_by("created_at", "pk").values_list("action", flat=True)) == [
        "member.invited",
        "member.joined",
    ]


def test_a_link_works_once(link: str, account: Account) -> None:
    Client().post(link, PERSON)
    for response in (Client().get(link), Client().post(link, {"name": "Eve", "password": "another long sentence"})):
        assert response.status_code == 410
        assert "used already" in response.content.decode()
    assert len(_seats(account)) == 1


def test_role_and_address_are_those_the_inviter_chose_whatever_is_posted(link: str, account: Account) -> None:
    Client().post(link, PERSON | {"role": Role.ADMIN, "email": "eve@evil.example", "account": ""})
    assert _seats(account) == [(EMAIL, Role.PORTAL_VIEWER)]
    assert not User.objects.filter(email="eve@evil.example").exists()


def test_after_72_hours_it_says_so(link: str, account: Account) -> None:
    enter(staff_of(account))
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    leave()
    response = Client().post(link, PERSON)
    assert response.status_code == 410
    assert "72 hours" in response.content.decode()
    assert _seats(account) == []


def test_taken_back_it_opens_nothing(link: str, account: Account, admin: Membership) -> None:
    enter(staff_of(account))
    invitation = Invitation.objects.get()
    leave()
    signed_in(admin).post(f"/accounts/{account.pk}/members/invited/{invitation.pk}/revoke/")
    assert Client().post(link, PERSON).status_code == 410
    assert _seats(account) == []


def test_sent_again_the_old_link_is_dead_and_the_new_one_works(
    link: str, account: Account, admin: Membership, django_capture_on_commit_callbacks: object
) -> None:
    enter(staff_of(account))
    invitation = Invitation.objects.get()
    leave()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        signed_in(admin).post(f"/accounts/{account.pk}/members/invited/{invitation.pk}/resend/")
    assert Client().get(link).status_code == 404
    assert Client().post(_link_in(mail.outbox[-1]), PERSON).status_code == 302


def test_somebody_with_a_sign_in_signs_in_first(link: str, account: Account) -> None:
    user = make_user(EMAIL)
    client = Client()
    page = client.get(link).content.decode()
    assert f"/sign-in/login/?next={link}" in page
    client.post(link, PERSON)
    assert _seats(account) == []
    client.force_login(user)
    assert client.post(link)["Location"] == "/"
    assert _seats(account) == [(EMAIL, Role.PORTAL_VIEWER)]


def test_somebody_else_who_is_signed_in_is_refused_in_words(link: str, account: Account) -> None:
    client = Client()
    client.force_login(make_user("eve@evil.example"))
    for response in (client.get(link), client.post(link, PERSON)):
        assert response.status_code == 403
        assert "for another address" in response.content.decode()
    assert _seats(account) == []


def test_a_weak_password_is_refused_and_the_link_stays_good(link: str, account: Account) -> None:
    client = Client()
    assert client.post(link, {"name": "Dana", "password": "password12"}).status_code == 422
    assert client.post(link, PERSON).status_code == 302


def test_its_page_names_the_vendor_and_links_nothing_that_needs_a_seat(link: str, account: Account) -> None:
    page = Client().get(link).content.decode()
    assert f'<span class="who">{account.organization.name}</span>' in page
    assert "/branding/" not in page


def test_a_made_up_link_is_unknown(db: None) -> None:
    assert Client().get("/invitations/AAAAAAAAAAAAAAAA/").status_code == 404


def test_an_address_is_invited_once_at_a_time(link: str, account: Account, admin: Membership) -> None:
    response = signed_in(admin).post(
        f"/accounts/{account.pk}/members/invite/", {"email": EMAIL.upper(), "role": Role.PORTAL_OWNER}
    )
    assert response.status_code == 422
    assert "invited already" in response.content.decode()


@pytest.mark.parametrize("role", ["admin", "csm", "key", ""])
def test_a_customer_is_never_invited_into_the_staff(role: str, account: Account) -> None:
    owner = make_member(account)
    leave()
    response = signed_in(owner).post(f"/accounts/{account.pk}/members/invite/", {"email": EMAIL, "role": role})
    assert response.status_code == 422


@pytest.mark.django_db(transaction=True)
def test_of_two_requests_with_one_link_one_is_seated() -> None:
    from accounts.credentials import hash_secret

    with transaction.atomic():
        admin = make_member(make_organization())
        account = make_account(admin.organization)
        Invitation.objects.create(
            organization=admin.organization,
            account=account,
            email=EMAIL,
            role=Role.PORTAL_VIEWER,
            token_hash=hash_secret("link"),
            invited_by=admin.user,
            expires_at=timezone.now() + timedelta(hours=1),
        )
    user = make_user(EMAIL)

    def take() -> bool:
        with transaction.atomic():
            found = find_invitation("link", lock=True)
            assert found
            try:
                accept(found, user, timezone.now())
            except Refused:
                return False
        return True

    assert sorted(in_threads(2, take)) == [False, True]
