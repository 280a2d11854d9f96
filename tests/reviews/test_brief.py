"""The brief of an account: the same figures as elsewhere, nothing internal without the right, few queries."""

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import enter
from reviews.actions.measure import measure_accounts
from reviews.calc.changed import moves
from reviews.models import TimelineEntry
from tests.factories import (
    make_account,
    make_cost,
    make_member,
    make_meter,
    make_organization,
    make_usage_day,
    make_workflow,
    signed_in,
    staff_of,
)

TODAY = timezone.now().date()


def test_what_moved_by_its_threshold_is_told_the_most_telling_first() -> None:
    before = {"success_percent": D("97.2"), "unit_cost": D("0.059"), "burn_rate": D(400), "run_out_on": D(740_000)}
    after = {"success_percent": D("94.8"), "unit_cost": D("0.052"), "burn_rate": D(420), "run_out_on": D(739_991)}
    assert [move.metric for move in moves(before, after)] == ["success_percent", "run_out_on", "unit_cost"]
    assert moves({"unit_cost": None}, {"unit_cost": D(1)}) == []
    assert moves({"unit_cost": D(0)}, {"unit_cost": D(1)}) == []


@pytest.fixture
def account(db: None) -> Account:
    account = make_account(make_organization(), "Northwind")
    meter, workflow = (
        make_meter(account.organization),
        make_workflow(account, "Claims triage", success_target=D("0.95")),
    )
    make_cost(meter, "0.001")
    for ago in range(1, 61):
        day = TODAY - timedelta(days=ago)
        make_usage_day(account, meter, day, workflow, spend=D(10), events=20, finished=20, successes=18)
    measure_accounts(account.organization_id, timezone.now())
    return account


def client_of(account: Account, role: str) -> Client:
    return signed_in(make_member(account.organization, role))


def page(account: Account, role: str = Role.CSM) -> str:
    answer = client_of(account, role).get(reverse("reviews:brief", args=[account.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_brief_tells_workflows_health_and_what_is_open(account: Account) -> None:
    text = page(account)
    assert "Claims triage" in text
    assert "90.0%" in text
    assert "target 95%" in text
    assert "Nobody has spoken to them yet" in text
    assert "Northwind" in text


def test_changes_are_told_since_the_last_touch(account: Account) -> None:
    enter(staff_of(account))
    TimelineEntry.objects.create(
        organization_id=account.organization_id, account=account, kind="call", at=timezone.now() - timedelta(days=5),
        text="They want dates.", sentiment="negative",
    )  # fmt: skip
    text = page(account)
    assert "Since you last spoke 5 days ago" in text
    assert "They want dates" in text


def test_margin_is_in_the_page_only_with_the_right_to_see_it(account: Account) -> None:
    assert "Margin is" in page(account, Role.LEADER)
    assert "Margin is" not in page(account, Role.CSM)


@pytest.mark.parametrize("name", ["brief", "brief_place"])
def test_customers_never_open_it(account: Account, name: str) -> None:
    member = make_member(account)
    assert signed_in(member).get(reverse(f"reviews:{name}", args=[account.pk])).status_code in (403, 404)


def test_neighbours_of_the_book_come_after_the_page(account: Account) -> None:
    member = make_member(account.organization, Role.CSM)
    enter(staff_of(account))
    second = make_account(account.organization, "Zeppelin", csm=member.user)
    Account.objects.filter(pk=account.pk).update(csm=member.user)
    text = signed_in(member).get(reverse("reviews:brief_place", args=[account.pk])).content.decode()
    assert "of 2" in text
    assert reverse("reviews:brief", args=[second.pk]) in text


def test_an_account_without_anything_says_so_in_words(db: None) -> None:
    account = make_account(make_organization(), "Empty")
    text = page(account)
    assert "Not scored yet" in text
    assert "No workflow yet" in text
    assert "None" not in text.replace("None known", "").replace("NoneType", "None")


def test_queries_do_not_grow_with_the_account(account: Account, django_assert_max_num_queries: Any) -> None:
    from django.db import connection

    client = client_of(account, Role.CSM)
    url = reverse("reviews:brief", args=[account.pk])
    client.get(url)
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    enter(staff_of(account))
    for number in range(8):
        make_workflow(account, f"Workflow {number}")
        TimelineEntry.objects.create(
            organization_id=account.organization_id, account=account, kind="note", at=timezone.now(), text="A note."
        )
    with CaptureQueriesContext(connection) as many:
        client.get(url)
    assert len(many) <= len(few) + 3
