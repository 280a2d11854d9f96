"""Settlement turns touched days into money and totals, and may run any number of times."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Account
from budgets.actions import settle as module
from budgets.actions.settle import settle
from consumption_cs.lib.tenancy import act_as, enter
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_meter,
    make_organization,
    make_price,
    make_workflow,
    staff_of,
    usage_sum,
)
from tests.threads import in_threads
from usage.actions.marks import claim_accounts, clear_marks
from usage.actions.rate import touch_days
from usage.actions.roll_up import roll_up
from usage.models import AccountDay, Meter, Price, TouchedDay, UsageDay

HOUR = NOW - timedelta(hours=2)
TODAY = HOUR.date()
DAY, HALF_A_DAY = timedelta(days=1), timedelta(hours=12)


def roll_up_usage(account: Account, meter: Meter, quantity: str = "100", hour: datetime = HOUR, **fields: Any) -> None:
    make_batch(account.organization, usage_sum(account, meter, hour, quantity, **fields))
    roll_up(account.organization_id, NOW)


def spends_after_settling(account: Account) -> list[tuple[date, Decimal | None]]:
    settle(account.organization_id, NOW)
    enter(staff_of(account))
    return list(UsageDay.objects.order_by("day", "workflow", "group").values_list("day", "spend"))


def everything_settled() -> list[Any]:
    return [
        *UsageDay.objects.order_by("pk").values_list(),
        *AccountDay.objects.order_by("pk").values_list(),
        *AccountDay.objects.order_by("pk").values_list("settled_at"),
    ]


@pytest.mark.django_db
class TestSettlement:
    def test_spend_is_quantity_times_the_price_in_force(self) -> None:
        account = make_account()
        meter = make_meter(account.organization)
        make_price(meter, "0.03")
        roll_up_usage(account, meter, "12.5")
        assert spends_after_settling(account) == [(TODAY, Decimal("0.38"))]
        total = AccountDay.objects.get()
        assert (total.spend, total.events, total.unpriced_events) == (Decimal("0.38"), 1, 0)
        assert (total.currency, total.settled_at) == ("USD", NOW)
        assert not TouchedDay.objects.exists()

    def test_settling_twice_changes_nothing(self) -> None:
        account = make_account()
        meter = make_meter(account.organization)
        make_price(meter)
        roll_up_usage(account, meter)
        spends_after_settling(account)
        before = everything_settled()
        with_marks = touch_days(staff_of(account), None, None, TODAY)
        assert (with_marks, settle(account.organization_id, NOW + DAY)) == (1, 1)
        enter(staff_of(account))
        assert everything_settled() == before

    def test_more_usage_of_a_settled_day_is_settled_again(self) -> None:
        account = make_account()
        meter = make_meter(account.organization)
        make_price(meter, "2")
        for quantity, spend in (("1", "2"), ("3", "8")):
            roll_up_usage(account, meter, quantity)
            assert spends_after_settling(account) == [(TODAY, Decimal(spend))]
            assert AccountDay.objects.get().spend == Decimal(spend)

    def test_a_day_that_is_marked_again_while_it_is_settled_keeps_its_mark_and_goes_to_the_end_of_the_line(
        self,
    ) -> None:
        account = make_account()
        other = make_account(account.organization, "Other")
        meter = make_meter(account.organization)
        make_price(meter)
        for one in (account, other):
            roll_up_usage(one, meter)
        enter(staff_of(account))
        TouchedDay.objects.filter(account=account).update(received_at=NOW - DAY)
        TouchedDay.objects.filter(account=other).update(received_at=NOW - HALF_A_DAY)
        claim = claim_accounts(account.organization_id, NOW, set(), 1)
        assert claim.accounts == (str(account.pk),)
        with transaction.atomic():  # its own, as another worker's is: the mark's version changes
            touch_days(staff_of(account), None, account, TODAY)
        clear_marks(account.organization_id, claim)
        assert list(TouchedDay.objects.order_by("received_at").values_list("account", flat=True)) == [
            other.pk,
            account.pk,
        ]

    def test_without_a_price_spend_is_unknown_and_the_total_says_how_much_that_is(self) -> None:
        account = make_account()
        priced, unpriced = make_meter(account.organization), make_meter(account.organization, "page")
        make_price(priced, "1")
        make_price(unpriced, "1", currency="EUR")
        roll_up_usage(account, priced, "5")
        roll_up_usage(account, unpriced, "7", n=3)
        assert sorted(spends_after_settling(account), key=str) == [(TODAY, Decimal(5)), (TODAY, None)]
        total = AccountDay.objects.get()
        assert (total.spend, total.unpriced_events, total.events) == (5, 3, 4)

    def test_an_absurd_amount_counts_as_unpriced_instead_of_stopping_settlement(self) -> None:
        account = make_account()
        meter = make_meter(account.organization)
        make_price(meter, "999999999")
        roll_up_usage(account, meter, "9" * 26)
        assert spends_after_settling(account) == [(TODAY, None)]
        assert AccountDay.objects.get().unpriced_events == 1

    def test_totals_hold_all_workflows_and_meters_of_the_day(self) -> None:
        account = make_account()
        meter, other = make_meter(account.organization), make_meter(account.organization, "page")
        workflow = str(make_workflow(account).pk)
        make_price(meter, "1")
        make_price(other, "10")
        roll_up_usage(account, meter, "1", w=workflow, o="2", n=4, f=3, s=2)
        roll_up_usage(account, meter, "2")
        roll_up_usage(account, other, "3", hour=HOUR + timedelta(hours=1))
        settle(account.organization_id, NOW)
        enter(staff_of(account))
        total = AccountDay.objects.get()
        assert (total.spend, total.events, total.finished, total.successes, total.outcomes) == (33, 6, 5, 4, 2)
        assert total.last_event_at == HOUR + timedelta(hours=1, minutes=30)

    def test_an_account_that_cannot_be_settled_holds_up_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        good = make_account()
        bad = make_account(good.organization)
        meter = make_meter(good.organization)
        make_price(meter, "1")
        for account in (bad, good):
            roll_up_usage(account, meter)
        rate_accounts = module.rate_accounts

        def fail_for_bad(organization_id: Any, now: datetime, claim: Any) -> Any:
            if str(bad.pk) in claim.accounts:
                raise ValueError("no idea")
            return rate_accounts(organization_id, now, claim)

        monkeypatch.setattr(module, "rate_accounts", fail_for_bad)
        assert settle(good.organization_id, NOW) == 1
        enter(staff_of(good))
        assert AccountDay.objects.get().account == good
        assert TouchedDay.objects.get().account == bad
        monkeypatch.undo()
        assert settle(good.organization_id, NOW) == 1

    def test_many_accounts_are_settled_in_bounded_transactions(self) -> None:
        organization = make_organization()
        accounts = [make_account(organization) for _ in range(5)]
        meter = make_meter(organization)
        make_price(meter)
        make_batch(
            organization, *(usage_sum(account, meter, HOUR - DAY * n) for n in range(3) for account in accounts)
        )
        roll_up(organization.pk, NOW)
        assert settle(organization.pk, NOW, max_accounts=2) == 15
        enter(staff_of(organization))
        assert AccountDay.objects.count() == 15


@pytest.mark.django_db
class TestPriceChange:
    def settled_days(self, **account: Any) -> tuple[Account, Meter]:
        """Three days of ten units each at 1.00."""
        owner = make_account(**account)
        meter = make_meter(owner.organization)
        make_price(meter, "1")
        for n in range(3):
            roll_up_usage(owner, meter, "10", HOUR - DAY * n)
        assert {spend for _, spend in spends_after_settling(owner)} == {Decimal(10)}
        return owner, meter

    def test_a_new_price_changes_the_days_from_its_own_on(self) -> None:
        account, meter = self.settled_days()
        make_price(meter, "2", effective_on=TODAY - DAY)
        assert touch_days(staff_of(account), meter, None, TODAY - DAY) == 2
        assert [spend for _, spend in spends_after_settling(account)] == [10, 20, 20]
        assert list(AccountDay.objects.order_by("day").values_list("spend", flat=True)) == [10, 20, 20]

    def test_a_customers_own_price_leaves_the_others_alone(self) -> None:
        account, meter = self.settled_days()
        other = make_account(account.organization)
        roll_up_usage(other, meter, "10")
        settle(account.organization_id, NOW)
        make_price(meter, "3", account, effective_on=TODAY)
        assert touch_days(staff_of(account), meter, account, TODAY) == 1
        settle(account.organization_id, NOW)
        enter(staff_of(account))
        assert AccountDay.objects.get(account=account, day=TODAY).spend == 30
        assert AccountDay.objects.get(account=other).spend == 10

    def test_a_price_that_is_taken_away_leaves_the_days_unpriced(self) -> None:
        account, meter = self.settled_days()
        Price.objects.update(in_force=False)
        touch_days(staff_of(account), meter, None, date(2020, 1, 1))
        assert {spend for _, spend in spends_after_settling(account)} == {None}
        assert {day.unpriced_events for day in AccountDay.objects.all()} == {1}

    def test_days_of_other_meters_are_not_touched(self) -> None:
        account, _ = self.settled_days()
        assert touch_days(staff_of(account), make_meter(account.organization, "page"), None, TODAY) == 0


def make_committed_account() -> Account:
    organization = make_organization()
    with act_as(staff_of(organization)):
        return make_account(organization)


@pytest.mark.django_db(transaction=True)
def test_settlements_and_ticks_racing_each_other_end_with_every_unit_rated() -> None:
    account = make_committed_account()
    organization_id = account.organization_id
    with act_as(staff_of(account)):
        meter = make_meter(account.organization)
        make_price(meter, "0.5")
        for n in range(60):
            make_batch(account.organization, usage_sum(account, meter, HOUR - DAY * (n % 3)))

    def work() -> int:
        settled = 0
        for _ in range(10):
            roll_up(organization_id, NOW, 3)
            settled += settle(organization_id, NOW, 2)
        return settled

    in_threads(4, work)
    while roll_up(organization_id, NOW).batches:
        pass
    settle(organization_id, NOW)
    with act_as(staff_of(account)):
        assert list(AccountDay.objects.values_list("spend", "events")) == [(10, 20)] * 3
        assert list(UsageDay.objects.values_list("spend", flat=True)) == [10] * 3
        assert not TouchedDay.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_price_change_during_settlement_is_never_lost() -> None:
    account = make_committed_account()
    with act_as(staff_of(account)):
        meter = make_meter(account.organization)
        price = make_price(meter, "1")
        make_batch(account.organization, *(usage_sum(account, meter, HOUR - DAY * n) for n in range(20)))
    roll_up(account.organization_id, NOW)

    def change(to: int) -> None:
        with act_as(staff_of(account)):
            Price.objects.filter(pk=price.pk).update(terms={"model": "unit", "params": {"unit": str(to)}})
            touch_days(staff_of(account), meter, None, TODAY - DAY * 30)
        settle(account.organization_id, NOW)

    numbers = iter(range(2, 6))
    in_threads(4, lambda: change(next(numbers)))
    settle(account.organization_id, NOW)
    with act_as(staff_of(account)):
        last = Price.objects.get().unit_price
        assert {day.spend for day in AccountDay.objects.all()} == {last}
