"""The burndown, the planner and right-sizing as staff and customer meet them: the same numbers on both sides."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, Organization, Role
from budgets.actions.forecast import make_runs
from budgets.models import ApprovalTerms, CommitBalance, ForecastRun, LedgerEntry, Scenario
from budgets.reports.burndown_events import spike
from budgets.reports.burndown_words import short_day
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import make_commit, make_contract
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_price,
    make_usage_day,
    signed_in,
    staff_of,
)
from usage.models import AccountDay

pytestmark = pytest.mark.django_db
NOW = datetime.now(timezone.utc)
TODAY = NOW.date()


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    """Spends 10 a day, and has 1,000 committed of a term that ends in 200 days."""
    account = make_account(organization)
    make_contract(account, starts_on=TODAY - timedelta(days=30), ends_on=TODAY + timedelta(days=200))
    make_commit(account, "1000", effective_on=TODAY - timedelta(days=1), expires_on=TODAY + timedelta(days=200))
    spend(account, 100)
    return account


def spend(account: Account, days: int) -> None:
    enter(staff_of(account))
    AccountDay.objects.bulk_create(
        AccountDay(
            organization_id=account.organization_id,
            account=account,
            day=TODAY - timedelta(days=ago),
            currency=account.currency,
            spend=Decimal(10),
            events=1,
            last_event_at=NOW,
        )
        for ago in range(1, days + 1)
    )


def forecast(account: Account, now: datetime = NOW) -> None:
    make_runs(account.organization_id, now)
    enter(staff_of(account))


@pytest.fixture
def both(organization: Organization, account: Account) -> tuple[Client, Client]:
    return signed_in(make_member(organization, Role.CSM)), signed_in(make_member(account, Role.PORTAL_FINANCE))


def page_of(client: Client, account: Account, path: str = "burndown/") -> str:
    answer = client.get(f"/accounts/{account.pk}/{path}")
    assert answer.status_code == 200
    return answer.content.decode()


class TestBurndown:
    def test_it_names_the_day_and_how_sure_it_is_to_both_sides(
        self, account: Account, both: tuple[Client, Client]
    ) -> None:
        forecast(account)
        staff, customer = (page_of(client, account) for client in both)
        assert "most likely runs out on" in staff
        assert "8 in 10 outcomes" in staff
        day = TODAY + timedelta(days=99)
        assert any(f"{d:%b} {d.day}" in staff for d in (day, day - timedelta(days=1), day + timedelta(days=1)))
        sentence = staff.split('<h1 id="h">')[1].split("</h1>")[0]
        assert sentence in customer

    def test_before_the_first_forecast_it_says_so(self, account: Account, both: tuple[Client, Client]) -> None:
        assert "There is no use yet to forecast from" in page_of(both[0], account)

    def test_without_a_commit_it_forecasts_the_period(self, organization: Organization) -> None:
        account = make_account(organization, "Pays as it goes")
        spend(account, 60)
        forecast(account)
        page = page_of(signed_in(make_member(account)), account)
        assert "No commit: you pay as you go." in page
        assert "The open period will most likely cost" in page

    def test_few_days_are_a_plain_average_and_it_says_so(self, organization: Organization) -> None:
        account = make_account(organization, "Young")
        make_contract(account, starts_on=TODAY - timedelta(days=30))
        make_commit(account, "1000", effective_on=TODAY - timedelta(days=1))
        spend(account, 5)
        forecast(account)
        assert "a forecast needs 14 days" in page_of(signed_in(make_member(account)), account)

    def test_a_past_day_shows_what_was_known_then(self, account: Account, both: tuple[Client, Client]) -> None:
        make_runs(account.organization_id, NOW - timedelta(days=20), rebuilt=True)
        forecast(account)
        then = (TODAY - timedelta(days=20)).isoformat()
        page = page_of(both[0], account, f"burndown/?asof={then}")
        assert "This is what was known on a past day." in page
        assert "asof.js" in page_of(both[0], account)
        assert "This is what was known" not in page_of(both[0], account, "burndown/?asof=soon")

    def test_used_up_names_the_day_and_what_use_costs_now(self, organization: Organization) -> None:
        account = make_account(organization)
        make_contract(
            account,
            starts_on=TODAY - timedelta(days=30),
            ends_on=TODAY + timedelta(days=200),
            overage_factor=Decimal("1.5"),
        )
        commit = make_commit(account, "100", effective_on=TODAY - timedelta(days=20))
        spend(account, 100)
        own: dict[str, Any] = {"organization_id": organization.pk, "account": account, "commit": commit}
        LedgerEntry.objects.create(**own, kind="granted", day=TODAY - timedelta(days=20), amount=Decimal(100))
        LedgerEntry.objects.create(**own, kind="drawn", day=TODAY - timedelta(days=10), amount=Decimal(-100))
        CommitBalance.objects.create(**own, settled=0, ongoing=0, settled_at=NOW)
        forecast(account)
        page = page_of(signed_in(make_member(organization, Role.CSM)), account)
        assert f"used up on {short_day(TODAY - timedelta(days=10), TODAY)}" in page
        assert "Use costs 1.5 times the contract rate" in page
        assert "8 in 10 outcomes fall in" not in page

    def test_used_up_draws_no_line_ahead_and_asks_for_no_approval_date(self, organization: Organization) -> None:
        account = make_account(organization, "Gone")
        make_contract(account, starts_on=TODAY - timedelta(days=30), ends_on=TODAY + timedelta(days=200))
        make_commit(account, "0", effective_on=TODAY - timedelta(days=20), expires_on=TODAY + timedelta(days=200))
        spend(account, 100)
        forecast(account)
        page = page_of(signed_in(make_member(organization, Role.CSM)), account)
        assert "Overage so far" in page
        assert "Overage ahead" in page
        for absent in ("Straight line", "Start approval by", "most likely empty", "Not used up before"):
            assert absent not in page

    def test_an_allowance_is_told_by_its_month_and_never_runs_out(self, organization: Organization) -> None:
        account = make_account(organization, "Monthly")
        make_contract(account, starts_on=TODAY - timedelta(days=70), ends_on=TODAY + timedelta(days=200))
        begun = TODAY - timedelta(days=65)
        make_commit(account, "500", effective_on=begun, expires_on=TODAY + timedelta(days=200), recurs_months=1)
        spend(account, 100)
        forecast(account)
        page = page_of(signed_in(make_member(organization, Role.CSM)), account)
        assert "stays within" in page
        assert "Chance of going over" in page
        assert "is given anew every month" in page
        for absent in ("runs out on", "Start approval by", "Plan a top-up", "Straight line"):
            assert absent not in page
        runs = signed_in(make_member(organization, Role.LEADER)).get("/run-outs/").content.decode()
        assert "Allowance that refills" in runs
        assert "Approval is overdue" not in runs.partition("<tbody>")[2]

    def test_pay_as_you_go_shows_the_open_period_and_no_planner(self, organization: Organization) -> None:
        account = make_account(organization, "Open")
        spend(account, 100)
        forecast(account)
        page = page_of(signed_in(make_member(organization, Role.CSM)), account)
        assert "This period most likely ends at" in page
        assert "Plan a top-up" not in page
        assert "If nothing changes" not in page

    def test_who_began_within_the_period_is_not_taken_for_idle_before(self, organization: Organization) -> None:
        account = make_account(organization, "New", billing_day=(TODAY - timedelta(days=20)).day)
        spend(account, 5)
        forecast(account)
        run = ForecastRun.objects.get(account=account)
        assert run.period_ends_on is not None
        days_left = (run.period_ends_on - TODAY).days
        assert run.period_p50 == 50 + 10 * days_left

    def test_more_events_than_the_chart_can_number_are_listed_below(
        self, account: Account, both: tuple[Client, Client]
    ) -> None:
        for number in range(12):
            make_commit(account, "1", effective_on=TODAY, name=f"Extra {number:02}")
        forecast(account)
        page = page_of(both[0], account)
        assert "and 3 earlier" in page
        assert "Extra 00 begins" in page

    def test_a_forecast_that_is_not_of_today_says_so(self, account: Account, both: tuple[Client, Client]) -> None:
        then = TODAY - timedelta(days=3)
        forecast(account, NOW - timedelta(days=3))
        for client in both:
            page = page_of(client, account)
            assert f"Forecast of {short_day(then, TODAY)}" in page
            assert "Today&#x27;s forecast is not made yet" in page
            assert "not made yet" not in page_of(client, account, f"burndown/?asof={then}")

    def test_new_prices_and_days_far_above_the_usual_are_numbered(
        self, account: Account, both: tuple[Client, Client]
    ) -> None:
        day = TODAY - timedelta(days=1)
        meter, unused = make_meter(account.organization), make_meter(account.organization, "unused")
        make_price(meter, "0.5", effective_on=TODAY + timedelta(days=9))
        make_price(unused, "0.5", effective_on=TODAY + timedelta(days=12))
        enter(staff_of(account))
        make_usage_day(account, meter, day)
        AccountDay.objects.filter(account=account, day=day).update(spend=Decimal(31))
        forecast(account)
        page = page_of(both[1], account)
        assert "3 times the usual day" in page
        assert page.count("new prices (ahead)") == 1

    def test_the_table_has_booked_days_and_the_forecast(self, account: Account, both: tuple[Client, Client]) -> None:
        forecast(account)
        lines = both[1].get(f"/accounts/{account.pk}/burndown/burndown.csv").content.decode().splitlines()
        assert ",booked," in lines[1]
        assert ",forecast," in lines[-1]


class TestPlanner:
    def add(self, client: Client, account: Account, **step: str) -> str:
        form = {
            "name": "Top up",
            "step-TOTAL_FORMS": "3",
            "step-INITIAL_FORMS": "0",
            **{f"step-0-{name}": value for name, value in step.items()},
        }
        answer = client.post(f"/accounts/{account.pk}/burndown/planner/", form, follow=True)
        return answer.content.decode()

    def test_a_top_up_moves_the_date_and_shows_its_cost(self, account: Account, both: tuple[Client, Client]) -> None:
        forecast(account)
        page = self.add(both[0], account, kind="top_up", amount="2000", start=TODAY.isoformat())
        assert "Top up is added to the comparison" in page
        assert "Lasts the term" in page
        assert "$2,000" in page

    @pytest.mark.parametrize(
        ("step", "says"),
        [
            ({}, "Choose at least one step"),
            ({"kind": "grow"}, "Give the amount"),
            ({"kind": "grow", "amount": "-200"}, "cannot fall by more than 100"),
            ({"kind": "top_up", "amount": "-5"}, "zero or more"),
            ({"kind": "grow", "amount": "5", "start": "2026-05-02", "end": "2026-05-01"}, "later than the start"),
        ],
    )
    def test_a_step_that_makes_no_sense_is_said_at_its_field(
        self, account: Account, both: tuple[Client, Client], step: dict[str, str], says: str
    ) -> None:
        forecast(account)
        assert says in self.add(both[0], account, **step)
        enter(staff_of(account))
        assert not Scenario.objects.exists()

    def test_the_other_side_sees_a_scenario_only_when_it_is_shared(
        self, account: Account, both: tuple[Client, Client]
    ) -> None:
        forecast(account)
        csm, customer = both
        self.add(csm, account, kind="grow", amount="20")
        assert "Use grows by 20 %" not in page_of(customer, account, "burndown/planner/")
        enter(staff_of(account))
        scenario = Scenario.objects.get()
        csm.post(f"/accounts/{account.pk}/burndown/planner/{scenario.pk}/share/")
        assert "Use grows by 20 %" in page_of(customer, account, "burndown/planner/")
        assert customer.post(f"/accounts/{account.pk}/burndown/planner/{scenario.pk}/remove/").status_code == 404
        csm.post(f"/accounts/{account.pk}/burndown/planner/{scenario.pk}/remove/")
        assert "Use grows by 20 %" not in page_of(csm, account, "burndown/planner/")

    def test_a_viewer_reads_and_does_not_make_scenarios(self, account: Account) -> None:
        forecast(account)
        viewer = signed_in(make_member(account, Role.PORTAL_VIEWER))
        assert "Add a scenario" not in page_of(viewer, account, "burndown/planner/")
        assert viewer.post(f"/accounts/{account.pk}/burndown/planner/", {"name": "x"}).status_code == 403


class TestRightSizing:
    def test_a_discount_makes_a_commit_the_cheapest(self, account: Account, both: tuple[Client, Client]) -> None:
        forecast(account)
        url = f"/accounts/{account.pk}/burndown/right-sizing/"
        assert "No commit costs least" in both[0].get(url).content.decode()
        form = {"approval_days": "30", "overage_factor": "1.5", "discounts": "3,000 20%"}
        assert "costs least" in both[0].post(url, form).content.decode()
        enter(staff_of(account))
        terms = ApprovalTerms.objects.get()
        assert (terms.approval_days, terms.discounts) == (30, [{"from": "3000", "percent": "20"}])

    def test_a_line_that_cannot_be_read_is_named(self, account: Account, both: tuple[Client, Client]) -> None:
        forecast(account)
        form = {"approval_days": "30", "overage_factor": "1", "discounts": "1000 5\nlots"}
        answer = both[0].post(f"/accounts/{account.pk}/burndown/right-sizing/", form)
        assert answer.status_code == 422
        assert "Line 2" in answer.content.decode()


class TestSpike:
    def history(self, *weeks: int) -> dict[date, Decimal]:
        """What was spent one week ago, two weeks ago, and so on."""
        return {TODAY - timedelta(weeks=ago): Decimal(amount) for ago, amount in enumerate(weeks)}

    def test_over_three_times_the_median_of_the_weekday_is_one(self) -> None:
        assert spike(self.history(31, 10, 10, 10, 50), TODAY) == Decimal("3.1")
        assert spike(self.history(30, 10, 10, 10, 50), TODAY) is None

    def test_few_weeks_or_none_with_spend_are_not_judged(self) -> None:
        assert spike(self.history(31, 1, 1, 1), TODAY) is None
        assert spike(self.history(31, 0, 0, 0, 0), TODAY) is None

    def test_only_eight_weeks_count(self) -> None:
        assert spike(self.history(31, *[10] * 8, *[100] * 20), TODAY) == Decimal("3.1")
