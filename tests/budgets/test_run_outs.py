"""Run-outs of the organization, the calendar feed, planned activities and the accuracy page."""

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import Account, Membership, Organization, Role
from budgets.actions.forecast import make_runs
from budgets.models import PlannedActivity
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import make_commit, make_contract
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of
from usage.models import AccountDay

pytestmark = pytest.mark.django_db
NOW = datetime.now(timezone.utc)
TODAY = NOW.date()


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def csm(organization: Organization) -> Client:
    return signed_in(make_member(organization, Role.CSM))


def make_spender(organization: Organization, name: str, committed: str = "1000", days: int = 100) -> Account:
    """An account that spends 10 a day of a commit whose term ends in 200 days, and its forecast."""
    account = make_account(organization, name)
    make_contract(account, starts_on=TODAY - timedelta(days=30), ends_on=TODAY + timedelta(days=200))
    make_commit(account, committed, effective_on=TODAY - timedelta(days=1), expires_on=TODAY + timedelta(days=200))
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
    make_runs(organization.pk, NOW, [str(account.pk)])
    enter(staff_of(account))
    return account


class TestRunOuts:
    def test_the_most_urgent_comes_first_and_the_calm_last(self, organization: Organization, csm: Client) -> None:
        make_spender(organization, "Calm", "9000")
        make_spender(organization, "Soon", "700")
        make_spender(organization, "Overdue", "200")
        page = csm.get("/run-outs/").content.decode()
        assert page.index("Overdue") < page.index("Soon</a>") < page.index("Calm")
        assert "<b>2</b> of 3 accounts need a decision within 30 days" in page
        assert "Approval is overdue" in page
        only = csm.get("/run-outs/?state=lasts").content.decode()
        assert "Calm" in only
        assert "Overdue</a>" not in only
        assert "Overdue" in csm.get("/run-outs/run-outs.csv").content.decode()

    def test_customers_do_not_see_it(self, organization: Organization) -> None:
        account = make_spender(organization, "Northwind")
        assert signed_in(make_member(account)).get("/run-outs/").status_code == 403


class TestFeed:
    @pytest.fixture
    def member(self, organization: Organization) -> Membership:
        return make_member(organization, Role.CSM)

    def address(self, client: Client) -> str:
        page = client.post("/run-outs/calendar/new/", follow=True).content.decode()
        found = re.search(r"/calendar/[\w-]+\.ics", page)
        assert found
        return found.group()

    def test_it_holds_both_days_and_is_shown_once(self, organization: Organization, member: Membership) -> None:
        make_spender(organization, "Müller, Söhne; & Co")
        client = signed_in(member)
        address = self.address(client)
        assert address
        assert ".ics" not in client.get("/run-outs/").content.decode()
        answer = Client().get(address)
        assert answer["Content-Type"].startswith("text/calendar")
        text = answer.content.decode()
        assert text.count("BEGIN:VEVENT") == 2
        unfolded = text.replace("\r\n ", "")
        assert "SUMMARY:Müller\\, Söhne\\; & Co: start approval of a top-up" in unfolded
        assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))

    def test_it_ends_when_it_is_revoked_or_its_maker_leaves(
        self, organization: Organization, member: Membership
    ) -> None:
        make_spender(organization, "Northwind")
        client = signed_in(member)
        address = self.address(client)
        assert Client().get(address).status_code == 200
        client.post("/run-outs/calendar/revoke/")
        assert Client().get(address).status_code == 404
        again = self.address(client)
        assert Client().get(again).status_code == 200
        enter(staff_of(organization))
        Membership.objects.filter(pk=member.pk).delete()
        assert Client().get(again).status_code == 404

    def test_an_address_that_was_never_given_is_unknown(self) -> None:
        assert Client().get("/calendar/guessed.ics").status_code == 404


class TestPlanned:
    def test_a_customer_tells_what_is_planned_and_takes_it_back(self, organization: Organization) -> None:
        account = make_spender(organization, "Northwind")
        engineer = signed_in(make_member(account, Role.PORTAL_ENGINEER))
        form = {"name": "Load test", "kind": "load_test", "starts_on": TODAY.isoformat(), "extra_spend": "200"}
        page = engineer.post(f"/accounts/{account.pk}/planned/", form, follow=True).content.decode()
        assert "Load test is planned" in page
        assert "+$200.00" in page
        enter(staff_of(account))
        plan = PlannedActivity.objects.get()
        assert plan.ends_on == TODAY + timedelta(days=1)
        assert plan.by_customer
        engineer.post(f"/accounts/{account.pk}/planned/{plan.pk}/cancel/")
        assert "Nothing is planned" in engineer.get(f"/accounts/{account.pk}/planned/").content.decode()

    def test_what_the_vendor_planned_stays_for_the_customer(self, organization: Organization, csm: Client) -> None:
        account = make_spender(organization, "Northwind")
        form = {"name": "Holiday", "kind": "holiday", "starts_on": TODAY.isoformat(), "change_percent": "-80"}
        csm.post(f"/accounts/{account.pk}/planned/", form)
        enter(staff_of(account))
        plan = PlannedActivity.objects.get()
        engineer = signed_in(make_member(account, Role.PORTAL_ENGINEER))
        assert "Holiday" in engineer.get(f"/accounts/{account.pk}/planned/").content.decode()
        assert engineer.post(f"/accounts/{account.pk}/planned/{plan.pk}/cancel/").status_code == 404

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"starts_on": ""}, "required"),
            ({"last_day": "2020-01-01"}, "cannot be before"),
            ({"extra_spend": "5", "change_percent": "5"}, "not both"),
            ({"change_percent": "-101"}, "greater than or equal to -100"),
            ({"kind": "party"}, "valid choice"),
        ],
    )
    def test_what_makes_no_sense_is_said_at_its_field(
        self, organization: Organization, csm: Client, changes: dict[str, str], says: str
    ) -> None:
        account = make_account(organization)
        form = {"name": "Launch", "kind": "launch", "starts_on": TODAY.isoformat()} | changes
        answer = csm.post(f"/accounts/{account.pk}/planned/", form)
        assert answer.status_code == 422
        assert says in answer.content.decode()


def test_the_accuracy_page_says_when_nothing_is_judged_yet(csm: Client) -> None:
    assert "Forecasts are judged when their days have passed" in csm.get("/forecasts/accuracy/").content.decode()
