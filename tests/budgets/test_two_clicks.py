"""From the first page to the run-out date: at most two clicks for each of the three people who need it."""

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.test import Client

from accounts.models import Account, Organization, Role
from budgets.actions.forecast import make_runs
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import make_commit, make_contract
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of
from usage.models import AccountDay

pytestmark = pytest.mark.django_db
NOW = datetime.now(timezone.utc)
TODAY = NOW.date()
MOST_CLICKS = 2


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    """Spends 10 a day of 1,000: empty in about a hundred days."""
    account = make_account(organization, "Northwind")
    make_contract(account, starts_on=TODAY - timedelta(days=30), ends_on=TODAY + timedelta(days=200))
    make_commit(account, "1000", effective_on=TODAY - timedelta(days=1), expires_on=TODAY + timedelta(days=200))
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
        for ago in range(1, 101)
    )
    make_runs(organization.pk, NOW)
    return account


def clicks_to(client: Client, sentence: str) -> int | None:
    """Follow links breadth first from the page after sign-in; return how many clicks until a page says it."""
    page = client.get("/", follow=True)
    seen, now = {page.request["PATH_INFO"]}, [page]
    for clicks in range(MOST_CLICKS + 1):
        if any(sentence in page.content.decode() for page in now):
            return clicks
        links = {
            link.partition("?")[0]
            for page in now
            for link in re.findall(r'<a [^>]*href="(/(?!static|sign-in)[^"#]*)', page.content.decode())
        }
        now = [
            answer
            for link in sorted(links - seen)
            if "csv" not in link
            and (answer := client.get(link, follow=True)).status_code == 200
            and answer.headers["Content-Type"].startswith("text/html")
        ]
        seen |= links
    return None


@pytest.mark.parametrize("role", [Role.CSM, Role.FINANCE, Role.PORTAL_FINANCE, Role.PORTAL_OWNER])
def test_the_run_out_date_is_at_most_two_clicks_from_the_first_page(
    organization: Organization, account: Account, role: Role
) -> None:
    place = account if role.startswith("portal_") else organization
    clicks = clicks_to(signed_in(make_member(place, role)), "most likely runs out on")
    assert clicks is not None
    assert clicks <= MOST_CLICKS


def test_finance_reaches_the_report_of_the_whole_organization_within_two_clicks(
    organization: Organization, account: Account
) -> None:
    clicks = clicks_to(signed_in(make_member(organization, Role.FINANCE)), "Commit burndown</option>")
    assert clicks is not None
    assert clicks <= MOST_CLICKS
