"""Waste from events and money, the reliability board over all accounts, and what it says where it does not know."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import enter
from reviews.reports import reliability_words as words
from reviews.reports.reliability import add_errors, reliability_board
from reviews.reports.waste_then import waste_then
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_organization,
    make_partition,
    make_usage_day,
    make_workflow,
    signed_in,
    staff_of,
)
from usage.models import Event, Meter, RatedDay, Workflow

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 20)
DAY = date(2026, 11, 18)


def make_event(
    account: Account, meter: Meter, workflow: Workflow | None, quantity: str = "10", **fields: Any
) -> Event:
    at = datetime(2026, 11, 18, 12, tzinfo=UTC)
    make_partition(fields.get("occurred_at", at))
    enter(staff_of(account))
    defaults: dict[str, Any] = {
        "occurred_at": at,
        "received_at": at,
        "batch_id": 1,
        "succeeded": True,
        "properties": {},
    }
    return Event.objects.create(
        organization_id=account.organization_id, key=uuid4(), account=account, meter=meter, workflow=workflow,
        quantity=Decimal(quantity), source="/prod", event_id=uuid4().hex, **defaults | fields,
    )  # fmt: skip


def _northwind() -> tuple[Account, Meter, Workflow]:
    organization = make_organization()
    account = make_account(organization)
    meter = make_meter(organization)
    return account, meter, make_workflow(account)


def test_waste_of_an_account_is_shared_from_its_days_money_by_quantity_each_event_once() -> None:
    account, meter, workflow = _northwind()
    make_event(account, meter, workflow, "30", succeeded=False, properties={"error": "timeout"})
    make_event(account, meter, workflow, "20", succeeded=False, properties={"status_code": 503})
    make_event(account, meter, workflow, "10", succeeded=False, attempt=2)  # failed before it is a retry
    make_event(account, meter, workflow, "15", attempt=2)
    make_event(account, meter, workflow, "5", properties={"input_hash": "a"})
    make_event(account, meter, workflow, "5", properties={"input_hash": "a"})
    make_event(account, meter, workflow, "15")
    make_usage_day(account, meter, DAY, workflow, quantity=Decimal(100), events=7, finished=7, successes=4,
                   spend=Decimal(200))  # fmt: skip
    found = waste_then(account.organization_id, {account.pk: TODAY})[account.pk]
    assert found.failed == 120
    assert found.credit_candidate == 40
    assert found.retries == 30
    assert found.duplicates == 10
    assert found.total == 160
    assert found.spend == 200
    assert found.percent == 80


def test_failures_of_a_meter_that_does_not_add_up_are_shared_by_their_number() -> None:
    account, _, workflow = _northwind()
    meter = make_meter(account.organization, "seats", aggregation=Meter.Aggregation.MAX)
    make_event(account, meter, workflow, "900", succeeded=False)
    make_usage_day(account, meter, DAY, workflow, quantity=Decimal(900), events=10, finished=10, successes=9,
                   spend=Decimal(50))  # fmt: skip
    assert waste_then(account.organization_id, {account.pk: TODAY})[account.pk].failed == 5


def test_where_events_are_not_kept_the_roll_up_tells_of_failures() -> None:
    account, meter, workflow = _northwind()
    make_usage_day(account, meter, DAY, workflow, events=10, finished=10, successes=8, spend=Decimal(50))
    assert waste_then(account.organization_id, {account.pk: TODAY})[account.pk].failed == 10


def test_use_outside_of_production_and_outside_of_the_days_is_no_waste() -> None:
    account, meter, workflow = _northwind()
    make_event(account, meter, workflow, succeeded=False, counted=False, environment="sandbox")
    make_event(account, meter, workflow, succeeded=False, occurred_at=datetime(2026, 10, 22, 12, tzinfo=UTC))
    make_usage_day(account, meter, DAY, workflow, quantity=Decimal(10), finished=10, successes=10, spend=Decimal(50))
    found = waste_then(account.organization_id, {account.pk: TODAY})[account.pk]
    assert found.total == 0
    assert found.percent == 0
    assert found.spend == 50


def test_a_minimum_that_was_not_used_up_is_idle_and_counts_once() -> None:
    account, meter, workflow = _northwind()
    make_usage_day(account, meter, DAY, workflow, finished=10, successes=10, spend=Decimal(50))
    own = {"organization_id": account.organization_id, "account": account, "meter": meter, "total_events": 0}
    # The last day of a period: 20 of use, topped up to 50; and a second cell without any use.
    RatedDay.objects.create(day=DAY, quantity=10, events=10, amount=Decimal(50), total_quantity=10,
                            total_due=Decimal(20), total_amount=Decimal(50), **own)  # fmt: skip
    RatedDay.objects.create(day=DAY, cell="b", quantity=0, events=0, amount=Decimal(40), total_quantity=0,
                            total_due=Decimal(0), total_amount=Decimal(40), **own)  # fmt: skip
    found = waste_then(account.organization_id, {account.pk: TODAY})[account.pk]
    assert found.idle_minimum == 70
    assert found.total == 70
    assert found.spend == 90


def test_an_account_without_use_has_no_percent() -> None:
    account, _, _ = _northwind()
    found = waste_then(account.organization_id, {account.pk: TODAY})[account.pk]
    assert found.total == 0
    assert found.percent is None


def test_waste_of_many_accounts_takes_as_many_queries_as_of_one() -> None:
    account, meter, _workflow = _northwind()
    others = [make_account(account.organization, f"Other {number}") for number in range(5)]
    for other in others:
        make_usage_day(other, meter, DAY, make_workflow(other), spend=Decimal(10))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = waste_then(account.organization_id, {one.pk: TODAY for one in [account, *others]})
    assert len(queries) == 3
    assert len(found) == 6
    assert found[others[0].pk].failed == 1


def test_days_are_local_to_the_account() -> None:
    organization = make_organization()
    account = make_account(organization, timezone="Pacific/Auckland")
    meter, workflow = make_meter(organization), make_workflow(account)
    # 23:00 UTC of the 17th is noon of the 18th in Auckland.
    make_event(account, meter, workflow, succeeded=False, occurred_at=datetime(2026, 11, 17, 23, tzinfo=UTC))
    make_usage_day(account, meter, DAY, workflow, quantity=Decimal(20), spend=Decimal(8))
    assert waste_then(organization.pk, {account.pk: TODAY})[account.pk].failed == 4
    assert waste_then(organization.pk, {account.pk: DAY + timedelta(days=29)})[account.pk].spend == 0


# ---- the board


def _client(organization: Any, role: str = Role.FIELD_CTO) -> Client:
    return signed_in(make_member(organization, role))


def _made_worse(now: datetime) -> tuple[Account, Workflow, Workflow]:
    """An account with a workflow that fails, for the vendor's fault in part, and one that does not."""
    account, meter, bad = _northwind()
    good = make_workflow(account, "Claims triage", success_target=Decimal("0.9"))
    day = now.date() - timedelta(days=2)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    for properties in ({"error": "timeout"}, {"error": {"code": "overloaded"}, "status": 503}, {"status": 503}):
        make_event(account, meter, bad, succeeded=False, properties=properties, occurred_at=at)
    make_usage_day(account, meter, day, bad, quantity=Decimal(100), events=50, finished=50, successes=30,
                   spend=Decimal(200))  # fmt: skip
    make_usage_day(account, meter, day, good, quantity=Decimal(100), events=200, finished=200, successes=196,
                   spend=Decimal(100))  # fmt: skip
    make_usage_day(account, meter, day - timedelta(days=28), bad, events=50, finished=50, successes=45)
    return account, bad, good


def test_the_board_puts_the_worst_first_with_range_change_errors_and_credit_candidates() -> None:
    now = timezone.now()
    account, _, _ = _made_worse(now)
    viewer = staff_of(account)
    enter(viewer)
    board = reliability_board(viewer, now)
    worst, best = board.lines
    add_errors(board.lines, viewer, now)
    assert (worst.name, worst.state, worst.rate) == ("Invoice OCR", "below", Decimal("0.6"))
    assert worst.change_points == -30
    assert worst.waste.failed == 60
    assert worst.waste.credit_candidate == 40
    assert worst.errors == [("503", 1), ("overloaded", 1), ("timeout", 1)]
    assert (best.state, best.wanted) == ("met", Decimal("0.9"))
    assert best.waste.failed == 2  # its events are not kept: by the number of failures
    assert board.accounts[0].waste.total == 62
    assert words.headline(board) == "1 of 2 workflows is below its success target."
    assert "$62 of $300 bought nothing (20.7%)" in words.lead(board)


def test_a_workflow_below_target_that_may_be_chance_is_only_perhaps_below() -> None:
    account, meter, workflow = _northwind()
    now = timezone.now()
    make_usage_day(account, meter, now.date() - timedelta(days=1), workflow, events=40, finished=40, successes=37)
    line = reliability_board(staff_of(account), now).lines[0]
    assert line.state == "perhaps"
    make_usage_day(account, meter, now.date() - timedelta(days=2), make_workflow(account, "New"), events=9, finished=9)
    assert {line.name: line.state for line in reliability_board(staff_of(account), now).lines}["New"] == "few"


def test_the_page_says_what_is_not_known_instead_of_zero() -> None:
    account, meter, workflow = _northwind()
    make_usage_day(account, meter, timezone.now().date() - timedelta(days=1), workflow, finished=0, successes=0)
    page = _client(account.organization).get("/reliability/").content.decode()
    assert "attempts how they ended, so its success is not known." in page
    assert "not known: no event carries the hash of its input" in page
    assert "not known: events do not number their attempts" in page
    assert "not known: no event says whether it succeeded" in page


def test_the_page_narrows_sorts_and_downloads() -> None:
    account, bad, _ = _made_worse(timezone.now())
    other = make_account(account.organization, "Helios")
    make_usage_day(other, make_meter(account.organization, "pages"), timezone.now().date() - timedelta(days=1),
                   make_workflow(other, "Dispatch"), events=40, finished=40, successes=40)  # fmt: skip
    client = _client(account.organization)

    def names(query: str) -> list[str]:
        return [line.name for line in client.get(f"/reliability/{query}").context["lines"]]

    assert names("")[0] == bad.name
    assert names("?show=below") == [bad.name]
    assert names("?show=credit") == [bad.name]
    assert names(f"?account={other.pk}") == ["Dispatch"]
    assert names("?owner=me") == []
    assert len(names("?owner=none")) == 3
    assert names("?q=helios") == ["Dispatch"]
    assert names("?sort=-wasted")[0] == bad.name
    assert names("?sort=success")[0] == bad.name
    assert len(names("?sort=nonsense&account=x&owner=y&show=z")) == 3
    rows = list(csv.DictReader(io.StringIO(client.get("/reliability/reliability.csv").content.decode("utf-8-sig"))))
    assert rows[0]["workflow"] == bad.name
    assert rows[0]["credit_candidate"] == "40.00"
    assert rows[0]["errors"] == "503 (1); overloaded (1); timeout (1)"
    assert len(rows) == 3


def test_the_board_costs_as_many_queries_for_many_accounts_as_for_one() -> None:
    account, _, _ = _made_worse(timezone.now())
    client = _client(account.organization)
    client.get("/reliability/")
    with CaptureQueriesContext(connection) as few:
        client.get("/reliability/")
    meter = make_meter(account.organization, "pages")
    for number in range(6):
        other = make_account(account.organization, f"Other {number}")
        make_usage_day(other, meter, timezone.now().date() - timedelta(days=1), make_workflow(other))
    with CaptureQueriesContext(connection) as many:
        client.get("/reliability/")
    assert len(many) == len(few)


def test_amounts_of_different_currencies_are_never_added() -> None:
    account, _, _ = _made_worse(timezone.now())
    euro = make_account(account.organization, "Quanta", currency="EUR")
    make_usage_day(euro, make_meter(account.organization, "pages"), timezone.now().date() - timedelta(days=1),
                   make_workflow(euro), spend=Decimal(1000))  # fmt: skip
    page = _client(account.organization).get("/reliability/")
    assert [code for code, _, _ in page.context["splits"]] == ["EUR", "USD"]
    assert "$62.00" in page.content.decode()
    assert "€100 of €1,000" in page.content.decode()


def test_customers_never_open_the_board() -> None:
    account, _, _ = _made_worse(timezone.now())
    assert signed_in(make_member(account)).get("/reliability/").status_code == 403
