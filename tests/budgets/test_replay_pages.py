"""The limit simulator as people meet it: while a budget is made or changed, and as a file."""

import csv
import io
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Role
from budgets.models import Budget, BudgetVersion, Limit
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import enter
from tests.budgets.budget_factories import make_budget, make_paying_account
from tests.factories import make_member, make_usage_day, signed_in, staff_of

pytestmark = pytest.mark.django_db
FIELDS = {"scope": "account", "period": "day", "amount": "12", "actual_percent": "50, 80"}
STOP = {
    "action": "stop", "percent": "100", "warn_percent": "85", "grace_minutes": "30", "grace_percent": "0",
    "throttle_percent": "25", "lift_hours": "4",
}  # fmt: skip


@pytest.fixture
def account() -> Account:
    """Ten closed days of 10, the last one of 24."""
    made, meter = make_paying_account()
    today = day_of(timezone.now(), zone_of(made.timezone))
    for ago in range(1, 11):
        make_usage_day(made, meter, today - timedelta(days=ago), spend=24 if ago == 1 else 10)
    return made


@pytest.fixture
def client(account: Account) -> Iterator[Client]:
    yield signed_in(make_member(account, Role.PORTAL_ENGINEER))
    enter(staff_of(account))


def test_a_new_budget_is_replayed_from_its_fields_and_nothing_is_saved(account: Account, client: Client) -> None:
    home = f"/accounts/{account.pk}/budgets/replay/"
    part = client.post(home, FIELDS | STOP)
    assert part.status_code == 200
    assert "<html" not in part.text
    # Ten of 24 an even hour: reached at noon, in force at half past.
    assert '<b class="nw">$12</b> daily limit would have stopped no runaway' in part.text
    assert "12:00 → 12:30" in part.text
    assert "Daily limit you are trying, $12" in part.text
    assert client.get(home, FIELDS | STOP).text == part.text
    enter(staff_of(account))
    assert not Budget.objects.filter(account=account).exists()


def test_fields_that_are_wrong_are_said_and_other_ones_that_are_not_there_are_as_suggested(
    account: Account, client: Client
) -> None:
    home = f"/accounts/{account.pk}/budgets/replay/"
    wrong = client.post(home, FIELDS | {"amount": "much"})
    assert wrong.status_code == 200  # a preview: nothing was refused
    assert "Amount of a period: Enter a number." in wrong.text
    assert client.get(f"{home}replay.csv", FIELDS | {"amount": ""}).status_code == 422
    assert client.get(f"{home}?amount=500&scope=account&period=month").status_code == 200


def test_a_budget_is_replayed_with_what_is_in_force_or_as_it_would_be(account: Account, client: Client) -> None:
    budget = make_budget(account, "30", ("actual_percent", "50"), period="day")
    home = f"/accounts/{account.pk}/budgets/{budget.pk}/replay/"
    assert "These rules would have told you <b" in client.get(home).text
    assert ">once</b> in 90 days, none of them a false alarm." in client.get(home).text
    tried = client.post(home, FIELDS | STOP | {"amount": "100"}).text
    assert "would never have acted in the last 90 days." in tried
    enter(staff_of(account))
    assert BudgetVersion.objects.filter(budget=budget).count() == 1
    assert not Limit.objects.filter(budget=budget).exists()


def test_the_download_has_every_day_every_alert_and_every_time_the_limit_acts(
    account: Account, client: Client
) -> None:
    home = f"/accounts/{account.pk}/budgets/replay/replay.csv"
    answer = client.get(home, FIELDS | STOP)
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    lines = [row["line"] for row in rows]
    assert (lines.count("day"), lines.count("limit")) == (90, 1)
    assert sum(float(row["spent"]) for row in rows if row["line"] == "day") == 114
    assert {row["rule"] for row in rows if row["line"] == "alert"} == {
        "spend so far reaches 50% of the budget",
        "spend so far reaches 80% of the budget",
    }


def test_without_a_week_of_usage_it_says_so(client: Client) -> None:
    fresh, _ = make_paying_account(key="fresh")
    visitor = signed_in(make_member(fresh, Role.PORTAL_OWNER))
    part = visitor.post(f"/accounts/{fresh.pk}/budgets/replay/", FIELDS)
    assert "The replay needs 7 days of usage; there are 0 so far." in part.text
