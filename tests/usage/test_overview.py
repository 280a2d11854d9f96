from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Role
from consumption_cs.lib.tenancy import enter
from tests.factories import (
    make_account,
    make_member,
    make_meter,
    make_usage_day,
    make_workflow,
    portal_of,
    signed_in,
    staff_of,
)
from usage.reports import overview_words as words
from usage.reports.overview import Overview, overview

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 16, tzinfo=timezone.utc)  # a Sunday
TODAY = NOW.date()


def use(account: Account, first: date, days: int, spend: str = "10", **fields: object) -> None:
    meter = make_meter(account.organization, f"call-{first}-{fields.get('name', '')}")
    workflow = make_workflow(account, str(fields.pop("name", f"Flow {first}")))
    for number in range(days):
        make_usage_day(account, meter, first + timedelta(days=number), workflow, spend=Decimal(spend), **fields)


def see(account: Account, month: date | None = None) -> Overview:
    viewer = portal_of(account)
    enter(viewer)
    return overview(viewer, account, month, NOW)


def said(parts: list[words.Words]) -> str:
    return "".join(part.text for part in parts)


def test_the_headline_says_what_was_used_and_where_the_straight_line_ends() -> None:
    account = make_account()
    use(account, date(2026, 11, 1), 21, "100")
    make_usage_day(account, make_meter(account.organization, "today"), TODAY, spend=Decimal(40))
    seen = see(account)
    assert seen.projection == 3000  # 21 closed days of 100; today's 40 are not a whole day
    assert said(words.headline(seen, "You")) == "You used $2,140 so far in November; at this pace $3,000 by Nov 30."
    assert "straight line through the 21 days that are over" in words.lead(seen)


def test_the_month_is_compared_with_the_same_days_of_the_month_before() -> None:
    account = make_account()
    use(account, date(2026, 10, 1), 31, "100", name="October")
    use(account, date(2026, 11, 1), 21, "110", name="November")
    seen = see(account)
    assert (seen.compared.spend, seen.before.spend, seen.whole_before.spend) == (2310, 2100, 3100)
    assert seen.change == Decimal("0.1")
    assert "10% more than the same 21 days of October ($2,100)" in words.lead(seen)


def test_an_account_in_another_time_zone_has_its_own_today() -> None:
    account = make_account(timezone="Pacific/Auckland")
    use(account, date(2026, 11, 1), 22, "100")
    assert see(account).month.closed == 22  # there it is the 23rd already


def test_a_closed_month_is_not_projected_and_is_compared_whole() -> None:
    account = make_account()
    use(account, date(2026, 9, 1), 30, "100", name="September")
    use(account, date(2026, 10, 1), 31, "100", name="October")
    seen = see(account, date(2026, 10, 1))
    assert seen.projection is None
    assert said(words.headline(seen, "You")) == "You used $3,100 in October."
    assert (seen.compared.spend, seen.before.spend) == (3000, 3000)  # September has 30 days to compare


def test_what_changed_this_week_adds_up_to_its_total() -> None:
    account = make_account()
    for name, before, now in (
        ("A", "10.10", "12.33"),
        ("B", "5", "4.49"),
        ("C", "1", "1.07"),
        ("D", "2", "2.9"),
        ("E", "3", "3.1"),
    ):
        use(account, date(2026, 11, 9), 6, before, name=f"{name} before")
        use(account, date(2026, 11, 16), 6, now, name=f"{name} now")
    seen = see(account)
    moves = words.moves(seen)
    shown = sum(Decimal(move.amount.replace("$", "").replace("−", "-").replace("+", "")) for move in moves)
    total = words.week_total(seen, moves)
    assert shown == Decimal(total.replace("$", "").replace("+", ""))
    assert len(moves) == 4
    assert moves[-1].title == "7 more workflows"


def test_the_workflow_table_adds_up_to_the_total() -> None:
    account = make_account()
    use(account, date(2026, 11, 1), 10, "3.333333", name="A")
    use(account, date(2026, 11, 5), 10, "7.1", name="B")
    seen = see(account)
    assert sum(line.month.spend or 0 for line in seen.workflows) == seen.total.spend
    assert [line.name for line in seen.workflows] == ["B", "A"]


def test_usage_without_a_workflow_is_a_line_of_its_own() -> None:
    account = make_account()
    make_usage_day(account, make_meter(account.organization), date(2026, 11, 3), None)
    assert [line.name for line in see(account).workflows] == ["Not assigned to a workflow"]


def test_spend_without_a_price_is_said_and_never_shown_as_zero() -> None:
    account = make_account()
    make_usage_day(account, make_meter(account.organization), date(2026, 11, 3), None, spend=None, events=7)
    seen = see(account)
    assert seen.total.spend is None
    assert said(words.headline(seen, "You")) == "You sent 7 events in November; they have no price yet."
    assert words.status(seen) == ("Prices missing", "warn")


def test_few_runs_have_no_success_rate() -> None:
    account = make_account()
    make_usage_day(account, make_meter(account.organization), date(2026, 11, 3), finished=29, successes=29)
    assert words.facts(see(account))[2].value == "needs 30 finished runs, has 29"


def test_a_yen_account_shows_no_cents() -> None:
    account = make_account(currency="JPY")
    use(account, date(2026, 11, 1), 21, "1000")
    assert "¥21,000" in said(words.headline(see(account), "You"))


def page(role: str, account: Account, path: str = "overview", **query: str) -> tuple[int, str]:
    client = signed_in(make_member(account if role.startswith("portal") else account.organization, role))
    response = client.get(reverse(f"usage:{path}", args=[account.pk]), query)
    return response.status_code, response.content.decode()


@pytest.mark.parametrize("role", [Role.PORTAL_OWNER, Role.PORTAL_VIEWER, Role.CSM, Role.ANALYST])
def test_staff_and_customer_see_the_same_numbers(role: str) -> None:
    account = make_account()
    day = datetime.now(tz=timezone.utc).date()
    make_usage_day(account, make_meter(account.organization), day, make_workflow(account), spend=Decimal("4711.50"))
    status, text = page(role, account)
    assert status == 200
    assert "$4,712" in text


def test_the_customer_does_not_see_how_the_vendor_sorts_them() -> None:
    account = make_account(segment="startup")
    make_usage_day(account, make_meter(account.organization), datetime.now(tz=timezone.utc).date())
    assert "Startup" in page(Role.CSM, account)[1]
    assert "Startup" not in page(Role.PORTAL_OWNER, account)[1]


def test_before_the_first_event_the_page_waits_and_asks_again() -> None:
    status, text = page(Role.PORTAL_OWNER, make_account())
    assert status == 200
    assert "Waiting for your first event" in text
    assert "every 3s" in text


@pytest.mark.parametrize("month", ["2026-13", "x", "0001-01", "9999-12", "2026-10'--"])
def test_a_month_that_is_none_means_the_running_one(month: str) -> None:
    account = make_account()
    make_usage_day(account, make_meter(account.organization), datetime.now(tz=timezone.utc).date())
    assert page(Role.PORTAL_OWNER, account, month=month)[0] == 200


def test_the_daily_download_adds_up_to_the_month() -> None:
    account = make_account()
    use(account, date(2026, 10, 1), 31, "1.25")
    _, text = page(Role.PORTAL_OWNER, account, "overview_daily", month="2026-10")
    rows = [line.split(",") for line in text.strip().splitlines()[1:]]
    assert len(rows) == 31
    assert sum(Decimal(row[2]) for row in rows) == Decimal("38.75")


def test_a_workflow_named_like_a_formula_is_harmless_in_the_download() -> None:
    account = make_account()
    workflow = make_workflow(account, "=HYPERLINK(1)")
    make_usage_day(account, make_meter(account.organization), date(2026, 10, 3), workflow)
    _, text = page(Role.PORTAL_OWNER, account, "overview_workflows_csv", month="2026-10")
    assert "'=HYPERLINK(1)" in text


def test_the_page_needs_few_queries_however_many_workflows(django_assert_max_num_queries: object) -> None:
    account = make_account()
    meter = make_meter(account.organization)
    day = datetime.now(tz=timezone.utc).date()
    for number in range(30):
        make_usage_day(account, meter, day, make_workflow(account, f"Flow {number}"))
    client: Client = signed_in(make_member(account))
    url = reverse("usage:overview", args=[account.pk])
    client.get(url)
    with django_assert_max_num_queries(30):  # type: ignore[operator]
        client.get(url)


def test_a_staff_viewer_reads_the_account_as_its_own_people_do() -> None:
    account = make_account()
    use(account, date(2026, 11, 1), 3, "5")
    viewer = staff_of(account)
    enter(viewer)
    assert overview(viewer, account, None, NOW).total.spend == see(account).total.spend
