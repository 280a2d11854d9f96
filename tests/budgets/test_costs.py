"""Vendor costs: added, imported, taken back, listed with their history; and the same over the API."""

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Account, AuditEvent, Organization, Role, Scope
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_cost,
    make_key,
    make_member,
    make_meter,
    make_organization,
    make_workflow,
    signed_in,
    staff_of,
)
from usage.models import Meter, VendorCost
from usage.reports.vendor_costs import cost_list

pytestmark = pytest.mark.django_db
TODAY = date(2026, 6, 15)


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def meter(organization: Organization) -> Meter:
    return make_meter(organization, "api.call", name="API calls")


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="northwind")


@pytest.fixture
def finance(organization: Organization) -> Client:
    return signed_in(make_member(organization, Role.FINANCE))


def filled(meter: Meter, **fields: Any) -> dict[str, Any]:
    start = {"meter": str(meter.pk), "account": "", "workflow": "", "unit_cost": "0.002", "currency": "USD"}
    return start | {"effective_on": "2026-03-01"} | fields


def test_each_cost_holds_until_the_next_of_its_kind(meter: Meter, account: Account) -> None:
    flow = make_workflow(account, "Invoice OCR")
    make_cost(meter, "1", effective_on=date(2026, 1, 1))
    make_cost(meter, "2", effective_on=TODAY)
    make_cost(meter, "3", effective_on=date(2026, 7, 1))
    make_cost(meter, "9", account, effective_on=date(2026, 2, 1))
    make_cost(meter, "8", account, flow, effective_on=date(2026, 2, 1))
    (found,) = cost_list(staff_of(account), TODAY)
    assert [(line.text, line.state, line.until) for line in found.lines] == [
        ("$3.00", "ahead", None),
        ("$2.00", "in force", date(2026, 7, 1)),
        ("$1.00", "past", TODAY),
        ("$9.00", "in force", None),
        ("$8.00", "in force", None),
    ]


def test_a_cost_is_added_and_the_audit_log_says_so_without_naming_the_account_to_its_people(
    finance: Client, meter: Meter, account: Account
) -> None:
    response = finance.post("/finance/costs/new/", filled(meter, account="northwind"), follow=True)
    assert "A call of API calls costs you $0.002 from 2026-03-01." in response.content.decode()
    enter(staff_of(account))
    assert str(VendorCost.objects.get().unit_cost) == "0.002000000000"
    done = AuditEvent.objects.get()
    assert done.action == "vendor_cost.created"
    assert done.account_id is None


def test_a_workflow_has_a_cost_of_its_own(finance: Client, meter: Meter, account: Account) -> None:
    make_workflow(account, "Invoice OCR", key="ocr")
    finance.post("/finance/costs/new/", filled(meter, account="northwind", workflow="ocr"))
    enter(staff_of(account))
    assert VendorCost.objects.values_list("workflow__key", flat=True).get() == "ocr"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"unit_cost": "0.1234567890123"}, "This cost has 13 decimals; 12 is the most"),
        ({"unit_cost": "-1"}, "A cost cannot be negative."),
        ({"account": "nobody"}, "No account has the key “nobody”."),
        ({"workflow": "ocr"}, "A workflow belongs to an account: name the account too."),
        ({"account": "northwind", "workflow": "ocr"}, "Northwind has no workflow with the key “ocr”."),
        ({"account": "northwind", "currency": "EUR"}, "Northwind pays in USD"),
        ({"effective_on": "1999-12-31"}, "Choose a day between 2000 and 2099."),
    ],
)
def test_what_is_wrong_is_said_in_words_and_nothing_is_stored(
    finance: Client, meter: Meter, account: Account, fields: dict[str, str], words: str
) -> None:
    response = finance.post("/finance/costs/new/", filled(meter, **fields))
    assert response.status_code == 422
    assert words in response.content.decode()
    enter(staff_of(account))
    assert not VendorCost.objects.exists()


def test_a_second_cost_from_the_same_day_is_refused(finance: Client, meter: Meter) -> None:
    make_cost(meter, "1", effective_on=date(2026, 3, 1))
    response = finance.post("/finance/costs/new/", filled(meter))
    assert "already has a cost in USD for all accounts from 2026-03-01 on." in response.content.decode()


def test_a_cost_is_taken_back(finance: Client, meter: Meter, organization: Organization) -> None:
    cost = make_cost(meter)
    response = finance.post(f"/finance/costs/{cost.pk}/remove/", follow=True)
    assert "is gone" in response.content.decode()
    enter(staff_of(organization))
    assert not VendorCost.objects.exists()
    assert AuditEvent.objects.get().action == "vendor_cost.removed"
    assert finance.post(f"/finance/costs/{uuid4()}/remove/").status_code == 404


def test_a_leader_sees_costs_and_changes_none(organization: Organization, meter: Meter) -> None:
    cost = make_cost(meter)
    leader = signed_in(make_member(organization, Role.LEADER))
    page = leader.get("/finance/costs/").content.decode()
    assert "$0.004" in page
    assert "New cost" not in page
    assert leader.post(f"/finance/costs/{cost.pk}/remove/").status_code == 403


def test_a_file_is_shown_before_it_is_stored(finance: Client, meter: Meter, account: Account) -> None:
    make_workflow(account, "Invoice OCR", key="ocr")
    text = (
        "meter,account,workflow,unit_cost,effective_on\n"
        "api.call,,,0.5,2026-01-01\n"
        "api.call,northwind,,0.4,2026-01-01\n"
        "api.call,northwind,ocr,0.3,2026-01-01\n"
    )
    file = SimpleUploadedFile("costs.csv", text.encode())
    page = finance.post("/finance/costs/import/", {"file": file}).content.decode()
    assert "3 new costs, ready to import" in page
    enter(staff_of(account))
    assert not VendorCost.objects.exists()
    done = finance.post("/finance/costs/import/", {"content": text}, follow=True)
    assert "3 costs imported" in done.content.decode()
    again = finance.post("/finance/costs/import/", {"content": text})
    assert "Everything in this file is there already" in again.content.decode()


def test_a_file_with_a_broken_row_stores_nothing(finance: Client, meter: Meter, account: Account) -> None:
    text = (
        "meter,account,workflow,currency,unit_cost,effective_on\n"
        "api.call,,,,0.5,2026-01-01\n"
        "nothing,,,,0.5,2026-01-01\n"
        "api.call,,ocr,,0.5,2026-01-02\n"
        "api.call,northwind,,EUR,0.5,2026-01-03\n"
        "api.call,,,,0.6,2026-01-01\n"
        "api.call,,,,0.6,1.1.2026\n"
    )
    page = finance.post("/finance/costs/import/", {"content": text}).content.decode()
    for words in (
        "No meter has the key “nothing”.",
        "A workflow belongs to an account: name the account too.",
        "Northwind pays in USD",
        "Line 2 has a cost for the same meter",
        "is not a day: write it as 2026-01-31.",
    ):
        assert words in page
    enter(staff_of(account))
    assert not VendorCost.objects.exists()


def manager(organization: Organization) -> dict[str, str]:
    _, secret = make_key(organization, (Scope.READ, Scope.MANAGE))
    return {"Authorization": f"Bearer {secret}"}


def test_the_api_lists_adds_and_takes_back(organization: Organization, meter: Meter, account: Account) -> None:
    client, key = Client(headers=manager(organization)), {"Idempotency-Key": "cost-1"}
    body = {"meter": "api.call", "account": "northwind", "unit_cost": "0.0001", "effective_on": "2026-01-01"}
    made = client.post("/api/v1/vendor-costs", body, content_type="application/json", headers=key)
    assert made.status_code == 201, made.json()
    assert made.json() | {"unit_cost": "0.0001", "currency": "USD", "account": "northwind"} == made.json()
    again = client.post("/api/v1/vendor-costs", body, content_type="application/json", headers=key)
    assert (again.status_code, again.json()) == (201, made.json())
    listed = client.get("/api/v1/vendor-costs?meter=api.call").json()["results"]
    assert [row["id"] for row in listed] == [made.json()["id"]]
    twice = client.post("/api/v1/vendor-costs", body, content_type="application/json")
    assert twice.status_code == 400
    assert "already has a cost" in twice.json()["errors"][0]["detail"]
    assert client.delete(f"/api/v1/vendor-costs/{made.json()['id']}").status_code == 204
    assert client.delete(f"/api/v1/vendor-costs/{made.json()['id']}").status_code == 404


def test_the_api_says_what_is_wrong_by_field(organization: Organization, meter: Meter) -> None:
    client = Client(headers=manager(organization))
    body = {"meter": "api.call", "unit_cost": "0,1", "effective_on": "2026-01-01"}
    answer = client.post("/api/v1/vendor-costs", body, content_type="application/json").json()
    assert answer["errors"][0]["pointer"] == "/unit_cost"
    assert "Use a point for the decimals." in answer["errors"][0]["detail"]
    unknown = client.post("/api/v1/vendor-costs", body | {"meter": "x"}, content_type="application/json").json()
    assert unknown["errors"][0]["detail"] == "No meter has the key “x”."


def test_a_key_that_only_reads_sees_no_costs(organization: Organization, account: Account) -> None:
    for owner in ({}, {"account": account}):
        _, secret = make_key(organization, (Scope.READ,), **owner)
        headers = {"Authorization": f"Bearer {secret}"}
        assert Client(headers=headers).get("/api/v1/vendor-costs").status_code == 403
