"""verify_ledger: all steps agree, or the first row that differs is named."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import Account
from budgets import tasks
from budgets.actions.closing import close_by_hand
from budgets.actions.settle import settle
from budgets.actions.verify import verify_ledger
from budgets.models import CommitBalance, LedgerCheck, LedgerEntry
from budgets.reports.verification import badge
from consumption_cs.lib.tenancy import Viewer, enter
from tests.budgets.ledger_factories import D, make_commit
from tests.factories import NOW, make_account, make_batch, make_meter, make_price, staff_of, usage_sum
from usage.actions.roll_up import roll_up
from usage.models import AccountDay, Meter, RatedDay, UsageDay
from usage.reports.conservation import Difference, differences

pytestmark = pytest.mark.django_db

DAYS = timedelta(days=1)


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def calls(account: Account) -> Meter:
    meter = make_meter(account.organization, name="Calls")
    make_price(meter, "0.5")
    return meter


def use(account: Account, meter: Meter, day: date, quantity: str, now: datetime = NOW) -> None:
    """Usage arrives, is rolled up and settled."""
    hour = datetime.fromisoformat(f"{day.isoformat()}T10:00:00+00:00")
    make_batch(account.organization, usage_sum(account, meter, hour, quantity))
    roll_up(account.organization_id, now)
    settle(account.organization_id, now)
    enter(staff_of(account))


def check(account: Account, now: datetime = NOW) -> LedgerCheck:
    found = verify_ledger(account.organization_id, now)
    enter(staff_of(account))
    return found


def of_events(account: Account) -> str:
    """What the check says when the events themselves are missing: these tests write sums only."""
    return check(account).difference


def test_what_was_settled_agrees(account: Account, calls: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("budgets.actions.verify.differences", lambda *_: [])
    make_commit(account, "10")
    for day in (3, 4, 15):
        use(account, calls, date(2026, 6, day), "12")
    found = check(account)
    assert (found.difference, found.is_exact, found.accounts) == ("", True, 1)
    assert found.figures["money"]["USD"] == {
        "drawn": "10.000000",
        "ongoing": "6.000000",
        "overage": "2.000000",
        "rated": "18.000000",
    }
    assert badge(staff_of(account)).tone == "good"


def test_closed_periods_and_their_adjustments_agree(
    account: Account, calls: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("budgets.actions.verify.differences", lambda *_: [])
    make_commit(account, "10", effective_on=date(2026, 5, 1))
    use(account, calls, date(2026, 5, 3), "12")  # May closes by the calendar, five days after its end
    use(account, calls, date(2026, 5, 4), "5")
    use(account, calls, date(2026, 6, 15), "3")
    tomorrow = NOW + DAYS
    settle(account.organization_id, tomorrow)
    found = check(account, tomorrow)
    assert (found.difference, found.is_exact) == ("", True)
    assert found.figures["money"]["USD"]["adjusted"] == "2.500000"


def test_a_minimum_spend_on_a_day_without_use_is_no_difference(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rated on the period's last day, and shared out to no row of usage."""

    def without_events(viewer: Viewer, now: datetime) -> list[Difference]:
        return [row for row in differences(viewer, now) if row.step != "accepted and rolled up by day"]

    monkeypatch.setattr("budgets.actions.verify.differences", without_events)
    pages = make_meter(account.organization, "page", name="Pages")
    make_price(pages, terms={"model": "unit", "params": {"unit": "0.5"}, "min_spend": "20"})
    make_commit(account, "15", effective_on=date(2026, 5, 1))
    use(account, pages, date(2026, 5, 3), "12")
    found = check(account)
    assert (found.difference, found.is_exact) == ("", True)
    assert found.figures["money"]["USD"] == {"drawn": "15.000000", "overage": "5.000000", "rated": "20.000000"}


def test_events_that_are_missing_are_named(account: Account, calls: Meter) -> None:
    use(account, calls, date(2026, 6, 3), "12")
    found = check(account)
    assert not found.is_exact
    assert "Northwind, Calls: accepted and rolled up by day differ" in found.difference


def test_each_kind_of_difference_is_named_with_both_numbers(account: Account, calls: Meter) -> None:
    make_commit(account, "10")
    use(account, calls, date(2026, 6, 3), "12")
    RatedDay.objects.update(amount=D("6.01"))
    assert of_events(account) == "Northwind, 3 June 2026, Calls: 6.01 USD rated, 6 USD shared out to workflows"
    UsageDay.objects.update(spend=D("6.01"))
    assert of_events(account) == ("Northwind, 3 June 2026: 6.01 USD rated and adjusted, 6 USD in the day's total")
    AccountDay.objects.update(spend=D("6.01"))
    assert of_events(account) == (
        "Northwind, 3 June 2026, Calls: 6.01 USD rated and adjusted, 6 USD drawn and overage"
    )
    RatedDay.objects.update(amount=D(6))
    UsageDay.objects.update(spend=D(6))
    AccountDay.objects.update(spend=D(6))
    CommitBalance.objects.update(settled=D(5))
    assert of_events(account) == "Northwind, Prepaid: 4 USD in the ledger, 5 USD in the balance"
    CommitBalance.objects.update(settled=D(4))
    UsageDay.objects.update(quantity=D(13))
    assert of_events(account) == "Northwind, 3 June 2026, Calls: 13 rolled up, 12 rated"


def test_a_draw_that_would_come_out_otherwise_is_named(account: Account, calls: Meter) -> None:
    commit = make_commit(account, "10")
    use(account, calls, date(2026, 6, 3), "12")
    commit.only_meters = [make_meter(account.organization, "page").pk]
    commit.save()
    assert of_events(account) == (
        "Northwind, 3 June 2026, Prepaid, Calls: drawn -6.000000 is in the ledger, drawn anew it would be 0"
    )


def test_accounts_that_wait_for_settlement_are_left_out(account: Account, calls: Meter) -> None:
    make_batch(account.organization, usage_sum(account, calls, NOW, "1"))
    roll_up(account.organization_id, NOW)
    enter(staff_of(account))
    found = check(account)
    assert (found.is_exact, found.accounts, found.figures["waiting"]) == (True, 0, "1")


def test_the_command_says_so_and_ends_with_an_error(
    account: Account, calls: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("budgets.management.commands.verify_ledger.timezone.now", lambda: NOW)
    use(account, calls, date(2026, 6, 3), "12")
    out = StringIO()
    with pytest.raises(CommandError, match="The ledger differs in"):
        call_command("verify_ledger", "--json", stdout=out)
    assert '"exact": false' in out.getvalue()
    with pytest.raises(CommandError, match="no such organization"):
        call_command("verify_ledger", "--organization", "nobody")


def test_it_runs_once_a_night_and_whenever_asked_for(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.verify_ledger, "delay", tasks.verify_ledger.run)
    tasks.verify_ledgers()
    tasks.verify_ledgers()  # of the second beat
    enter(staff_of(account))
    assert LedgerCheck.objects.count() == 1
    tasks.verify_ledger(str(account.organization_id))
    enter(staff_of(account))
    assert LedgerCheck.objects.count() == 2


def test_closing_by_hand_freezes_the_ledger(account: Account, calls: Meter) -> None:
    make_commit(account, "10", effective_on=date(2026, 5, 1))
    june_2 = datetime.fromisoformat("2026-06-02T12:00:00+00:00")
    use(account, calls, date(2026, 5, 3), "12", june_2)
    close_by_hand(staff_of(account), account, date(2026, 5, 1), june_2)
    before = list(LedgerEntry.objects.order_by("id").values_list("id", flat=True))
    use(account, calls, date(2026, 5, 3), "100", june_2)
    rows = LedgerEntry.objects.exclude(pk__in=before)
    assert not rows.filter(day__lt=date(2026, 6, 1)).exists()
    settle(account.organization_id, june_2 + DAYS)
    enter(staff_of(account))
    assert [(row.kind, row.day, row.amount) for row in rows.order_by("day", "kind")] == [
        ("drawn", date(2026, 6, 2), D(-4)),
        ("overage", date(2026, 6, 2), Decimal(46)),
    ]
