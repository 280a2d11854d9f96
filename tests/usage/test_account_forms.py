"""Making and editing an account by hand."""

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, AuditEvent, Organization, Role
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_user,
    signed_in,
    staff_of,
)
from usage.models import BillingPeriod, IngestBatch, QuarantinedEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return make_organization(currency="EUR", timezone="Europe/Vienna")


@pytest.fixture
def admin(organization: Organization) -> Client:
    return signed_in(make_member(organization, Role.ADMIN, make_user(name="Ada Okafor")))


def filled(**changes: str) -> dict[str, str]:
    start = {"name": "Northwind", "key": "north", "segment": "enterprise", "tier": "standard", "currency": "EUR"}
    start |= {
        "timezone": "Europe/Vienna",
        "contract_starts_on": "",
        "contract_ends_on": "",
        "csm": "",
        "field_cto": "",
    }
    return start | changes


def body(response: Any) -> str:
    return " ".join(response.content.decode().split())


def acts(organization: Organization) -> list[AuditEvent]:
    enter(staff_of(organization))
    return list(AuditEvent.objects.filter(action__startswith="account.").order_by("pk"))


def test_a_new_account_starts_with_the_organizations_currency_and_zone(admin: Client) -> None:
    seen = body(admin.get("/accounts/new/"))
    assert 'value="EUR"' in seen
    assert '<option value="Europe/Vienna" selected>' in seen


def test_a_new_account_is_stored_audited_and_shown(organization: Organization, admin: Client) -> None:
    csm = make_member(organization, Role.CSM).user
    data = filled(csm=str(csm.pk), contract_starts_on="2026-01-01", contract_ends_on="2027-01-01")
    response = admin.post("/accounts/new/", data)
    enter(staff_of(organization))
    account = Account.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"/accounts/{account.pk}/"
    assert (account.key, account.csm, account.contract_ends_on) == ("north", csm, date(2027, 1, 1))
    (act,) = acts(organization)
    assert (act.action, act.target_id, act.actor_name) == ("account.created", str(account.pk), "Ada Okafor")
    assert act.details["segment"] == "Enterprise"


def test_events_that_waited_for_the_key_are_pointed_out(organization: Organization, admin: Client) -> None:
    enter(staff_of(organization))
    QuarantinedEvent.objects.create(
        organization=organization,
        key=uuid4(),
        digest=1,
        reason="unknown_subject",
        payload={"subject": "north"},
        occurred_at=timezone.now(),
    )
    response = admin.post("/accounts/new/", filled(), follow=True)
    assert "Events that name “north” wait in quarantine" in body(response)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": "taken"}, "Another account has the key “taken”."),
        ({"key": "no spaces"}, "Use letters, digits and"),
        ({"key": ""}, "Give it a key"),
        ({"name": "a\u202eb"}, "Use printable characters only."),
        ({"currency": "euro"}, "3 characters"),
        ({"currency": "eur"}, "three capital letters"),
        ({"timezone": "Mars/Olympus"}, "Select a valid choice"),
        ({"contract_starts_on": "2026-02-01", "contract_ends_on": "2026-02-01"}, "The contract must end after it"),
        ({"contract_starts_on": "1026-02-01"}, "between 2000 and 2099"),
        ({"contract_starts_on": "31.01.2026"}, "Enter a valid date"),
        ({"csm": "019b0000-0000-7000-8000-000000000000"}, "Select a valid choice"),
        ({"segment": "huge"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    organization: Organization, admin: Client, changes: dict[str, str], words: str
) -> None:
    make_account(organization, "Taken", key="taken")
    response = admin.post("/accounts/new/", filled(**changes))
    assert response.status_code == 422
    assert words in body(response)
    enter(staff_of(organization))
    assert Account.objects.count() == 1
    assert acts(organization) == []


def test_the_same_key_is_free_in_another_organization(admin: Client) -> None:
    make_account(make_organization("Globex"), key="north")
    assert admin.post("/accounts/new/", filled()).status_code == 302


def test_an_edit_stores_and_audits_what_differs(organization: Organization, admin: Client) -> None:
    account = make_account(organization, key="north", currency="EUR", timezone="Europe/Vienna", segment="enterprise")
    url = f"/accounts/{account.pk}/edit/"
    assert admin.post(url, filled(tier="high_touch", key="north-2")).status_code == 302
    (act,) = acts(organization)
    assert act.details == {
        "key": {"from": "north", "to": "north-2"},
        "tier": {"from": "Standard", "to": "High touch"},
    }
    assert act.account_id is None, "the vendor's notes are not in the customer's log"
    admin.post(url, filled(tier="high_touch", key="north-2"))
    assert len(acts(organization)) == 1, "saving the same again is no act"


def test_an_account_has_a_country_of_its_own_or_that_of_the_organization(
    organization: Organization, admin: Client
) -> None:
    account = make_account(organization, key="north")
    url = f"/accounts/{account.pk}/edit/"
    assert "That of the organization" in admin.get(url).content.decode()
    for told, kept in (({"country": "AT"}, "AT"), ({}, "AT"), ({"country": ""}, "")):
        assert admin.post(url, filled(key="north", **told)).status_code == 302
        enter(staff_of(organization))
        account.refresh_from_db()
        assert account.country == kept


def test_a_refused_edit_leaves_the_name_at_the_top_as_it_is(organization: Organization, admin: Client) -> None:
    account = make_account(organization, "Northwind")
    response = admin.post(f"/accounts/{account.pk}/edit/", filled(name="Renamed", key="a b"))
    assert response.status_code == 422
    assert "<h1>Edit Northwind</h1>" in body(response)


@pytest.mark.parametrize("waiting", [False, True])
def test_what_usage_rests_on_is_locked_after_the_first_event(
    organization: Organization, admin: Client, waiting: bool
) -> None:
    account = make_account(organization, key="north", currency="USD", timezone="UTC")
    if waiting:
        IngestBatch.objects.create(organization=organization, events=1, sums=[{"a": str(account.pk), "m": "x"}])
    else:
        make_usage_day(account, make_meter(organization), date(2026, 6, 1))
    url = f"/accounts/{account.pk}/edit/"
    assert "This account has usage" in body(admin.get(url))
    assert admin.post(url, filled(name="Renamed", key="x", currency="EUR")).status_code == 302
    enter(staff_of(organization))
    account.refresh_from_db()
    assert (account.name, account.key, account.currency, account.timezone) == ("Renamed", "north", "USD", "UTC")


def test_people_of_others_cannot_be_chosen(organization: Organization, admin: Client) -> None:
    account = make_account(organization)
    customer = make_member(account).user
    foreign = make_member(make_organization("Globex"), Role.CSM, make_user(name="Of Globex")).user
    seen = body(admin.get(f"/accounts/{account.pk}/edit/"))
    assert "Of Globex" not in seen
    for person in (customer, foreign):
        for name in ("csm", "field_cto"):
            response = admin.post(f"/accounts/{account.pk}/edit/", filled(**{name: str(person.pk)}))
            assert response.status_code == 422
            assert "Select a valid choice" in body(response)
    assert acts(organization) == []


def test_a_csm_who_left_can_stay_in_place(organization: Organization, admin: Client) -> None:
    gone = make_user(name="Left Us")
    account = make_account(organization, csm=gone)
    assert admin.post(f"/accounts/{account.pk}/edit/", filled(csm=str(gone.pk))).status_code == 302


def test_fields_that_are_not_on_the_page_do_not_change(organization: Organization, admin: Client) -> None:
    other = make_organization("Globex")
    account = make_account(organization, key="north")
    admin.post(f"/accounts/{account.pk}/edit/", filled(organization=str(other.pk), id=str(other.pk)))
    enter(staff_of(organization))
    account.refresh_from_db()
    assert account.organization_id == organization.pk


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.LEADER, 200), (Role.CSM, 200), (Role.FIELD_CTO, 403), (Role.FINANCE, 403), (Role.ANALYST, 403)],
)
def test_only_roles_that_edit_accounts_see_the_forms(organization: Organization, role: Role, status: int) -> None:
    account = make_account(organization)
    client = signed_in(make_member(organization, role))
    assert client.get("/accounts/new/").status_code == status
    assert client.get(f"/accounts/{account.pk}/edit/").status_code == status
    if status == 403:
        assert client.post("/accounts/new/", filled()).status_code == 403
        assert client.post(f"/accounts/{account.pk}/edit/", filled()).status_code == 403
        assert acts(organization) == []


def test_a_foreign_account_is_as_unknown_as_none(organization: Organization, admin: Client) -> None:
    foreign = make_account(make_organization("Globex"))
    for account_id in (foreign.pk, "019b0000-0000-7000-8000-000000000000"):
        assert admin.get(f"/accounts/{account_id}/edit/").status_code == 404
        assert admin.post(f"/accounts/{account_id}/edit/", filled()).status_code == 404
    own = make_account(organization)
    assert signed_in(make_member(own)).post(f"/accounts/{own.pk}/edit/", filled()).status_code == 403


def test_the_currency_stays_once_a_billing_period_is_closed_even_without_use(
    organization: Organization, admin: Client
) -> None:
    account = make_account(organization, "Northwind", key="north", currency="EUR")
    BillingPeriod.objects.create(
        organization=organization,
        account=account,
        starts_on=date(2026, 5, 1),
        ends_on=date(2026, 6, 1),
        currency="EUR",
        amount=0,
        closed_at=timezone.now(),
    )
    admin.post(f"/accounts/{account.pk}/edit/", filled(currency="USD", name="Renamed"))
    enter(staff_of(organization))
    account.refresh_from_db()
    assert (account.name, account.currency) == ("Renamed", "EUR")
