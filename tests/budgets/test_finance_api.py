"""Reconciliation, the latest ledger check and margins over the API: what they say, and to whom."""

from datetime import date, datetime
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, Role, Scope
from budgets.models import LedgerCheck
from consumption_cs.lib.tenancy import enter, leave
from tests.budgets.ledger_factories import D
from tests.factories import (
    NOW,
    make_account,
    make_cost,
    make_key,
    make_member,
    make_meter,
    make_usage_day,
    signed_in,
    staff_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    account = make_account(key="northwind")
    meter = make_meter(account.organization, name="Calls")
    make_cost(meter, "0.02")
    make_usage_day(account, meter, date(2026, 5, 4), spend=D("12.50"))
    return account


def _key(owner: Account, **fields: Any) -> dict[str, str]:
    _, secret = make_key(owner.organization, (Scope.READ,), **fields)
    leave()
    return {"Authorization": f"Bearer {secret}"}


def test_reconciliation_says_what_does_not_add_up(account: Account) -> None:
    headers = _key(account)
    answer = Client().get("/api/v1/reconciliation?month=2026-05&account=northwind", headers=headers)
    assert answer.status_code == 200, answer.content
    (line,) = answer.json()["results"]
    assert (line["account"], line["state"], line["starts_on"]) == ("northwind", "ended", "2026-05-01")
    assert (line["rated"], line["due"], line["invoiced"]) == ("0", "0", None)
    assert line["is_exact"] is False  # the day was never rated
    assert line["accepted_events"] == 0
    whole = Client().get("/api/v1/reconciliation?month=2026-05", headers=headers).json()["results"]
    assert [one["accepted_events"] for one in whole] == [None]


@pytest.mark.parametrize("month", ["May", "2026-13", "1999-01", "20260-5", "2026-05-01"])
def test_a_month_that_is_none_is_refused_in_words(account: Account, month: str) -> None:
    answer = Client().get("/api/v1/reconciliation", {"month": month}, headers=_key(account))
    assert answer.status_code == 400
    assert "such as 2026-03" in answer.content.decode()


def test_the_latest_check_of_the_ledger(account: Account) -> None:
    headers = _key(account)
    assert Client().get("/api/v1/ledger-check", headers=headers).status_code == 404
    enter(staff_of(account))
    for is_exact, at in ((True, "2026-06-01T02:00:00+00:00"), (False, "2026-06-02T02:00:00+00:00")):
        LedgerCheck.objects.create(
            organization=account.organization,
            checked_at=datetime.fromisoformat(at),
            is_exact=is_exact,
            accounts=3,
            difference="" if is_exact else "Northwind, 3 June: …",
        )
    leave()
    found = Client().get("/api/v1/ledger-check", headers=headers).json()
    assert (found["is_exact"], found["accounts"], found["difference"]) == (False, 3, "Northwind, 3 June: …")


def test_margins_are_for_people_and_never_for_keys(account: Account) -> None:
    assert Client().get("/api/v1/margin", headers=_key(account)).status_code == 403
    client = signed_in(make_member(account.organization, Role.FINANCE))
    leave()
    (line,) = client.get("/api/v1/margin?month=2026-05").json()["results"]
    assert (line["account"], line["revenue"], line["coverage"]) == ("northwind", "12.5", "1")
    assert client.get("/api/v1/margin").json()["month"] >= f"{NOW:%Y-%m}"


def test_a_customers_key_reads_none_of_it(account: Account) -> None:
    headers = _key(account, account=account)
    for path in ("reconciliation", "ledger-check", "margin"):
        assert Client().get(f"/api/v1/{path}", headers=headers).status_code == 403
