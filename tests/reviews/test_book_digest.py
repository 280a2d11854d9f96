"""The week of a book: what came and went, what moved, and the one mail that tells it on Mondays."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from accounts.models import Account, Membership, Organization, Role
from budgets.models import Commit, Delivery, LedgerEntry
from consumption_cs.lib.tenancy import enter
from reviews.actions.digests import write_digests
from reviews.calc.book_week import Change, Then, change
from reviews.models import AccountMetrics, HealthDay, HealthRecipe
from reviews.reports.book_digest import lines, weeks_of
from tests import factories
from tests.budgets.ledger_factories import make_commit
from tests.budgets.test_outbox import make_alert

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
TODAY = MONDAY.date()
LAST, BEFORE = TODAY - timedelta(days=1), TODAY - timedelta(days=8)


def then(day: date, score: int | None = None, **values: float) -> Then:
    return Then(day, {name: D(str(value)) for name, value in values.items()}, None if score is None else D(score))


def test_an_account_comes_into_the_queue_and_leaves_it() -> None:
    calm, spiky = then(BEFORE), then(LAST, open_spikes=1)
    assert change(calm, spiky) == Change(is_new=True)
    assert change(then(BEFORE, open_spikes=1), then(LAST)) == Change(has_left=True)
    assert change(then(BEFORE, open_spikes=1), spiky) == Change()


def test_a_run_out_came_nearer_by_days_of_the_calendar() -> None:
    likely = {"run_out_percent": 90, "term_days_left": 200}
    # Seven days later the same date is seven days nearer: it has not moved.
    assert change(then(BEFORE, run_out_p50=60), then(LAST, run_out_p50=53, **likely)).earlier == 0
    assert change(then(BEFORE, run_out_p50=60), then(LAST, run_out_p50=48, **likely)).earlier == 5
    assert change(then(BEFORE, run_out_p50=60), then(LAST, run_out_p50=51, **likely)).earlier == 0
    assert change(then(BEFORE, run_out_p50=60), then(LAST, run_out_p50=40, term_days_left=30)).earlier == 0
    assert change(then(BEFORE), then(LAST, run_out_p50=40, **likely)).earlier == 0


def test_health_counts_from_five_points_down() -> None:
    assert [change(then(BEFORE, 80), then(LAST, score)).down for score in (90, 76, 75, 60)] == [0, 0, 5, 20]
    assert change(then(BEFORE), then(LAST, 10)).down == 0


def test_what_was_not_measured_has_not_changed() -> None:
    assert change(Then(None, {}), then(LAST, open_spikes=1)) == Change()


@pytest.fixture
def organization(db: None) -> Organization:
    return factories.make_organization()


def make_account(organization: Organization, csm: Membership | None, name: str = "Northwind") -> Account:
    account = factories.make_account(organization, name, csm=csm.user if csm else None)
    enter(factories.staff_of(organization))
    return account


def keep(account: Account, day: date, **numbers: Any) -> None:
    AccountMetrics.objects.create(
        organization_id=account.organization_id, account=account, day=day,
        numbers={name: str(value) for name, value in numbers.items()}, computed_at=MONDAY,
    )  # fmt: skip


def draw(account: Account, day: date, amount: int) -> None:
    LedgerEntry.objects.create(
        organization_id=account.organization_id, account=account, kind="drawn", day=day, amount=-amount,
        commit=Commit.objects.filter(account=account).first() or make_commit(account, "5000"),
    )  # fmt: skip


def facts(delivery: Delivery) -> dict[str, str]:
    return dict(delivery.payload["facts"])


def test_monday_s_mail_tells_the_week_of_one_s_own_accounts(organization: Organization) -> None:
    csm = factories.make_member(organization, Role.CSM)
    account = make_account(organization, csm)
    other = make_account(organization, None, "Of nobody")
    for one in (account, other):
        keep(one, BEFORE)
        keep(one, LAST, open_spikes=1, forecast_error_percent="9.8")
    draw(account, LAST, 104)
    draw(account, TODAY - timedelta(days=14), 100)
    draw(account, TODAY, 7)  # not of the week
    make_alert(account)
    assert write_digests(organization.pk, MONDAY) == 1
    assert write_digests(organization.pk, MONDAY + timedelta(hours=1)) == 0
    enter(factories.staff_of(organization))
    [mail] = Delivery.objects.all()
    assert mail.email == csm.user.email
    assert mail.is_internal
    assert mail.payload["subject"] == "Your book, Nov 16 – 22"
    assert mail.payload["text"].startswith("1 account came into the queue and nobody left it.")
    assert facts(mail)["Commit drawn"] == "$104 (+4% on the week before)"
    assert facts(mail)["New in the queue"] == "1 (Northwind)"
    assert facts(mail)["Forecast error, 30 days"] == "9.8% (target 12% or less)"
    assert mail.payload["lines"] == [["Northwind", "1 open alert."]]
    assert mail.payload["url"].endswith("/book/")


def test_a_leader_hears_of_all_and_who_has_no_accounts_of_nothing(organization: Organization) -> None:
    leader = factories.make_member(organization, Role.LEADER)
    factories.make_member(organization, Role.CSM)
    make_account(organization, None)
    write_digests(organization.pk, MONDAY)
    enter(factories.staff_of(organization))
    assert [mail.email for mail in Delivery.objects.all()] == [leader.user.email]
    assert facts(Delivery.objects.get())["Forecast error, 30 days"].startswith("not scored yet")


def test_other_days_have_no_week(organization: Organization) -> None:
    make_account(organization, factories.make_member(organization, Role.CSM))
    assert write_digests(organization.pk, MONDAY + timedelta(days=1)) == 0


def test_health_that_went_down_is_named(organization: Organization) -> None:
    account = make_account(organization, None)
    recipe = HealthRecipe.objects.create(organization=organization, number=1, body={})
    for day, score in ((BEFORE, 84), (LAST, 76)):
        keep(account, day)
        HealthDay.objects.create(
            organization=organization, account=account, day=day, score=score, recipe=recipe, computed_at=MONDAY
        )
    week = weeks_of(factories.staff_of(organization), TODAY, ())[None]
    assert {line.label: line.note for line in lines(week)}["Health down 5 or more"] == "Northwind −8"


def test_the_page_and_its_part_show_the_week(organization: Organization) -> None:
    csm = factories.make_member(organization, Role.CSM)
    make_account(organization, csm)
    client = factories.signed_in(csm)
    page = client.get("/book/digest/").content.decode()
    assert "Your book, " in page
    assert "1 account." in page
    part = client.get("/book/digest/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "Commit drawn" in part
