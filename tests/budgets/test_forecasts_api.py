"""Forecasts, planned activities and run-outs over the API: what they say, to whom, and how they refuse."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account, Organization, Role, Scope
from budgets.actions.forecast import make_runs
from budgets.models import PlannedActivity
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import make_commit, make_contract
from tests.budgets.test_commits_api import Machine
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of
from usage.models import AccountDay

pytestmark = pytest.mark.django_db


def today() -> date:
    return timezone.now().date()


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    return make_account(organization, "Northwind", key="eu/north")


@pytest.fixture
def manager(organization: Organization) -> Machine:
    return Machine(organization, Scope.READ, Scope.MANAGE)


def spend(account: Account, days: int = 100) -> None:
    """10 a day until yesterday."""
    enter(staff_of(account))
    AccountDay.objects.bulk_create(
        AccountDay(
            organization_id=account.organization_id,
            account=account,
            day=today() - timedelta(days=ago),
            currency=account.currency,
            spend=Decimal(10),
            events=1,
            last_event_at=timezone.now(),
        )
        for ago in range(1, days + 1)
    )


def promise(account: Account, amount: str = "500") -> None:
    make_contract(account, starts_on=today() - timedelta(days=30), ends_on=today() + timedelta(days=200))
    make_commit(account, amount, effective_on=today() - timedelta(days=1), expires_on=today() + timedelta(days=200))


def forecast(account: Account, days_ago: int = 0) -> None:
    make_runs(account.organization_id, timezone.now() - timedelta(days=days_ago), [str(account.pk)])
    enter(staff_of(account))


class TestForecast:
    def test_it_tells_dates_probability_and_spend_by_day(self, account: Account, manager: Machine) -> None:
        promise(account)
        spend(account)
        forecast(account)
        told = manager.read("accounts/eu/north/forecast")
        found = told["forecast"]
        likely = (today() + timedelta(days=49)).isoformat()
        assert found["runs_out"]["likely"] == likely
        assert found["runs_out"]["early"] <= likely
        assert found["probability"] == 1
        assert found["remaining"] == "500"
        assert found["basis"] == "model"
        assert Decimal(found["overage"]["likely"]) > 1000
        assert found["days"][0]["day"] == today().isoformat()
        assert Decimal(found["days"][9]["likely"]) == pytest.approx(Decimal(100), rel=Decimal("0.05"))
        assert found["commits"][0]["empty_on"] == likely
        assert found["period"]["likely"] is not None
        assert told["accuracy"]["coverage"] is None
        assert "Not judged yet" in told["accuracy"]["words"]

    def test_before_the_first_forecast_there_is_none_rather_than_zero(
        self, account: Account, manager: Machine
    ) -> None:
        assert manager.read("accounts/eu/north/forecast")["forecast"] is None
        assert manager.read("accounts/eu/north/forecasts")["results"] == []

    def test_without_a_commit_the_dates_are_null(self, account: Account, manager: Machine) -> None:
        spend(account, 5)
        forecast(account)
        found = manager.read("accounts/eu/north/forecast")["forecast"]
        assert found["remaining"] is None
        assert found["runs_out"] == {"early": None, "likely": None, "late": None}
        assert found["overage"]["likely"] is None
        assert found["basis"] == "naive"

    def test_what_was_known_on_a_past_day_can_be_asked_for(self, account: Account, manager: Machine) -> None:
        spend(account)
        for days_ago in (8, 4, 0):
            forecast(account, days_ago)
        then = today() - timedelta(days=3)
        found = manager.read(f"accounts/eu/north/forecast?as_of={then}")["forecast"]
        assert found["as_of"] == (today() - timedelta(days=4)).isoformat()
        assert manager.read("accounts/eu/north/forecast?as_of=2020-01-01")["forecast"] is None
        assert manager.get("accounts/eu/north/forecast?as_of=soon").status_code == 400

    def test_all_forecasts_are_listed_page_by_page(self, account: Account, manager: Machine) -> None:
        spend(account)
        for days_ago in (8, 4, 0):
            forecast(account, days_ago)
        page = manager.read("accounts/eu/north/forecasts?page_size=2")
        assert [row["as_of"] for row in page["results"]] == [f"{today() - timedelta(days=ago)}" for ago in (0, 4)]
        assert "days" not in page["results"][0]
        last = manager.read(page["next"].partition("/api/v1/")[2])
        assert [row["as_of"] for row in last["results"]] == [f"{today() - timedelta(days=8)}"]
        assert last["next"] is None

    def test_a_customers_key_reads_its_own_account_only(self, organization: Organization, account: Account) -> None:
        make_account(organization, "Other", key="other")
        key = Machine(organization, account=account)
        for what in ("forecast", "forecasts", "planned-activities"):
            assert key.get(f"accounts/eu/north/{what}").status_code == 200
            assert key.get(f"accounts/other/{what}").status_code == 404
        assert key.get("run-outs").status_code == 403


class TestPlannedActivities:
    def new(self, **changes: Any) -> dict[str, Any]:
        return {"kind": "load_test", "name": "Load test", "starts_on": today().isoformat()} | changes

    def test_one_is_planned_listed_and_taken_back(self, account: Account, manager: Machine) -> None:
        status, made = manager.post("accounts/eu/north/planned-activities", self.new(extra_spend="250.50"))
        assert status == 201
        assert made["extra_spend"] == "250.5"
        assert made["change_percent"] is None
        assert made["ends_on"] == (today() + timedelta(days=1)).isoformat()
        assert made["by_customer"] is False
        assert manager.read("accounts/eu/north/planned-activities")["results"] == [made]
        path = f"planned-activities/{made['id']}/cancellation"
        status, taken = manager.post(path, {})
        assert status == 200
        assert taken["cancelled_at"]
        assert manager.post(path, {})[1] == taken
        assert manager.read("accounts/eu/north/planned-activities")["results"] == []
        assert manager.read("accounts/eu/north/planned-activities?cancelled=true")["results"] == [taken]

    def test_sent_again_with_the_same_key_it_is_planned_once(self, account: Account, manager: Machine) -> None:
        headers = {"Idempotency-Key": "a-load-test"}
        first = manager.post("accounts/eu/north/planned-activities", self.new(), **headers)
        again = manager.post("accounts/eu/north/planned-activities", self.new(), **headers)
        assert first == again
        enter(staff_of(account))
        assert PlannedActivity.objects.count() == 1

    @pytest.mark.parametrize(
        ("changes", "name", "says"),
        [
            ({"kind": "party"}, "kind", "valid choice"),
            ({"name": ""}, "name", "blank"),
            ({"starts_on": "1999-01-01"}, "starts_on", "between"),
            ({"ends_on": "2020-01-01"}, "ends_on", "later"),
            ({"starts_on": "2026-01-01", "ends_on": "2028-01-01"}, "ends_on", "400 days"),
            ({"extra_spend": "5", "change_percent": "5"}, "change_percent", "not both"),
            ({"change_percent": "-101"}, "change_percent", "-100"),
            ({"extra_spend": "NaN"}, "extra_spend", "number"),
            ({"extra_spend": "1e13"}, "extra_spend", ""),
        ],
    )
    def test_what_makes_no_sense_is_said_at_its_field(
        self, account: Account, manager: Machine, changes: dict[str, str], name: str, says: str
    ) -> None:
        status, problem = manager.post("accounts/eu/north/planned-activities", self.new(**changes))
        assert status == 400
        assert name in str(problem)
        assert says in str(problem)

    def test_a_key_that_only_reads_plans_nothing(self, organization: Organization, account: Account) -> None:
        status, _ = Machine(organization).post("accounts/eu/north/planned-activities", self.new())
        assert status == 403
        status, _ = Machine(organization, account=account).post("accounts/eu/north/planned-activities", self.new())
        assert status == 403

    def test_a_customer_does_not_take_back_what_the_vendor_planned(self, account: Account, manager: Machine) -> None:
        _, made = manager.post("accounts/eu/north/planned-activities", self.new())
        engineer = signed_in(make_member(account, Role.PORTAL_ENGINEER))
        path = f"/api/v1/planned-activities/{made['id']}/cancellation"
        assert engineer.post(path).status_code == 404


class TestRunOuts:
    def test_the_most_urgent_come_first_page_by_page(self, organization: Organization, manager: Machine) -> None:
        for name, amount in (("Calm", "9000"), ("Overdue", "200"), ("Soon", "600")):
            account = make_account(organization, name, key=name.lower())
            promise(account, amount)
            spend(account)
            forecast(account)
        make_account(organization, "New", key="new")
        page = manager.read("run-outs?page_size=2")
        assert page["count"] == 4
        assert [row["account"] for row in page["results"]] == ["overdue", "soon"]
        assert page["results"][0]["state"] == "late"
        assert page["results"][0]["approval_days"] == 42
        assert page["results"][0]["decide_by"] < today().isoformat()
        rest = manager.read(page["next"].partition("/api/v1/")[2])
        assert [row["account"] for row in rest["results"]] == ["calm", "new"]
        assert rest["next"] is None
        assert rest["results"][1] | {"name": ""} == {
            "account": "new",
            "name": "",
            "state": "unknown",
            "currency": "USD",
            "remaining": None,
            "term_ends_on": None,
            "runs_out": {"early": None, "likely": None, "late": None},
            "probability": None,
            "approval_days": 42,
            "decide_by": None,
            "forecast_as_of": None,
        }
        assert [row["account"] for row in manager.read("run-outs?state=late")["results"]] == ["overdue"]
        assert [row["account"] for row in manager.read("run-outs?q=cal")["results"]] == ["calm"]
        for query in ("state=odd", "cursor=-1", "cursor=x", "page_size=0"):
            assert manager.get(f"run-outs?{query}").status_code == 400
