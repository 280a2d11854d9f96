"""Why a month, a week or an invoice differs from the one before: to the cent, with as many days."""

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account
from budgets.reports.change import change, compared, headline
from consumption_cs.lib.tenancy import enter
from tests.factories import make_account, make_member, make_meter, make_workflow, signed_in, staff_of
from usage.models import Adjustment, BillingPeriod, UsageDay

D = Decimal
NOW = datetime(2026, 3, 31, 12, tzinfo=timezone.utc)


@pytest.fixture
def account(db: None) -> Account:
    return make_account(timezone="UTC")


def use(account: Account, workflow: Any, meter: Any, day: date, events: int, spend: str, key: str = "a") -> None:
    enter(staff_of(account))
    UsageDay.objects.create(
        organization_id=account.organization_id, account=account, meter=meter, workflow=workflow, day=day,
        group=json.dumps({"key": key}), quantity=events, events=events, finished=events, successes=events,
        spend=D(spend), last_event_at=NOW,
    )  # fmt: skip


def days_of(account: Account, of: str, end: str = "", now: datetime = NOW) -> tuple[date, date, date, date]:
    found = compared(staff_of(account), account, of, end, now)
    return found.first, found.after, found.before_first, found.before_after


def test_a_month_is_compared_with_as_many_days_of_the_month_before(account: Account) -> None:
    assert days_of(account, "month", "2026-02-10") == (
        date(2026, 2, 1), date(2026, 2, 11), date(2026, 1, 1), date(2026, 1, 11),
    )  # fmt: skip
    assert days_of(account, "month") == (date(2026, 3, 1), date(2026, 3, 29), date(2026, 2, 1), date(2026, 3, 1))


def test_a_week_is_compared_with_the_week_before_and_nonsense_counts_as_not_asked(account: Account) -> None:
    assert days_of(account, "week", "2026-03-14") == (
        date(2026, 3, 8), date(2026, 3, 15), date(2026, 3, 1), date(2026, 3, 8),
    )  # fmt: skip
    assert days_of(account, "", "tomorrow") == days_of(account, "month") == days_of(account, "month", "2030-01-01")


def test_the_card_of_a_month_adds_up_with_new_and_stopped_work_and_a_refund(account: Account) -> None:
    meter = make_meter(account.organization)
    one, two, three = (make_workflow(account, name) for name in ("One", "Two", "Three"))
    use(account, one, meter, date(2026, 2, 3), 100, "10")
    use(account, one, meter, date(2026, 3, 3), 150, "18.123456")
    use(account, two, meter, date(2026, 3, 4), 10, "4")
    use(account, three, meter, date(2026, 2, 4), 10, "3")
    enter(staff_of(account))
    period = BillingPeriod.objects.create(
        organization=account.organization, account=account, starts_on=date(2026, 1, 1), ends_on=date(2026, 2, 1),
        currency="USD", amount=D(5), closed_at="2026-02-06T00:00:00Z",
    )  # fmt: skip
    Adjustment.objects.create(
        organization=account.organization, account=account, day=date(2026, 3, 5), period=period, meter=meter,
        quantity=D(0), amount=D(-2), reason="Version 2 of the price list",
    )  # fmt: skip
    asked = compared(staff_of(account), account, "month", "", NOW)
    card = change(staff_of(account), account, asked)
    parts = {part["name"]: D(part["amount"]) for part in card["parts"]}
    assert D(card["opening"]) + sum(parts.values()) == D(card["closing"]) == D("20.12")
    assert (parts["started"], parts["stopped"], parts["other"]) == (D("4.00"), D("-3.00"), D("-2.00"))
    assert sum(D(row["difference"]) for row in card["rows"]) == D(card["difference"]) == D("7.12")
    assert "Corrections of earlier periods" in [row["workflow"] for row in card["rows"]]
    assert headline(card, asked) == "Mar 1 to Mar 28 cost $7.12 more than February 2026 (+55%)"


def test_a_customer_reads_the_page_and_its_file_and_an_empty_account_is_told_so(account: Account) -> None:
    client = signed_in(make_member(account))
    page = client.get(f"/accounts/{account.pk}/change/?of=week")
    assert page.status_code == 200
    assert "No use in either" in page.content.decode()
    file = client.get(f"/accounts/{account.pk}/change/change.csv?of=month&end=x")
    assert file.content.decode().splitlines()[-1].startswith("total,,,0.00,0.00,0.00")
