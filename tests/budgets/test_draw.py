"""What was rated is taken from the commits and booked when its day has ended; a change reverses and books anew."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import Account
from budgets.models import Commit, CommitBalance, LedgerEntry, LedgerState
from tests.budgets.ledger_factories import D, draw, entries, make_commit, make_contract, net, rate
from tests.factories import NOW, make_account, make_meter
from usage.models import Meter, Settlement, TouchedDay

pytestmark = pytest.mark.django_db

TODAY = NOW.date()  # 15 June 2026


def june(day: int) -> date:
    return date(2026, 6, day)


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def calls(account: Account) -> Meter:
    return make_meter(account.organization, name="Calls")


def test_each_ended_day_is_drawn_and_today_is_ongoing(account: Account, calls: Meter) -> None:
    make_commit(account, "100")
    rate(account, calls, june(3), "30")
    rate(account, calls, TODAY, "20")
    draw(account, june(1))
    assert entries(account) == [("Prepaid", "granted", june(1), D(100)), ("Prepaid", "drawn", june(3), D(-30))]
    balance = CommitBalance.objects.get(account=account)
    assert (balance.settled, balance.ongoing) == (D(70), D(50))
    state = LedgerState.objects.get(account=account)
    assert [(row["meter"], row["amount"]) for row in state.ongoing] == [(str(calls.pk), "-20.000000")]
    settlement = Settlement.objects.get(account=account)
    assert settlement.booked_until == TODAY
    assert settlement.due_at == datetime.fromisoformat("2026-06-16T00:00:00+00:00")


def test_what_no_commit_covers_is_overage(account: Account, calls: Meter) -> None:
    make_commit(account, "100")
    rate(account, calls, june(3), "130")
    draw(account, june(1))
    assert net(account)["", "overage", june(3), "Calls"] == D(30)


def test_an_account_without_a_commit_owes_all_it_uses(account: Account, calls: Meter) -> None:
    rate(account, calls, june(3), "1.25")
    rate(account, calls, TODAY, "2")
    draw(account, june(3))
    assert entries(account) == [("", "overage", june(3), D("1.25"))]
    state = LedgerState.objects.get(account=account)
    assert (state.overage, state.ongoing[0]["commit"]) == (D("3.25"), None)


def test_drawing_twice_changes_nothing(account: Account, calls: Meter) -> None:
    make_commit(account, "100")
    rate(account, calls, june(3), "130")
    draw(account, june(1))
    before = entries(account)
    draw(account, june(1))
    draw(account, TODAY)
    assert entries(account) == before


def test_late_use_reverses_the_days_that_differ_and_says_why(account: Account, calls: Meter) -> None:
    make_commit(account, "100")
    for day in (3, 4, 5):
        rate(account, calls, june(day), "10")
    draw(account, june(1))
    rate(account, calls, june(4), "15")
    TouchedDay.objects.create(
        organization_id=account.organization_id, account=account, day=june(4), received_at=NOW, reason=""
    )
    draw(account, TODAY)
    rows = LedgerEntry.objects.filter(account=account, day=june(4)).order_by("id")
    assert [(row.amount, row.reverses_id is not None, row.reason) for row in rows] == [
        (D(-10), False, ""),
        (D(10), True, "Late use of 4 June 2026"),
        (D(-15), False, "Late use of 4 June 2026"),
    ]
    assert LedgerEntry.objects.filter(account=account, day=june(5)).count() == 1


def test_the_reason_of_a_new_price_goes_on_the_entries_that_replace_others(account: Account, calls: Meter) -> None:
    rate(account, calls, june(3), "10")
    draw(account, june(3))
    rate(account, calls, june(3), "12")
    TouchedDay.objects.create(
        organization_id=account.organization_id, account=account, day=june(3), received_at=NOW, reason="Version 2"
    )
    draw(account, TODAY)
    assert {row.reason for row in LedgerEntry.objects.exclude(reason="")} == {"Version 2"}


def test_when_the_day_ends_its_use_is_booked(account: Account, calls: Meter) -> None:
    make_commit(account, "100")
    rate(account, calls, TODAY, "20")
    draw(account, TODAY)
    draw(account, TODAY + timedelta(days=1), NOW + timedelta(days=1))
    assert net(account)["Prepaid", "drawn", TODAY, "Calls"] == D(-20)
    assert CommitBalance.objects.get(account=account).settled == D(80)
    assert not LedgerEntry.objects.exclude(reason="").exists()


def test_a_clock_that_is_behind_takes_nothing_back(account: Account, calls: Meter) -> None:
    """Of two settlements around midnight the slower one may come last."""
    make_commit(account, "100")
    rate(account, calls, TODAY, "20")
    draw(account, TODAY, NOW + timedelta(days=1))
    before = entries(account)
    draw(account, TODAY, NOW)
    assert entries(account) == before
    assert LedgerState.objects.get(account=account).latest_on == TODAY + timedelta(days=1)


def test_an_expiry_takes_what_is_left_at_the_start_of_its_day(account: Account, calls: Meter) -> None:
    make_commit(account, "100", expires_on=june(10))
    rate(account, calls, june(9), "30")
    rate(account, calls, june(10), "5")
    draw(account, june(1))
    found = net(account)
    assert found["Prepaid", "expired", june(10), ""] == D(-70)
    assert found["", "overage", june(10), "Calls"] == D(5)


def test_what_expires_at_the_start_of_today_is_booked_today_once(account: Account) -> None:
    make_commit(account, "100", expires_on=TODAY)
    draw(account, june(1))
    assert net(account)["Prepaid", "expired", TODAY, ""] == D(-100)
    draw(account, TODAY)
    draw(account, TODAY + timedelta(days=1), NOW + timedelta(days=1))
    assert LedgerEntry.objects.filter(kind="expired").count() == 1
    assert CommitBalance.objects.get(account=account).settled == D(0)


def test_a_commit_that_begins_today_is_there_today(account: Account, calls: Meter) -> None:
    rate(account, calls, TODAY, "20")
    draw(account, TODAY)
    make_commit(account, "100", effective_on=TODAY)
    draw(account, TODAY)
    balance = CommitBalance.objects.get(account=account)
    assert (balance.settled, balance.ongoing) == (D(100), D(80))
    assert entries(account) == [("Prepaid", "granted", TODAY, D(100))]


def test_a_commit_of_the_past_is_found_even_if_only_today_is_touched(account: Account, calls: Meter) -> None:
    rate(account, calls, june(3), "20")
    draw(account, june(3))
    make_commit(account, "100")
    draw(account, TODAY)
    found = net(account)
    assert found["Prepaid", "drawn", june(3), "Calls"] == D(-20)
    assert ("", "overage", june(3), "Calls") not in found
    assert "Prepaid was added" in LedgerEntry.objects.exclude(reverses=None).get().reason


def test_overage_is_paid_by_a_later_commit_of_the_same_period(account: Account, calls: Meter) -> None:
    make_commit(account, "100", effective_on=june(10))
    rate(account, calls, june(3), "20")
    draw(account, june(3))
    found = net(account)
    assert found["", "overage", june(3), "Calls"] == D(20)
    assert found["", "overage", june(10), "Calls"] == D(-20)
    assert found["Prepaid", "drawn", june(10), "Calls"] == D(-20)


def test_overage_of_a_period_that_is_over_is_invoiced_and_not_paid_later(account: Account, calls: Meter) -> None:
    make_commit(account, "100", effective_on=june(1))
    rate(account, calls, date(2026, 5, 31), "20")
    draw(account, date(2026, 5, 31))
    assert net(account) == {
        ("", "overage", date(2026, 5, 31), "Calls"): D(20),
        ("Prepaid", "granted", june(1), ""): D(100),
    }


def test_promotions_go_first_under_that_policy_and_the_ledger_says_why(account: Account, calls: Meter) -> None:
    contract = make_contract(account, draw_policy="promotional_first")
    make_commit(account, "100", contract=contract)
    make_commit(account, "10", contract=contract, name="Welcome", kind=Commit.Kind.PROMOTIONAL)
    rate(account, calls, june(3), "15")
    draw(account, june(1))
    rows = LedgerEntry.objects.filter(kind="drawn").select_related("commit")
    assert {row.commit.name: (row.amount, row.why) for row in rows} == {
        "Welcome": (D(-10), "free credit before paid, before Prepaid"),
        "Prepaid": (D(-5), "Welcome is used up"),
    }


def test_the_policy_of_the_contract_in_force_decides(account: Account, calls: Meter) -> None:
    first = make_contract(account, ends_on=june(5))
    make_contract(account, name="Next", starts_on=june(5), draw_policy="promotional_first")
    make_commit(account, "100", contract=first)
    make_commit(account, "50", contract=first, name="Welcome", kind=Commit.Kind.PROMOTIONAL, priority=2)
    rate(account, calls, june(4), "10")
    rate(account, calls, june(5), "10")
    draw(account, june(1))
    found = net(account)
    assert found["Prepaid", "drawn", june(4), "Calls"] == D(-10)
    assert found["Welcome", "drawn", june(5), "Calls"] == D(-10)


def test_a_commit_pays_only_for_its_meters(account: Account, calls: Meter) -> None:
    pages = make_meter(account.organization, "page", name="Pages")
    make_commit(account, "100", only_meters=(calls.pk,))
    rate(account, calls, june(3), "10")
    rate(account, pages, june(3), "7")
    draw(account, june(1))
    found = net(account)
    assert found["Prepaid", "drawn", june(3), "Calls"] == D(-10)
    assert found["", "overage", june(3), "Pages"] == D(7)


def test_a_commit_of_nothing_books_nothing(account: Account, calls: Meter) -> None:
    make_commit(account, "0")
    rate(account, calls, june(3), "10")
    draw(account, june(1))
    assert net(account) == {("", "overage", june(3), "Calls"): D(10)}


def test_a_recurring_commit_is_given_anew_and_what_is_left_expires(account: Account, calls: Meter) -> None:
    make_commit(account, "100", effective_on=date(2026, 4, 1), recurs_months=1, name="Monthly")
    rate(account, calls, date(2026, 4, 20), "30")
    rate(account, calls, date(2026, 5, 20), "120")
    draw(account, date(2026, 4, 1))
    assert net(account) == {
        ("Monthly", "granted", date(2026, 4, 1), ""): D(100),
        ("Monthly", "drawn", date(2026, 4, 20), "Calls"): D(-30),
        ("Monthly", "expired", date(2026, 5, 1), ""): D(-70),
        ("Monthly", "granted", date(2026, 5, 1), ""): D(100),
        ("Monthly", "drawn", date(2026, 5, 20), "Calls"): D(-100),
        ("", "overage", date(2026, 5, 20), "Calls"): D(20),
        ("Monthly", "granted", june(1), ""): D(100),
    }


def test_what_is_left_rolls_over_within_its_limit_and_then_expires(account: Account, calls: Meter) -> None:
    make_commit(
        account,
        "100",
        effective_on=date(2026, 4, 1),
        expires_on=date(2026, 5, 1),
        rollover_most=D(40),
        rollover_months=1,
    )
    rate(account, calls, date(2026, 5, 3), "15")
    draw(account, date(2026, 4, 1))
    assert net(account) == {
        ("Prepaid", "granted", date(2026, 4, 1), ""): D(100),
        ("Prepaid", "rolled_over", date(2026, 5, 1), ""): D(-60),
        ("Prepaid", "drawn", date(2026, 5, 3), "Calls"): D(-15),
        ("Prepaid", "expired", june(1), ""): D(-25),
    }


@pytest.mark.parametrize(
    ("currency", "amount"), [("JPY", "130"), ("USD", "130.55"), ("KWD", "130.555")], ids=["0", "2", "3"]
)
def test_the_currency_keeps_its_decimals(currency: str, amount: str) -> None:
    account = make_account(currency=currency)
    calls = make_meter(account.organization, name="Calls")
    make_commit(account, "100")
    rate(account, calls, june(3), amount)
    draw(account, june(1))
    assert net(account)["", "overage", june(3), "Calls"] == Decimal(amount) - 100


def test_days_are_those_of_the_account_when_the_clocks_change() -> None:
    account = make_account(timezone="Europe/Vienna")
    calls = make_meter(account.organization, name="Calls")
    make_commit(account, "100", effective_on=date(2026, 3, 29), expires_on=date(2026, 3, 30))
    for day in (28, 29, 30):
        rate(account, calls, date(2026, 3, day), "10")
    draw(account, date(2026, 3, 28))
    found = net(account)
    assert found["Prepaid", "drawn", date(2026, 3, 29), "Calls"] == D(-20)  # and the overage of the day before
    assert found["Prepaid", "expired", date(2026, 3, 30), ""] == D(-80)
    assert found["", "overage", date(2026, 3, 30), "Calls"] == D(10)


def test_use_of_many_cells_and_what_has_no_price(account: Account, calls: Meter) -> None:
    rate(account, calls, june(3), "10", "eu")
    rate(account, calls, june(3), "5", "us")
    rate(account, calls, june(4), None)
    draw(account, june(3))
    assert net(account) == {("", "overage", june(3), "Calls"): D(15)}
