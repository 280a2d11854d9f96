from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_usage_day,
    make_workflow,
    portal_of,
    signed_in,
)
from usage.calc.pace import LAST_DAYS, LastDays, Month, Wanted, period_of
from usage.charts import daily_spend
from usage.models import TouchedDay, Workflow
from usage.reports import overview_words as words
from usage.reports.overview import Overview, overview
from usage.reports.workflows import workflow_page

NOW = datetime(2026, 11, 22, 16, tzinfo=timezone.utc)
TODAY = NOW.date()


def see(account: Account, wanted: Wanted = None) -> Overview:
    viewer = portal_of(account)
    enter(viewer)
    return overview(viewer, account, wanted, NOW)


def use(account: Account, first: date, days: int, spend: str, name: str = "Invoice OCR") -> None:
    meter, workflow = make_meter(account.organization, f"{name} {first}"), make_workflow(account, f"{name} {first}")
    for number in range(days):
        make_usage_day(account, meter, first + timedelta(days=number), workflow, spend=Decimal(spend))


def get(account: Account, path: str = "overview", **query: str) -> str:
    client: Client = signed_in(make_member(account))
    response = client.get(reverse(f"usage:{path}", args=[account.pk]), query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_the_last_90_days_end_yesterday_and_follow_on_the_90_before() -> None:
    period = period_of(LAST_DAYS, TODAY)
    assert (period.first, period.last, len(period.days)) == (date(2026, 8, 24), date(2026, 11, 21), 90)
    assert isinstance(period.before, LastDays)
    assert (period.before.end, period.before.length) == (period.first, 90)
    assert (period.is_running, period.closed, period.compared) == (False, 90, 90)


def test_a_month_still_to_come_is_the_running_one() -> None:
    assert period_of(date(2027, 3, 1), TODAY) == Month(date(2026, 11, 1), TODAY)


@pytest.mark.django_db
def test_90_days_are_compared_with_the_90_before_and_leave_today_out() -> None:
    account = make_account()
    use(account, TODAY - timedelta(days=180), 90, "10", "Before")
    use(account, TODAY - timedelta(days=90), 91, "11", "Since")
    seen = see(account, LAST_DAYS)
    assert (seen.total.spend, seen.before.spend, seen.change) == (990, 900, Decimal("0.1"))
    assert "".join(part.text for part in words.headline(seen, "You")) == "You used $990 in the last 90 days."
    assert words.lead(seen).startswith("10% more than the 90 days before ($900)")
    assert words.period_label(seen.month) == "Aug 24 to Nov 21"


@pytest.mark.django_db
def test_the_bars_of_a_steady_month_add_up_to_the_straight_projection() -> None:
    account = make_account()
    use(account, date(2026, 11, 1), 21, "100")
    make_usage_day(account, make_meter(account.organization, "today"), TODAY, spend=Decimal(40))
    seen = see(account)
    bars = [value for series in daily_spend(seen, "").series for value in series.y if value is not None]
    assert sum(bars) == seen.projection == 3000


@pytest.mark.django_db
def test_rounded_lines_add_up_to_the_rounded_total() -> None:
    account = make_account()
    for number in range(3):
        use(account, date(2026, 11, 1 + number), 1, "33.50", f"Flow {number}")
    seen = see(account)
    assert [line.shown for line in seen.workflows] == [34, 34, 33]
    assert sum(line.shown or 0 for line in seen.workflows) == 101  # of 100.50


@pytest.mark.django_db
def test_a_small_amount_is_never_rounded_to_nothing() -> None:
    account = make_account()
    use(account, date(2026, 11, 1), 1, "0.42", "Small")
    use(account, date(2026, 11, 1), 1, "3000", "Large")
    seen = see(account)
    assert seen.with_cents
    assert [line.shown for line in seen.workflows] == [Decimal("3000.00"), Decimal("0.42")]


@pytest.mark.django_db
def test_the_period_selector_lists_the_months_with_usage_and_the_last_90_days() -> None:
    account = make_account()
    today = datetime.now(tz=timezone.utc).date()
    this_month = Month.around(today, today)
    use(account, this_month.before.first, 1, "5")
    text = get(account)
    assert f'value="{this_month.key}" selected' in text
    assert f'value="{this_month.before.key}"' in text
    assert f'value="{this_month.before.before.key}"' not in text
    assert f'value="{LAST_DAYS}" selected' in get(account, month=LAST_DAYS)
    assert f'value="{LAST_DAYS}" selected' in get(account, "workflows", month=LAST_DAYS)


@pytest.mark.django_db
def test_late_numbers_say_so_and_keep_their_last_values() -> None:
    account = make_account()
    now = datetime.now(tz=timezone.utc)
    make_usage_day(account, make_meter(account.organization), now.date(), make_workflow(account), spend=Decimal(4711))
    assert "Numbers are late" not in get(account)
    enter(portal_of(account))
    TouchedDay.objects.create(
        organization_id=account.organization_id,
        account=account,
        day=now.date(),
        received_at=now - timedelta(hours=4),
    )
    text = get(account)
    assert "Numbers are late" in text
    assert "$4,711" in text


@pytest.mark.django_db
def test_usage_that_cost_nothing_because_all_failed_is_said_in_words() -> None:
    account = make_account()
    meter, workflow = make_meter(account.organization), make_workflow(account)
    for day in (2, 3):
        make_usage_day(
            account, meter, date(2026, 11, day), workflow, spend=Decimal(0), successes=0, outcomes=Decimal(0)
        )
    seen = see(account)
    said = "".join(part.text for part in words.headline(seen, "You"))
    assert said == "You sent 20 events so far in November; none of them cost anything."
    assert words.lead(seen) == "All 20 finished runs failed."
    assert words.status(seen) == ("Every run failed", "bad")
    assert daily_spend(seen, "").headline == "Nothing was billed in November"


@pytest.mark.django_db
def test_a_line_through_days_before_the_first_usage_says_so() -> None:
    account = make_account()
    use(account, date(2026, 11, 14), 8, "10")
    assert "before usage began on Nov 14" in words.lead(see(account))


@pytest.mark.django_db
def test_a_workflows_months_are_the_same_whatever_period_is_chosen() -> None:
    account = make_account()
    use(account, date(2026, 11, 20), 3, "10")  # the last of them is today
    workflow = Workflow.objects.get(account=account)
    enter(portal_of(account))
    pages = [workflow_page(portal_of(account), account, workflow, wanted, NOW) for wanted in (None, LAST_DAYS)]
    assert [dict(page.months)[date(2026, 11, 1)].spend for page in pages] == [30, 30]
    assert [page.total.spend for page in pages] == [30, 20]
