"""Budgets and limits over the API: made, read, changed, archived, limited, lifted and replayed; and how it refuses."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Organization, Role, Scope
from budgets.actions.limits import NewLimit, set_limit
from budgets.models import Budget, BudgetVersion, Limit, LimitEvent, LimitState
from consumption_cs.lib.tenancy import enter
from tests.budgets.budget_factories import make_budget, use
from tests.budgets.test_commits_api import Machine
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_price,
    make_usage_day,
    make_workflow,
    signed_in,
    staff_of,
)
from usage.models import Meter

pytestmark = pytest.mark.django_db


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="eu/north")


@pytest.fixture
def calls(organization: Organization) -> Meter:
    meter = make_meter(organization, "api.call", key="calls", name="Calls", dimensions=["team"])
    make_price(meter, "1")
    return meter


@pytest.fixture
def manager(organization: Organization) -> Machine:
    return Machine(organization, Scope.READ, Scope.MANAGE)


def send(machine: Machine, method: str, path: str, body: Any = None) -> Any:
    call = getattr(Client(), method)
    return call(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=machine.headers)


def refused(status: int, body: Any) -> dict[str, str]:
    assert status == 400, body
    return {error["pointer"]: error["detail"] for error in body["errors"]}


def test_a_budget_is_made_and_counts_what_was_used_before(
    account: Account, calls: Meter, manager: Machine, organization: Organization
) -> None:
    use(account, calls, timezone.now(), "30")
    rules = [{"kind": "actual_percent", "value": "80"}, {"kind": "forecast_over", "value": "90"}]
    status, made = manager.post("accounts/eu/north/budgets", {"name": "All", "amount": "100.50", "rules": rules})
    assert status == 201, made
    assert (made["amount"], made["used"], made["remaining"], made["version"]) == ("100.5", "30", "70.5", 1)
    assert made["rules"] == rules
    assert (made["limit"], made["limit_state"], made["by_customer"]) == (None, "clear", False)
    assert manager.read("accounts/eu/north/budgets") == {"results": [made]}
    assert Machine(organization, account=account).read(f"accounts/eu/north/budgets/{made['id']}") == made


def test_each_scope_names_its_part(account: Account, calls: Meter, manager: Machine) -> None:
    make_workflow(account, key="ocr")
    parts: list[dict[str, str]] = [
        {"scope": "workflow", "workflow": "ocr"},
        {"scope": "meter", "meter": "calls"},
        {"scope": "key", "dimension": "team", "dimension_value": "red"},
        {"scope": "account", "period": "custom", "starts_on": "2026-01-01", "ends_on": "2036-01-01"},
    ]
    for part in parts:
        status, made = manager.post("accounts/eu/north/budgets", {"name": "Part", "amount": "10"} | part)
        assert status == 201, made
        assert {name: made[name] for name in part} == part
    assert len(manager.read("accounts/eu/north/budgets")["results"]) == 4


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount": "0"}, "/amount"),
        ({"amount": "-5"}, "/amount"),
        ({"amount": "NaN"}, "/amount"),
        ({"amount": "1e30"}, "/amount"),
        ({"amount": None}, "/amount"),
        ({"name": ""}, "/name"),
        ({"scope": "workflow"}, "/workflow"),
        ({"scope": "workflow", "workflow": "nobody"}, "/workflow"),
        ({"scope": "meter", "meter": "nothing"}, "/meter"),
        ({"meter": "calls"}, "/meter"),
        ({"scope": "key", "dimension": "team"}, "/dimension_value"),
        ({"scope": "planet"}, "/scope"),
        ({"period": "custom"}, "/non_field_errors"),
        ({"period": "custom", "starts_on": "2026-02-01", "ends_on": "2026-01-01"}, "/non_field_errors"),
        ({"starts_on": "2026-02-01"}, "/non_field_errors"),
        ({"parent": str(uuid4())}, "/parent"),
        ({"parent": "mine"}, "/parent"),
        ({"amonut": "5"}, "/amonut"),
        ({"rules": [{"kind": "actual_percent", "value": "0"}]}, "/rules/0/value"),
        ({"rules": [{"kind": "actual_percent", "value": "1001"}]}, "/rules/0/value"),
        ({"rules": [{"kind": "forecast_over", "value": "100"}]}, "/rules/0/value"),
        ({"rules": [{"kind": "moon", "value": "1"}]}, "/rules/0/kind"),
        ({"rules": [{"kind": "actual_percent", "value": "1"}] * 21}, "/rules"),
        ({"rules": "all"}, "/rules"),
        ({"rules": [{"kind": "velocity_fast", "value": value} for value in ("2", "3")]}, "/rules"),
    ],
)
def test_what_is_wrong_with_a_new_budget_is_said_in_words(
    change: dict[str, Any], pointer: str, account: Account, calls: Meter, manager: Machine
) -> None:
    errors = refused(*manager.post("accounts/eu/north/budgets", {"name": "All", "amount": "100"} | change))
    assert any(found.startswith(pointer) for found in errors), errors
    enter(staff_of(account))
    assert not Budget.objects.exists()


def test_a_part_may_not_have_more_than_the_whole(account: Account, manager: Machine) -> None:
    whole = make_budget(account, "100", name="Whole")
    body = {"name": "Part", "amount": "120", "parent": str(whole.pk)}
    (words,) = refused(*manager.post("accounts/eu/north/budgets", body)).values()
    assert "“Whole”" in words
    status, made = manager.post("accounts/eu/north/budgets", body | {"amount": "60"})
    assert (status, made["parent"]) == (201, str(whole.pk))
    answer = send(manager, "delete", f"accounts/eu/north/budgets/{whole.pk}")
    assert answer.status_code == 400
    assert b"archive it first" in answer.content


def test_a_change_makes_a_new_version_and_the_same_again_none(account: Account, manager: Machine) -> None:
    budget = make_budget(account, "100", ("actual_percent", "80"))
    path = f"accounts/eu/north/budgets/{budget.pk}"
    assert send(manager, "patch", path, {"name": "Renamed"}).json()["version"] == 1
    changed = send(manager, "patch", path, {"amount": "150"}).json()
    assert (changed["name"], changed["amount"], changed["version"]) == ("Renamed", "150", 2)
    assert changed["rules"] == [{"kind": "actual_percent", "value": "80"}], "rules that are left out stay"
    assert send(manager, "patch", path, {"amount": "150.00"}).json()["version"] == 2
    rules = [{"kind": "actual_percent", "value": "90"}]
    assert send(manager, "patch", path, {"rules": rules}).json()["rules"] == rules
    refusal = send(manager, "patch", path, {"period": "year"})
    assert (refusal.status_code, refusal.json()["errors"][0]["pointer"]) == (400, "/period")
    enter(staff_of(account))
    assert BudgetVersion.objects.filter(budget=budget).count() == 3


def test_an_archived_budget_is_not_there_any_more(account: Account, manager: Machine) -> None:
    budget = make_budget(account)
    path = f"accounts/eu/north/budgets/{budget.pk}"
    assert send(manager, "delete", path).status_code == 204
    assert send(manager, "delete", path).status_code == 404
    assert manager.get(path).status_code == 404
    assert send(manager, "patch", path, {"amount": "5"}).status_code == 404
    assert manager.read("accounts/eu/north/budgets") == {"results": []}


def test_a_post_that_is_sent_again_makes_one_budget(account: Account, manager: Machine) -> None:
    body, key = {"name": "All", "amount": "100"}, {"Idempotency-Key": "once"}
    first = manager.post("accounts/eu/north/budgets", body, **key)
    assert manager.post("accounts/eu/north/budgets", body, **key) == first
    assert len(manager.read("accounts/eu/north/budgets")["results"]) == 1


def test_a_limit_is_set_and_the_same_again_is_the_same_version(account: Account, manager: Machine) -> None:
    budget = make_budget(account, "200")
    make_workflow(account, key="ocr")
    path = f"accounts/eu/north/budgets/{budget.pk}/limit"
    wanted = {"action": "stop", "percent": "110", "exempt_workflows": ["ocr"], "lift_roles": ["portal_owner"]}
    told = send(manager, "put", path, wanted).json()["limit"]
    assert (told["action"], told["percent"], told["amount"], told["version"]) == ("stop", "110", "220", 1)
    assert (told["exempt_workflows"], told["lift_roles"]) == (["ocr"], ["portal_owner"])
    assert send(manager, "put", path, wanted).json()["limit"]["version"] == 1
    assert send(manager, "put", path, {"action": "notify"}).json()["limit"]["version"] == 2
    enter(staff_of(account))
    assert Limit.objects.filter(budget=budget).count() == 2


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"action": "explode"}, "/action"),
        ({"action": "stop", "percent": "0"}, "/percent"),
        ({"action": "stop", "percent": "-1"}, "/percent"),
        ({"action": "stop", "warn_percent": "101"}, "/warn_percent"),
        ({"action": "stop", "grace_minutes": -1}, "/grace_minutes"),
        ({"action": "stop", "grace_minutes": 0, "grace_percent": "0"}, "/grace_minutes"),
        ({"action": "throttle", "throttle_percent": "100"}, "/throttle_percent"),
        ({"action": "stop", "lift_hours": 0}, "/lift_hours"),
        ({"action": "stop", "lift_roles": ["king"]}, "/lift_roles"),
        ({"action": "stop", "lift_roles": ["portal_viewer"]}, "/lift_roles"),
        ({"action": "stop", "exempt_workflows": ["nobody"]}, "/exempt_workflows"),
        ({"action": "stop", "percentage": "90"}, "/percentage"),
        ({"action": "stop", "percent": "99.123"}, "/percent"),
    ],
)
def test_what_is_wrong_with_a_limit_is_said_in_words(
    wanted: dict[str, Any], pointer: str, account: Account, manager: Machine
) -> None:
    budget = make_budget(account)
    answer = send(manager, "put", f"accounts/eu/north/budgets/{budget.pk}/limit", wanted)
    errors = refused(answer.status_code, answer.json())
    assert any(found.startswith(pointer) for found in errors), errors
    enter(staff_of(account))
    assert not Limit.objects.exists()


def in_force(account: Account, **limit: Any) -> Budget:
    budget = make_budget(account, "100")
    row = set_limit(staff_of(account), budget, NewLimit(action="stop", **limit), timezone.now())
    now, day = timezone.now(), timedelta(days=1)
    own: dict[str, Any] = {"organization_id": account.organization_id, "account": account, "budget": budget}
    LimitState.objects.create(
        **own, limit=row, state="acting", since=now, period_start=now - day, period_end=now + day, used=Decimal(120)
    )
    return budget


def test_a_limit_is_lifted_with_a_reason_and_the_gateway_is_told(account: Account, manager: Machine) -> None:
    budget = in_force(account)
    path = f"accounts/eu/north/budgets/{budget.pk}/limit/lift"
    assert manager.read("accounts/eu/north/headroom")["decision"] == "stop"
    assert set(refused(*manager.post(path, {"reason": " "}))) == {"/reason"}
    status, told = manager.post(path, {"reason": "The quarter's close"})
    assert (status, told["limit_state"]) == (200, "lifted")
    assert manager.read("accounts/eu/north/headroom")["decision"] == "allow"
    (words,) = refused(*manager.post(path, {"reason": "Again"})).values()
    assert "nothing to lift" in words
    enter(staff_of(account))
    assert [event.reason for event in LimitEvent.objects.filter(kind="lifted")] == ["The quarter's close"]


def test_only_a_role_that_the_limit_names_lifts_it(account: Account, manager: Machine) -> None:
    budget = in_force(account, lift_roles=[Role.PORTAL_OWNER])
    path = f"accounts/eu/north/budgets/{budget.pk}/limit/lift"
    (words,) = refused(*manager.post(path, {"reason": "I say so"})).values()
    assert "Your role may not lift this limit" in words
    owner = signed_in(make_member(account, Role.PORTAL_OWNER))
    answer = owner.post(f"/api/v1/{path}", json.dumps({"reason": "Ours"}), content_type="application/json")
    assert (answer.status_code, answer.json()["limit_state"]) == (200, "lifted")


def test_a_limit_is_rehearsed_and_nothing_is_slowed(account: Account, manager: Machine) -> None:
    budget = make_budget(account, "100")
    path = f"accounts/eu/north/budgets/{budget.pk}/limit/rehearse"
    (words,) = refused(*manager.post(path, {})).values()
    assert "no limit to rehearse" in words
    set_limit(staff_of(account), budget, NewLimit(action="stop"), timezone.now())
    status, told = manager.post(path, {})
    assert (status, told["amount"], told["used"]) == (201, "100", "0")
    assert manager.read("accounts/eu/north/headroom")["decision"] == "allow"
    enter(staff_of(account))
    assert str(LimitEvent.objects.get(kind="tested").pk) == told["id"]


def test_keys_that_only_read_change_nothing(account: Account, organization: Organization) -> None:
    budget = in_force(account)
    path = f"accounts/eu/north/budgets/{budget.pk}"
    for reader in (Machine(organization), Machine(organization, account=account)):
        assert reader.post("accounts/eu/north/budgets", {"name": "All", "amount": "1"})[0] == 403
        assert send(reader, "patch", path, {"amount": "1"}).status_code == 403
        assert send(reader, "delete", path).status_code == 403
        assert send(reader, "put", f"{path}/limit", {"action": "notify"}).status_code == 403
        assert reader.post(f"{path}/limit/lift", {"reason": "No"})[0] == 403
        assert reader.post(f"{path}/limit/rehearse", {})[0] == 403
        assert reader.read(path)["limit_state"] == "acting"


def test_people_of_the_customer_may_do_what_their_role_may(account: Account) -> None:
    finance, viewer = (signed_in(make_member(account, role)) for role in (Role.PORTAL_FINANCE, Role.PORTAL_VIEWER))
    body = json.dumps({"name": "Ours", "amount": "100"})
    url = "/api/v1/accounts/eu/north/budgets"
    assert viewer.post(url, body, content_type="application/json").status_code == 403
    made = finance.post(url, body, content_type="application/json").json()
    assert made["by_customer"] is True
    limit = finance.put(f"{url}/{made['id']}/limit", '{"action": "stop"}', content_type="application/json")
    assert limit.status_code == 403, "a hard limit is apart from a budget"


def test_what_others_have_answers_like_what_is_not_there(account: Account, manager: Machine) -> None:
    theirs = make_budget(make_account(make_organization(), key="theirs"))
    sibling = make_budget(make_account(account.organization, key="sibling"))
    for budget in (theirs, sibling):
        path = f"accounts/eu/north/budgets/{budget.pk}"
        assert manager.get(path).status_code == 404
        assert send(manager, "patch", path, {"amount": "5"}).status_code == 404
        assert send(manager, "put", f"{path}/limit", {"action": "stop"}).status_code == 404
        assert manager.post(f"{path}/limit/lift", {"reason": "Mine"})[0] == 404
        body = {"name": "Part", "amount": "5", "parent": str(budget.pk)}
        assert set(refused(*manager.post("accounts/eu/north/budgets", body))) == {"/parent"}
    assert manager.get("accounts/theirs/budgets").status_code == 404


def test_a_proposal_is_replayed_and_nothing_is_stored(account: Account, calls: Meter, manager: Machine) -> None:
    today = timezone.now().date()
    for back in range(1, 60):
        make_usage_day(account, calls, today - timedelta(days=back), spend=Decimal(10))
    rules, limit = [{"kind": "actual_percent", "value": "50"}], {"action": "stop", "percent": "100"}
    body = {"amount": "200", "rules": rules, "limit": limit}
    status, told = manager.post("accounts/eu/north/budgets/replay", body)
    assert status == 200, told
    assert told["is_ready"] is True
    assert sum(Decimal(day["spent"]) for day in told["days"]) == 590
    assert {fire["kind"] for fire in told["fires"]} == {"actual_percent"}
    assert told["acted"], "a month of 300 and more reaches a limit of 200"
    assert told["sweep"]
    enter(staff_of(account))
    assert not Budget.objects.exists()


def test_a_replay_compares_with_the_budget_it_would_change_and_refuses_others(
    account: Account, calls: Meter, manager: Machine
) -> None:
    make_usage_day(account, calls, timezone.now().date() - timedelta(days=1))
    budget = in_force(account)
    status, told = manager.post("accounts/eu/north/budgets/replay", {"amount": "5", "budget": str(budget.pk)})
    assert (status, told["is_ready"]) == (200, False)
    assert manager.post("accounts/eu/north/budgets/replay", {"amount": "5", "budget": str(uuid4())})[0] == 404
    assert manager.post("accounts/eu/north/budgets/replay", {"amount": "5", "period": "custom"})[0] == 400


def test_every_operation_is_described() -> None:
    paths = Client().get("/api/v1/schema/?format=json").json()["paths"]
    base = "/api/v1/accounts/{key}/budgets"
    found = {path: set(paths[path]) - {"parameters"} for path in paths if path.startswith(base)}
    assert found == {
        base: {"get", "post"},
        f"{base}/replay": {"post"},
        f"{base}/{{budget_id}}": {"get", "patch", "delete"},
        f"{base}/{{budget_id}}/limit": {"put"},
        f"{base}/{{budget_id}}/limit/lift": {"post"},
        f"{base}/{{budget_id}}/limit/rehearse": {"post"},
    }
    headroom = paths["/api/v1/accounts/{key}/headroom"]["get"]
    assert {"quantity", "meter", "cost"} <= {one["name"] for one in headroom["parameters"]}
