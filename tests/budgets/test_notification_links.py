"""Pages of notifications: destinations with their secret shown once, routes, wishes, the log, and the mail's link."""

from datetime import UTC, datetime, time
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account
from budgets.actions.stopping import stop_token
from budgets.forms import notifications as forms
from budgets.models import Delivery, Destination, NotificationWishes, Route
from consumption_cs.lib.sealed import unseal
from consumption_cs.lib.tenancy import enter, leave
from tests.budgets.test_outbox import make_place
from tests.factories import make_account, make_member, signed_in, staff_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOOK = {"kind": "webhook", "name": "Billing", "address": "https://hooks.example.com/in?token=abc"}


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "check_reachable", lambda address: forms.checked_url(address))


def at(account: Account, tail: str = "") -> str:
    return f"/accounts/{account.pk}/notifications/{tail}"


def test_a_customer_adds_a_webhook_and_sees_its_secret_once() -> None:
    account = make_account()
    client = signed_in(make_member(account))
    page = client.post(at(account), HOOK).content.decode()
    enter(staff_of(account))
    made = Destination.objects.get()
    secret = unseal(made.secret or b"")
    assert secret.startswith("whsec_")
    assert secret in page
    assert made.by_customer
    assert "token" not in made.shown
    assert Route.objects.get().destination == made
    listed = client.get(at(account)).content.decode()
    assert "Billing" in listed
    assert secret not in listed
    assert "token=abc" not in listed


@pytest.mark.parametrize(
    ("kind", "address", "words"),
    [
        ("webhook", "http://hooks.example.com/", "must begin with https"),
        ("webhook", "https://169.254.169.254/latest", "private or reserved"),
        (
            "slack",
            "https://hooks.slack.com.evil.example/services/T12345678/B12345678/abcdefghijklmnop",
            "incoming webhook",
        ),
        ("teams", "https://evil.example/?sig=1#.logic.azure.com", "Enter the address that Teams gives"),
        ("pagerduty", "short", "integration key"),
        ("email", "nobody", "valid email"),
    ],
)
def test_an_address_that_is_none_is_refused_in_words(kind: str, address: str, words: str, settings: Any) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = False
    account = make_account()
    answer = signed_in(make_member(account)).post(at(account), {"kind": kind, "name": "X", "address": address})
    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_a_customer_does_not_see_the_vendors_destinations_nor_change_them() -> None:
    account = make_account()
    client = signed_in(make_member(account))
    enter(staff_of(account))
    place = make_place(account, name="Vendor channel")
    assert "Vendor channel" not in client.get(at(account)).content.decode()
    assert client.post(at(account, f"destinations/{place.pk}/remove/")).status_code == 404
    assert client.get("/notifications/").status_code == 403


def test_a_test_is_sent_and_a_dead_message_again() -> None:
    account = make_account()
    client = signed_in(make_member(account.organization))
    enter(staff_of(account))
    place = make_place(account)
    client.post(at(account, f"destinations/{place.pk}/test/"))
    enter(staff_of(account))
    row = Delivery.objects.get()
    assert row.topic == "test"
    Delivery.objects.update(state="dead", note="No answer within 15 seconds.")
    assert "No answer within 15 seconds." in client.get(at(account, "deliveries/")).content.decode()
    client.post(at(account, f"deliveries/{row.pk}/replay/"))
    enter(staff_of(account))
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("waiting", 0)


def test_wishes_are_of_the_seat() -> None:
    account = make_account()
    member = make_member(account)
    sent = {"by_mail": "on", "least_severity": "warning", "digest": "daily", "timezone": "Europe/Vienna",
            "quiet_from": "22:00", "quiet_to": "07:00"}  # fmt: skip
    client = signed_in(member)
    assert client.post("/me/notifications/", sent).status_code == 302
    assert client.post("/me/notifications/", sent | {"quiet_to": ""}).status_code == 422
    enter(staff_of(account))
    wishes = NotificationWishes.objects.get()
    assert (wishes.membership, wishes.quiet_from, wishes.digest) == (member, time(22), "daily")


def test_the_link_in_a_mail_asks_and_ends_the_mails_without_signing_in() -> None:
    account = make_account()
    url = f"/notifications/stop/{stop_token(make_member(account))}/"
    leave()
    assert "Stop these mails?" in Client().get(url).content.decode()
    answer = Client(enforce_csrf_checks=True).post(url, {"List-Unsubscribe": "One-Click"})
    assert "You get no more" in answer.content.decode()
    enter(staff_of(account))
    assert NotificationWishes.objects.get().by_mail is False
    leave()
    assert Client().get("/notifications/stop/forged/").status_code == 404
