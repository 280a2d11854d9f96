"""Sessions: whose they are, when they end, and that a right taken away is gone at the next request."""

import os
import subprocess
import sys

import pytest
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client

from accounts.models import Membership, Role, User
from consumption_cs.lib.tenancy import enter
from tests.factories import PASSWORD, make_account, make_member, make_organization, signed_in, staff_of

pytestmark = pytest.mark.django_db
LOGIN = "/sign-in/login/"
OTHER = "a different long sentence"


def is_signed_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def sign_in(client: Client, email: str, password: str = PASSWORD) -> HttpResponse:
    return client.post(LOGIN, {"login": email, "password": password, "remember": "on"})  # type: ignore[return-value]


def test_signing_in_makes_a_new_session_key(client: Client) -> None:
    member = make_member(make_organization())
    client.get(LOGIN)
    session = client.session
    session["planted"] = "by an attacker"
    session.save()
    client.cookies["sessionid"] = before = session.session_key or ""
    sign_in(client, member.user.email)
    assert client.cookies["sessionid"].value not in ("", before)
    assert not Session.objects.filter(session_key=before).exists()


def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(client: Client) -> None:
    member = make_member(make_organization())
    cookie = sign_in(client, member.user.email).cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_a_changed_password_ends_every_session() -> None:
    member = make_member(make_organization())
    here, elsewhere = signed_in(member), signed_in(member)
    sign_in(here, member.user.email)
    data = {"oldpassword": PASSWORD, "password1": OTHER, "password2": OTHER}
    assert here.post("/sign-in/password/change/", data).status_code == 302
    assert not is_signed_in(elsewhere)
    assert not is_signed_in(here)
    sign_in(here, member.user.email, OTHER)
    assert is_signed_in(here)


def test_signing_out_everywhere_spares_only_this_session() -> None:
    member = make_member(make_organization())
    here, elsewhere = signed_in(member), signed_in(member)
    assert here.post("/profile/sign-out-everywhere/", {"out-password": "wrong"}).status_code == 422
    assert is_signed_in(elsewhere)
    here.post("/profile/sign-out-everywhere/", {"out-password": PASSWORD})
    assert is_signed_in(here)
    assert not is_signed_in(elsewhere)


def test_an_open_session_is_no_place_to_guess_the_password() -> None:
    client = signed_in(make_member(make_organization()))
    answers = [client.post("/profile/sign-out-everywhere/", {"out-password": "wrong"}).status_code for _ in range(12)]
    assert answers == [422] * 10 + [429] * 2


def test_a_role_counts_from_the_next_request() -> None:
    member = make_member(make_organization(), Role.ADMIN)
    client = signed_in(member)
    assert client.get("/settings/").status_code == 200
    enter(staff_of(member.organization))
    Membership.objects.filter(pk=member.pk).update(role=Role.ANALYST)
    assert client.get("/settings/").status_code == 403


def test_a_removed_member_is_out_at_the_next_request() -> None:
    member = make_member(make_account(), Role.PORTAL_OWNER)
    client, url = signed_in(member), f"/accounts/{member.account_id}/members/"
    assert client.get(url).status_code == 200
    enter(staff_of(member.organization))
    Membership.objects.filter(pk=member.pk).delete()
    assert client.get(url).status_code == 403


def test_a_deactivated_person_is_out_at_the_next_request() -> None:
    member = make_member(make_organization())
    client = signed_in(member)
    User.objects.filter(pk=member.user_id).update(is_active=False)
    assert not is_signed_in(client)


def test_over_https_cookies_stay_on_this_host_and_browsers_come_back_encrypted() -> None:
    program = """
from consumption_cs import settings as s
assert s.SESSION_COOKIE_NAME.startswith("__Host-") and s.CSRF_COOKIE_NAME.startswith("__Host-")
assert s.SESSION_COOKIE_SECURE and s.CSRF_COOKIE_SECURE and s.SESSION_COOKIE_HTTPONLY
assert s.SECURE_HSTS_SECONDS >= 31_536_000 and s.SECURE_SSL_REDIRECT and not s.DEBUG
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("PLAIN_HTTP", "DEBUG", "DEMO")}
    environment["SITE_URL"] = "https://usage.vendor.example"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
