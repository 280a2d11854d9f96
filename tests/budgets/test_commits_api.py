"""Contracts, commits, the ledger and statements over the API: what they say, to whom, and how they refuse."""

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Organization, Scope
from budgets.models import Commit, Contract
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import draw, make_commit, make_contract, rate
from tests.factories import make_account, make_key, make_meter, make_organization, staff_of
from usage.models import Meter

pytestmark = pytest.mark.django_db


class Machine:
    """A client that presents one key."""

    def __init__(self, organization: Organization, *scopes: str, **fields: Any) -> None:
        _, secret = make_key(organization, scopes or (Scope.READ,), **fields)
        self.headers = {"Authorization": f"Bearer {secret}"}

    def get(self, path: str) -> HttpResponse:
        return Client().get(f"/api/v1/{path}", headers=self.headers)  # type: ignore[return-value]

    def read(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content)

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        answer = Client().post(
            f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=self.headers | headers
        )
        return answer.status_code, json.loads(answer.content)


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="eu/north")


@pytest.fixture
def calls(organization: Organization) -> Meter:
    return make_meter(organization, "api.call", key="calls", name="Calls")


@pytest.fixture
def manager(organization: Organization) -> Machine:
    return Machine(organization, Scope.READ, Scope.MANAGE)


def today() -> date:
    return timezone.now().date()


def new_commit(under: Contract, **changes: Any) -> dict[str, Any]:
    terms = {"contract": str(under.pk), "name": "Prepaid 2026", "amount": "1000"}
    return terms | {"effective_on": today().isoformat()} | changes


def use_ten_of_a_hundred(account: Account, meter: Meter) -> Commit:
    """Two days ago 10 were drawn from a commit of 100 that began then."""
    day = today() - timedelta(days=2)
    commit = make_commit(account, "100", effective_on=day)
    rate(account, meter, day, "10")
    draw(account, day, timezone.now())
    return commit


def test_a_contract_and_a_commit_are_made_and_read(
    account: Account, manager: Machine, organization: Organization
) -> None:
    status, contract = manager.post(
        "accounts/eu/north/contracts",
        {"name": "Order form", "starts_on": "2026-01-01", "overage_factor": "1.25", "note": "secret"},
    )
    assert status == 201
    assert (contract["overage_factor"], contract["note"]) == ("1.25", "secret")
    status, made = manager.post(
        "accounts/eu/north/commits",
        {
            "contract": contract["id"],
            "name": "Credits",
            "kind": "credit",
            "unit": "credits",
            "amount": "100000",
            "rate": "0.02",
            "effective_on": today().isoformat(),
        },
    )
    assert status == 201
    assert (made["value"], made["amount"], made["rate"], made["unit"]) == ("2000", "100000", "0.02", "credits")
    customer = Machine(organization, account=account)
    assert customer.read(f"commits/{made['id']}")["name"] == "Credits"
    (seen,) = customer.read("accounts/eu/north/contracts")["results"]
    assert "note" not in seen, "what the vendor noted is not the customer's"


def test_what_is_left_says_what_was_drawn(account: Account, calls: Meter, manager: Machine) -> None:
    commit = use_ten_of_a_hundred(account, calls)
    found = manager.read("accounts/eu/north/commits")
    (row,) = found["results"]
    assert (row["id"], row["granted"], row["drawn"], row["settled"], row["state"]) == (
        str(commit.pk), "100", "10", "90", "active",
    )  # fmt: skip
    assert found["data_through"]


def test_the_same_key_twice_makes_one_commit(account: Account, manager: Machine) -> None:
    body = new_commit(make_contract(account))
    answers = [manager.post("accounts/eu/north/commits", body, **{"Idempotency-Key": "one"}) for _ in range(2)]
    assert answers[0] == answers[1]
    enter(staff_of(account))
    assert Commit.objects.filter(account=account).count() == 1


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"unit": "EUR"}, "/rate", "rate"),
        ({"amount": "-1"}, "/amount", "zero or more"),
        ({"amount": "1.001"}, "/amount", ""),
        ({"amount": "0.1234567890123"}, "/amount", "12"),
        ({"expires_on": "2020-01-01"}, "/expires_on", ""),
        ({"contract": str(uuid4())}, "/contract", "no such contract"),
        ({"only_meters": ["unheard"]}, "/only_meters", "unheard"),
        ({"name": " "}, "/name", ""),
        ({"recurs_months": 5}, "/recurs_months", ""),
        ({"effective_on": "9999-12-31"}, "/effective_on", "Choose a day"),
    ],
)
def test_a_commit_that_cannot_be_is_refused_at_its_field(
    account: Account, manager: Machine, change: dict[str, Any], pointer: str, words: str
) -> None:
    status, problem = manager.post("accounts/eu/north/commits", new_commit(make_contract(account), **change))
    assert status == 400
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]
    enter(staff_of(account))
    assert not Commit.objects.filter(account=account).exists()


def test_each_change_has_its_route_and_its_reason(account: Account, manager: Machine) -> None:
    commit = make_commit(account, "100", effective_on=today(), now=timezone.now())
    day = today().isoformat()
    later = (today() + timedelta(days=90)).isoformat()
    changes: list[tuple[str, dict[str, Any]]] = [
        ("amendments", {"value_change": "50", "effective_on": day}),
        ("expiry", {"expires_on": later}),
        ("order", {"priority": 7}),
        ("cancellation", {"on": day}),
    ]
    for route, body in changes:
        assert manager.post(f"commits/{commit.pk}/{route}", body)[0] == 400, f"{route} needs a reason"
        status, answer = manager.post(f"commits/{commit.pk}/{route}", body | {"reason": f"because of {route}"})
        assert status == 201, answer
    row = manager.read(f"commits/{commit.pk}")
    assert (row["priority"], row["expires_on"], row["state"]) == (7, later, "cancelled")
    assert [change["kind"] for change in row["changes"]] == ["amended", "extended", "reordered", "cancelled"]
    status, problem = manager.post(
        f"commits/{commit.pk}/amendments", {"value_change": "1", "effective_on": day, "reason": "too late"}
    )
    assert status == 400
    assert "was cancelled" in problem["errors"][0]["detail"]


def test_less_than_what_is_drawn_is_refused_in_words(account: Account, calls: Meter, manager: Machine) -> None:
    commit = use_ten_of_a_hundred(account, calls)
    body = {"value_change": "-95", "effective_on": today().isoformat(), "reason": "smaller"}
    status, problem = manager.post(f"commits/{commit.pk}/amendments", body)
    assert status == 400
    assert "at most $90.00 can be taken back" in problem["errors"][0]["detail"]


def test_what_expired_is_rolled_over_once(account: Account, manager: Machine) -> None:
    begin, end = today() - timedelta(days=9), today() - timedelta(days=2)
    commit = make_commit(account, "100", effective_on=begin, expires_on=end)
    draw(account, begin, timezone.now())
    body = {"name": "Rolled", "effective_on": today().isoformat(), "most": "40", "reason": "agreed"}
    status, made = manager.post(f"commits/{commit.pk}/rollover", body)
    assert status == 201, made
    assert (made["kind"], made["value"], made["rolled_from"]) == ("rollover", "40", str(commit.pk))
    assert manager.post(f"commits/{commit.pk}/rollover", body)[0] == 400


def test_only_a_key_that_may_manage_changes_anything(
    account: Account, organization: Organization, calls: Meter
) -> None:
    commit = use_ten_of_a_hundred(account, calls)
    contract = commit.contract
    for reader in (Machine(organization), Machine(organization, account=account)):
        assert reader.post("accounts/eu/north/commits", new_commit(contract))[0] == 403
        assert reader.post("accounts/eu/north/contracts", {"name": "x", "starts_on": "2030-01-01"})[0] == 403
        body = {"on": today().isoformat(), "reason": "no"}
        assert reader.post(f"commits/{commit.pk}/cancellation", body)[0] == 403


def test_a_customers_key_reads_its_own_alone_and_no_names_of_staff(
    account: Account, organization: Organization, calls: Meter, manager: Machine
) -> None:
    commit = use_ten_of_a_hundred(account, calls)
    body = {"value_change": "5", "effective_on": today().isoformat(), "reason": "a gift"}
    assert manager.post(f"commits/{commit.pk}/amendments", body)[0] == 201
    customer = Machine(organization, account=account)
    (change,) = customer.read(f"commits/{commit.pk}")["changes"]
    assert (change["by"], change["reason"]) == (organization.name, "a gift")
    stranger = Machine(organization, account=make_account(organization, "Other", key="other"))
    for path in (f"commits/{commit.pk}", "accounts/eu/north/commits", "accounts/eu/north/ledger"):
        assert stranger.get(path).status_code == 404


def test_the_ledger_is_read_by_pages_and_filters(account: Account, calls: Meter, manager: Machine) -> None:
    commit = use_ten_of_a_hundred(account, calls)
    first = manager.read("accounts/eu/north/ledger?page_size=1")
    second = manager.read(first["next"].split("/api/v1/")[1])
    assert [row["kind"] for row in first["results"] + second["results"]] == ["drawn", "granted"]
    assert second["next"] is None
    assert (first["drawn"], first["entries"]) == ("10", 2)
    (row,) = manager.read(f"accounts/eu/north/ledger?kind=drawn&meter=calls&commit={commit.pk}")["results"]
    assert (row["amount"], row["balance"], row["meter"]) == ("-10", "90", "calls")
    assert not manager.read(f"accounts/eu/north/ledger?from={today()}")["results"]
    for wrong in ("cursor=x", "kind=x", "meter=x", "from=x", "commit=x"):
        assert manager.get(f"accounts/eu/north/ledger?{wrong}").status_code == 400


def test_a_statement_adds_up(account: Account, calls: Meter, manager: Machine) -> None:
    use_ten_of_a_hundred(account, calls)
    periods = manager.read("accounts/eu/north/statements")["results"]
    found = [manager.read(f"accounts/eu/north/statements/{one['starts_on']}") for one in periods]
    parts = ("opening", "granted", "amended", "not_rolled_over", "drawn", "expired", "cancelled")
    for one in found:
        for line in [*one["commits"], one["total"]]:
            assert sum(Decimal(line[part]) for part in parts) == Decimal(line["closing"])
    assert found[0]["total"]["closing"] == "90"
    assert sum(Decimal(one["drawn"]) for one in found) == 10
    assert {line["meter"] for one in found for line in one["meters"]} == {"calls"}
    for wrong in ("2020-01-01", "soon"):
        assert manager.get(f"accounts/eu/north/statements/{wrong}").status_code == 404


def test_the_schema_names_every_route(client: Client) -> None:
    described = client.get("/api/v1/schema/?format=json").json()["paths"]
    for path in ("contracts", "commits", "ledger", "statements", "statements/{starts_on}"):
        assert f"/api/v1/accounts/{{key}}/{path}" in described
    amend = described["/api/v1/commits/{commit_id}/amendments"]["post"]
    assert {"201", "400", "403", "404", "409", "422"} <= set(amend["responses"])
    assert "Idempotency-Key" in {parameter["name"] for parameter in amend["parameters"]}
