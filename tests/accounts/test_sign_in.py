"""Attacks on sign-in: guessing, finding out who is known, links bent elsewhere, half a second step."""

import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core import mail
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from tests.factories import PASSWORD, make_member, make_organization, make_user, signed_in

pytestmark = pytest.mark.django_db
LOGIN, RESET = "/sign-in/login/", "/sign-in/password/reset/"
OTHER = "a different long sentence"


def is_signed_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def sign_in(client: Client, email: str, password: str = PASSWORD, **extra: Any) -> HttpResponse:
    return client.post(LOGIN, {"login": email, "password": password, "remember": "on"}, **extra)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example/", "\t//evil.example",
        "javascript:alert(1)", "/\t/evil.example", "///evil.example", "http:///evil.example", "%2f%2fevil.example",
    ],
)  # fmt: skip
def test_signing_in_never_leads_to_another_site(client: Client, target: str) -> None:
    member = make_member(make_organization())
    response = client.post(LOGIN, {"login": member.user.email, "password": PASSWORD, "next": target})
    assert response.status_code == 302
    assert response["Location"] == "/"


def test_signing_in_leads_back_to_the_page_that_was_asked_for(client: Client) -> None:
    member = make_member(make_organization())
    response = client.post(LOGIN, {"login": member.user.email, "password": PASSWORD, "next": "/members/?a=b"})
    assert response["Location"] == "/members/?a=b"


@pytest.mark.parametrize("exists", [True, False])
def test_guessing_a_password_is_stopped_after_five_tries(client: Client, exists: bool) -> None:
    email = make_member(make_organization()).user.email if exists else "nobody@example.com"
    answers = [sign_in(client, email, "wrong").status_code for _ in range(8)]
    assert answers == [200] * 5 + [429] * 3
    # Not even the right one is tried any more.
    assert sign_in(client, email).status_code == 429
    assert not is_signed_in(client)


def test_the_same_address_is_guarded_from_all_sides(client: Client) -> None:
    email = make_member(make_organization()).user.email
    answers = [sign_in(client, email, "wrong", REMOTE_ADDR=f"198.51.100.{n}").status_code for n in range(8)]
    assert answers[-1] == 429


def test_the_counters_are_rows_of_postgresql(client: Client) -> None:
    sign_in(client, "nobody@example.com", "wrong")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cache WHERE cache_key LIKE '%%allauth%%'")
        assert cursor.fetchone()[0] > 0


def test_an_unknown_address_gets_the_same_answer_and_costs_the_same_work(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = make_member(make_organization()).user.email
    hashed: list[str] = []
    original = PBKDF2PasswordHasher.encode

    def encode(hasher: PBKDF2PasswordHasher, password: str, *rest: Any, **named: Any) -> str:
        hashed.append(password)
        return original(hasher, password, *rest, **named)

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", encode)
    bodies = []
    for address in (email, "nobody@example.com"):
        hashed.clear()
        body = sign_in(client, address, "wrong guess").content.decode().replace(address, "ADDRESS")
        bodies.append(re.sub(r'(csrfmiddlewaretoken" value|X-CSRFToken)[^>]*', "TOKEN", body))
        assert hashed == ["wrong guess"]
    assert bodies[0] == bodies[1]


def test_asking_for_a_reset_does_not_say_whether_the_address_is_known(client: Client) -> None:
    member = make_member(make_organization())
    known = client.post(RESET, {"email": member.user.email})
    unknown = client.post(RESET, {"email": "nobody@example.com"})
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])


def test_nobody_signs_up_without_an_invitation(client: Client) -> None:
    data = {"email": "new@example.com", "password1": OTHER, "password2": OTHER}
    client.post("/sign-in/signup/", data)
    assert not User.objects.filter(email="new@example.com").exists()


def test_nobody_takes_another_address_than_the_one_they_were_invited_at() -> None:
    member = make_member(make_organization())
    client = signed_in(member)
    assert client.get("/sign-in/email/").status_code == 404
    assert client.post("/sign-in/email/", {"action_add": "", "email": "boss@example.com"}).status_code == 404


def _reset_link(client: Client, email: str, **extra: Any) -> str:
    client.post(RESET, {"email": email}, **extra)
    found = re.search(r"https?://\S+", str(mail.outbox[-1].body))
    assert found
    return found[0]


def test_the_link_of_a_reset_mail_is_ours_whatever_host_the_request_names(client: Client, settings: Any) -> None:
    settings.SITE_URL = "https://usage.vendor.example"
    email = make_member(make_organization()).user.email
    link = _reset_link(client, email, HTTP_HOST="localhost", HTTP_X_FORWARDED_HOST="evil.example")
    assert link.startswith("https://usage.vendor.example/sign-in/password/reset/key/")
    assert "evil.example" not in str(mail.outbox[-1].message())


def test_a_strange_host_is_refused(client: Client) -> None:
    assert client.post(RESET, {"email": "a@example.com"}, HTTP_HOST="evil.example").status_code == 400
    assert mail.outbox == []


def _follow(client: Client, link: str) -> HttpResponse:
    """Open the link, and the form it leads to."""
    local = re.sub(r"^https?://[^/]+", "", link)
    response = client.get(local, follow=True)
    data = {"password1": OTHER, "password2": OTHER}
    return client.post(response.request["PATH_INFO"], data)  # type: ignore[return-value]


def test_a_reset_link_works_once() -> None:
    member = make_member(make_organization())
    link = _reset_link(Client(), member.user.email)
    _follow(Client(), link)
    member.user.refresh_from_db()
    assert member.user.check_password(OTHER)
    user = member.user
    user.set_password(PASSWORD)
    user.save()
    _follow(Client(), link)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_a_reset_link_dies_when_the_address_changes() -> None:
    user = make_member(make_organization()).user
    link = _reset_link(Client(), user.email)
    User.objects.filter(pk=user.pk).update(email="moved@example.com")
    _follow(Client(), link)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_a_reset_ends_every_session() -> None:
    member = make_member(make_organization())
    elsewhere = signed_in(member)
    _follow(Client(), _reset_link(Client(), member.user.email))
    assert not is_signed_in(elsewhere)


def test_a_password_alone_does_not_pass_the_second_step(client: Client) -> None:
    member = make_member(make_organization())
    TOTP.activate(member.user, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    response = sign_in(client, member.user.email)
    assert response["Location"].startswith("/sign-in/2fa/authenticate/")
    assert not is_signed_in(client)


def test_secrets_of_the_second_step_are_not_readable_in_the_database() -> None:
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    TOTP.activate(make_user(), secret)
    assert secret not in str(Authenticator.objects.values_list("data", flat=True)[0])


def test_the_second_step_is_switched_on_after_typing_the_password_again() -> None:
    member = make_member(make_organization())
    client, page = signed_in(member), "/sign-in/2fa/totp/activate/"
    asked = client.get(page)
    assert asked["Location"].startswith("/sign-in/reauthenticate/")
    assert client.post(asked["Location"], {"password": "wrong"}).status_code == 200
    assert client.get(page).status_code == 302
    assert client.post(asked["Location"], {"password": PASSWORD})["Location"] == page
    assert client.get(page).status_code == 200
