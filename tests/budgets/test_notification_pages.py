"""Destinations, who hears, and the log, as people change and read them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account, AuditEvent, Role
from budgets.actions.destinations import new_secret
from budgets.models import Delivery, Destination, Route
from consumption_cs.lib.sealed import seal, unseal
from consumption_cs.lib.tenancy import enter
from tests.budgets.test_outbox import make_place
from tests.factories import make_account, make_member, signed_in, staff_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOOK = {"kind": "webhook", "name": "Our hook", "address": "http://127.0.0.1:9/secret-path"}


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.WEBHOOKS_TO_LOOPBACK = True


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def owner(account: Account) -> Client:
    return signed_in(make_member(account))


def page(account: Account, name: str = "account_notifications", *more: Any) -> str:
    return reverse(f"budgets:{name}", args=[account.pk, *more])


def change(client: Client, account: Account, place: Destination, what: str) -> Any:
    answer = client.post(page(account, "account_destination_change", place.pk, what), follow=True)
    enter(staff_of(account))
    return answer


def own_hook(account: Account, **fields: Any) -> Destination:
    enter(staff_of(account))
    return make_place(account, secret=seal(new_secret()), by_customer=True, **fields)


def test_an_owner_adds_a_webhook_that_hears_everything_and_sees_its_secret_once(
    account: Account, owner: Client
) -> None:
    answer = owner.post(page(account), HOOK)
    enter(staff_of(account))
    place = Destination.objects.get()
    assert place.secret
    assert unseal(place.secret) in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    assert unseal(place.secret) not in owner.get(page(account)).content.decode()
    enter(staff_of(account))
    assert Route.objects.get().destination == place
    assert place.by_customer
    assert AuditEvent.objects.filter(action="destination.added").exists()


def test_what_of_an_address_is_a_secret_is_stored_sealed_and_not_shown(account: Account, owner: Client) -> None:
    owner.post(page(account), HOOK)
    enter(staff_of(account))
    place = Destination.objects.get()
    assert b"secret-path" not in bytes(place.address)
    assert place.shown == "http://127.0.0.1:9/…path"
    assert "secret-path" not in owner.get(page(account)).content.decode()


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("webhook", "https://10.0.0.1/hook"),
        ("webhook", "https://169.254.169.254/"),
        ("webhook", "http://example.com/"),
        ("slack", "https://hooks.slack.com.evil.example/services/T000000/B000000/abcdefghijklmnopqrst"),
        ("teams", "https://evil.example/?sig=1"),
        ("pagerduty", "short"),
        ("email", "nobody"),
    ],
)
def test_an_address_that_we_do_not_send_to_is_refused_in_words(
    account: Account, owner: Client, kind: str, address: str
) -> None:
    answer = owner.post(page(account), {"kind": kind, "name": "Hook", "address": address})
    assert answer.status_code == 422
    enter(staff_of(account))
    assert not Destination.objects.exists()


def test_a_test_is_written_once_within_ten_seconds(account: Account, owner: Client) -> None:
    place = own_hook(account)
    assert "on its way" in change(owner, account, place, "test").content.decode()
    assert "Wait ten seconds" in change(owner, account, place, "test").content.decode()
    assert Delivery.objects.get().topic == "test"


def test_a_removed_destination_is_forgotten_and_what_waits_is_not_sent(account: Account, owner: Client) -> None:
    place = own_hook(account)
    Route.objects.create(organization=account.organization, account=account, destination=place)
    change(owner, account, place, "test")
    change(owner, account, place, "remove")
    place.refresh_from_db()
    assert (bytes(place.address), place.secret) == (b"", None)
    assert place.removed_at
    assert not Route.objects.exists()
    assert Delivery.objects.get().state == "cancelled"


def test_a_destination_that_was_switched_off_is_switched_on_again(account: Account, owner: Client) -> None:
    place = own_hook(account, disabled_at=NOW, disabled_reason="It has failed for five days.", failing_since=NOW)
    assert "It has failed for five days." in owner.get(page(account)).content.decode()
    change(owner, account, place, "on")
    place.refresh_from_db()
    assert (place.disabled_at, place.failing_since) == (None, None)


def test_staff_never_get_the_secret_of_a_customer_s_own_webhook(account: Account) -> None:
    place = own_hook(account)
    before = bytes(place.secret or b"")
    staff = signed_in(make_member(account.organization))
    assert change(staff, account, place, "rotate").status_code == 403
    place.refresh_from_db()
    assert bytes(place.secret or b"") == before


def test_a_customer_sees_nothing_of_the_vendor_s_own_channels(account: Account, owner: Client) -> None:
    enter(staff_of(account))
    place = make_place(account, name="War room")
    seat = make_member(account.organization, Role.CSM)
    for hears in ({"destination": place}, {"membership": seat}):
        Route.objects.create(organization=account.organization, account=account, **hears)
    shown = owner.get(page(account)).content.decode()
    assert "War room" not in shown
    assert seat.user.email not in shown
    assert change(owner, account, place, "remove").status_code == 404
    staff = signed_in(make_member(account.organization))
    assert "War room" in staff.get(page(account)).content.decode()


def test_an_owner_says_who_hears_and_takes_it_back(account: Account, owner: Client) -> None:
    engineer = make_member(account, Role.PORTAL_ENGINEER)
    for _ in range(2):
        owner.post(page(account, "route_new"), {"receiver": f"m:{engineer.pk}", "is_escalation": "on"})
    enter(staff_of(account))
    route = Route.objects.get()
    assert (route.membership, route.budget, route.is_escalation) == (engineer, None, True)
    owner.post(page(account, "route_remove", route.pk))
    enter(staff_of(account))
    assert not Route.objects.exists()


def test_an_owner_cannot_name_the_vendor_s_people(account: Account, owner: Client) -> None:
    csm = make_member(account.organization, Role.CSM)
    assert owner.post(page(account, "route_new"), {"receiver": f"m:{csm.pk}"}).status_code == 422


def test_the_log_shows_each_try_and_sends_again_what_was_given_up(account: Account, owner: Client) -> None:
    place = own_hook(account)
    row = Delivery.objects.create(
        organization=account.organization, account=account, destination=place, topic="alert.raised", key="k",
        payload={"data": {"headline": "Spend doubled"}}, next_at=NOW, state="dead", attempts=10, note="No answer",
    )  # fmt: skip
    row.tries.create(
        organization=account.organization, account=account, at=NOW + timedelta(hours=76), milliseconds=15000,
        error="No answer within 15 seconds.",
    )  # fmt: skip
    shown = owner.get(page(account, "account_deliveries")).content.decode()
    assert "Spend doubled" in shown
    assert "No answer within 15 seconds." in shown
    owner.post(page(account, "account_delivery_replay", row.pk))
    enter(staff_of(account))
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("waiting", 0)


def test_who_may_not_manage_destinations_opens_none_of_it(account: Account) -> None:
    viewer = signed_in(make_member(account, Role.PORTAL_VIEWER))
    assert viewer.get(page(account)).status_code == 403
    assert viewer.post(page(account), HOOK).status_code == 403
