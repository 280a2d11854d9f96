"""Rolled-up usage becomes money: over whole billing periods, by every kind of price, and never twice."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from accounts.models import Account
from budgets.actions.settle import settle
from consumption_cs.lib.tenancy import enter, leave
from tests.factories import (
    NOW,
    make_account,
    make_batch,
    make_meter,
    make_organization,
    make_partition,
    make_price,
    make_workflow,
    staff_of,
    usage_sum,
)
from usage.actions.accept import Sender, accept_events
from usage.actions.directory import forget_directories
from usage.actions.periods import NotClosable, close_period
from usage.actions.rate import touch_days
from usage.actions.roll_up import roll_up
from usage.calc.cloudevents import Window
from usage.calc.parsing import parse_items
from usage.models import (
    AccountDay,
    Adjustment,
    BillingPeriod,
    Meter,
    Price,
    RatedDay,
    Settlement,
    TouchedDay,
    UsageDay,
)
from usage.reports.periods import State, next_to_close, open_period, periods

pytestmark = pytest.mark.django_db
TODAY = NOW.date()
JUNE = date(2026, 6, 1)
GRADUATED: dict[str, Any] = {
    "model": "graduated",
    "params": {"tiers": [{"up_to": "100", "unit": "0.10"}, {"up_to": None, "unit": "0.05"}]},
}
JULY_2 = datetime(2026, 7, 2, 12, tzinfo=timezone.utc)


def use(account: Account, meter: Meter, quantity: str, day: date = TODAY, now: datetime = NOW, **more: Any) -> None:
    """Accept some usage of a local day at noon UTC and settle it."""
    accept(account, meter, quantity, day, **more)
    settle(account.organization_id, now)
    enter(staff_of(account))


def accept(account: Account, meter: Meter, quantity: str, day: date = TODAY, **more: Any) -> None:
    hour = datetime(day.year, day.month, day.day, 11, tzinfo=timezone.utc)
    make_batch(account.organization, usage_sum(account, meter, hour, quantity, **more))
    roll_up(account.organization_id, NOW)


def priced(terms: dict[str, Any], **account: Any) -> tuple[Account, Meter]:
    owner = make_account(make_organization(close_after_days=60), **account)
    meter = make_meter(owner.organization)
    make_price(meter, terms=terms, currency=owner.currency)
    return owner, meter


def amounts() -> list[Decimal | None]:
    return list(RatedDay.objects.order_by("day", "meter", "cell").values_list("amount", flat=True))


def total() -> Decimal:
    return sum((amount or Decimal(0) for amount in amounts()), Decimal(0))


class TestPrices:
    def test_tiers_count_from_the_start_of_the_billing_period(self) -> None:
        account, meter = priced(GRADUATED)
        for day in (10, 11, 12):
            use(account, meter, "60", date(2026, 6, day))
        assert amounts() == [Decimal(6), Decimal(5), Decimal(3)]
        last = RatedDay.objects.get(day=date(2026, 6, 12))
        assert (last.total_quantity, last.total_due, last.total_amount) == (180, 14, 14)

    def test_a_day_that_comes_later_rates_the_days_after_it_again(self) -> None:
        account, meter = priced(GRADUATED)
        for day in (12, 10, 11):
            use(account, meter, "60", date(2026, 6, day))
        assert amounts() == [Decimal(6), Decimal(5), Decimal(3)]
        assert list(UsageDay.objects.order_by("day").values_list("spend", flat=True)) == [6, 5, 3]
        assert list(AccountDay.objects.order_by("day").values_list("spend", flat=True)) == [6, 5, 3]

    def test_a_new_period_begins_at_zero(self) -> None:
        account, meter = priced(GRADUATED, billing_day=12)
        for day in (10, 11, 12):
            use(account, meter, "60", date(2026, 6, day))
        assert amounts() == [6, 5, 6]

    def test_cents_are_rounded_on_the_cumulative_amount(self) -> None:
        account, meter = priced({"model": "unit", "params": {"unit": "0.004"}})
        for day in range(1, 6):
            use(account, meter, "1", date(2026, 6, day))
        assert amounts() == [Decimal(text) for text in ("0", "0.01", "0", "0.01", "0")]
        assert total() == Decimal("0.02")

    @pytest.mark.parametrize(("currency", "expected"), [("JPY", "1"), ("USD", "1.23"), ("KWD", "1.235")])
    def test_amounts_have_the_places_of_their_currency(self, currency: str, expected: str) -> None:
        account, meter = priced({"model": "unit", "params": {"unit": "1.2346"}}, currency=currency)
        use(account, meter, "1")
        assert amounts() == [Decimal(expected)]

    def test_the_rows_of_a_day_add_up_to_the_cent(self) -> None:
        account, meter = priced({"model": "unit", "params": {"unit": "0.01"}})
        workflows = [str(make_workflow(account, name).pk) for name in "abc"]
        for workflow in workflows:
            accept(account, meter, "0.5", w=workflow)
        use(account, meter, "0.5")
        assert amounts() == [Decimal("0.02")]
        spends = UsageDay.objects.order_by("workflow__key").values_list("spend", flat=True)
        assert sorted(spends) == [0, 0, Decimal("0.01"), Decimal("0.01")]

    def test_each_cell_of_a_matrix_counts_its_own_tiers(self) -> None:
        cells = [{"values": ["eu"], "terms": GRADUATED}]
        account, meter = priced({"matrix": {"dimensions": ["region"], "cells": cells, "otherwise": None}})
        for region, quantity in (("eu", "150"), ("us", "7")):
            accept(account, meter, quantity, g=f'{{"model":"large","region":"{region}"}}')
        use(account, meter, "10", g='{"model":"small","region":"eu"}')
        assert list(RatedDay.objects.order_by("cell").values_list("cell", "quantity", "amount")) == [
            ('{"region":"eu"}', 160, 13),
            ('{"region":"us"}', 7, None),
        ]
        assert AccountDay.objects.get().unpriced_events == 1

    def test_a_supplied_amount_is_the_quantity_in_minor_units(self) -> None:
        account, meter = priced({"model": "supplied_amount", "params": {}})
        use(account, meter, "1234")
        use(account, meter, "66")
        assert amounts() == [Decimal("13.00")]

    def test_a_percentage_has_no_fee_for_what_was_not_sold(self) -> None:
        account, meter = priced({"model": "percentage", "params": {"percent": "2.5"}, "max_spend": "6"})
        use(account, meter, "200", date(2026, 6, 1), n=2)
        use(account, meter, "100", date(2026, 6, 2), n=1)
        assert amounts() == [5, 1]

    @pytest.mark.parametrize("terms", [{"model": "nonsense"}, {"model": "unit", "params": {"unit": "x"}}, {}])
    def test_terms_that_cannot_be_read_leave_usage_unpriced(self, terms: dict[str, Any]) -> None:
        account, meter = priced({"model": "unit", "params": {"unit": "1"}})
        Price.objects.update(terms=terms)
        use(account, meter, "5")
        assert amounts() == [None]
        assert AccountDay.objects.get().unpriced_events == 1

    def test_more_corrected_than_used_costs_what_no_use_costs(self) -> None:
        account, meter = priced(GRADUATED)
        use(account, meter, "10", date(2026, 6, 1))
        use(account, meter, "-30", date(2026, 6, 2))
        use(account, meter, "30", date(2026, 6, 3))
        assert amounts() == [1, -1, 1]

    def test_what_has_no_price_counts_in_no_total(self) -> None:
        account, meter = priced(GRADUATED)
        Price.objects.update(effective_on=date(2026, 6, 2))
        use(account, meter, "100", date(2026, 6, 1))
        use(account, meter, "100", date(2026, 6, 2))
        assert amounts() == [None, 10]

    def test_a_matrix_that_replaces_a_price_takes_its_line_away(self) -> None:
        account, meter = priced(GRADUATED)
        use(account, meter, "10", g='{"region":"eu"}')
        cells = [{"values": ["eu"], "terms": {"model": "unit", "params": {"unit": "2"}}}]
        Price.objects.update(terms={"matrix": {"dimensions": ["region"], "cells": cells}})
        touch_days(staff_of(account), meter, None, JUNE)
        settle(account.organization_id, NOW)
        enter(staff_of(account))
        assert list(RatedDay.objects.values_list("cell", "amount")) == [('{"region":"eu"}', 20)]
        assert UsageDay.objects.get().spend == AccountDay.objects.get().spend == 20


class TestClosing:
    def closed(self, terms: dict[str, Any], *quantities: str) -> tuple[Account, Meter, BillingPeriod]:
        """June, with a quantity on each of its first days, closed on 2 July."""
        account, meter = priced(terms)
        for number, quantity in enumerate(quantities):
            use(account, meter, quantity, JUNE + timedelta(days=number))
        period = close_period(staff_of(account), account, JUNE, JULY_2)
        return account, meter, period

    def test_a_closed_period_has_its_amount(self) -> None:
        account, _, period = self.closed(GRADUATED, "60", "60")
        assert (period.starts_on, period.ends_on, period.amount) == (JUNE, date(2026, 7, 1), 11)
        assert Settlement.objects.get().closed_until == date(2026, 7, 1)
        assert open_period(staff_of(account), account, JULY_2).start == date(2026, 7, 1)

    def test_a_minimum_spend_is_made_up_on_the_last_day(self) -> None:
        _, _, period = self.closed(GRADUATED | {"min_spend": "20"}, "60", "60")
        assert period.amount == 20
        assert amounts() == [6, 5, 9]
        last = AccountDay.objects.get(day=date(2026, 6, 30))
        assert (last.spend, last.events, last.adjustment) == (9, 0, 0)

    def test_a_minimum_of_an_accounts_own_price_holds_without_use(self) -> None:
        account, meter = priced(GRADUATED)
        other = make_meter(account.organization, "page")
        make_price(other, account=account, terms=GRADUATED | {"min_spend": "50"})
        use(account, meter, "10", JUNE)
        period = close_period(staff_of(account), account, JUNE, JULY_2)
        assert period.amount == 51

    def test_only_the_oldest_period_that_has_ended_can_be_closed(self) -> None:
        account, meter = priced(GRADUATED)
        viewer = staff_of(account)
        enter(viewer)
        with pytest.raises(NotClosable, match="no usage"):
            close_period(viewer, account, JUNE, JULY_2)
        use(account, meter, "10", date(2026, 5, 3))
        with pytest.raises(NotClosable, match="from 2026-05-01 first"):
            close_period(viewer, account, JUNE, JULY_2)
        accept(account, meter, "10", date(2026, 5, 4))
        enter(viewer)
        with pytest.raises(NotClosable, match="being settled"):
            close_period(viewer, account, date(2026, 5, 1), JULY_2)
        settle(account.organization_id, NOW)
        enter(viewer)
        with pytest.raises(NotClosable, match="until 2026-05-31"):
            close_period(viewer, account, date(2026, 5, 1), datetime(2026, 5, 20, tzinfo=timezone.utc))
        assert not BillingPeriod.objects.exists()
        close_period(viewer, account, date(2026, 5, 1), JULY_2)
        assert next_to_close(viewer, account, JULY_2) == (JUNE, date(2026, 7, 1))

    def test_late_use_becomes_an_adjustment_of_today(self) -> None:
        account, meter, period = self.closed(GRADUATED, "60", "60")
        use(account, meter, "100", JUNE, JULY_2)
        late = Adjustment.objects.get()
        assert (late.day, late.period, late.quantity, late.amount) == (JULY_2.date(), period, 100, 5)
        assert late.reason == "Late use of 1 June 2026"
        assert amounts() == [6, 5]
        booked = AccountDay.objects.get(day=JULY_2.date())
        assert (booked.spend, booked.adjustment, booked.events) == (5, 5, 0)
        assert AccountDay.objects.get(day=JUNE).spend == 6

    def test_the_same_difference_is_never_booked_twice(self) -> None:
        account, meter, _ = self.closed(GRADUATED, "60", "60")
        use(account, meter, "100", JUNE, JULY_2)
        touch_days(staff_of(account), None, None, JUNE)
        settle(account.organization_id, JULY_2 + timedelta(days=1))
        enter(staff_of(account))
        assert Adjustment.objects.count() == 1
        use(account, meter, "20", JUNE, JULY_2 + timedelta(days=1))
        assert list(Adjustment.objects.order_by("day").values_list("amount", flat=True)) == [5, 1]

    def test_a_price_of_the_past_is_adjusted_with_its_reason(self) -> None:
        account, meter, _ = self.closed(GRADUATED, "60", "60")
        Price.objects.update(terms={"model": "unit", "params": {"unit": "0.05"}})
        touch_days(staff_of(account), meter, None, JUNE, "Version 2 of Price list USD was published")
        settle(account.organization_id, JULY_2)
        enter(staff_of(account))
        late = Adjustment.objects.get()
        assert (late.amount, late.reason) == (-5, "Version 2 of Price list USD was published")

    def test_a_minimum_that_comes_late_is_adjusted_though_nothing_was_used_from_its_day_on(self) -> None:
        account, meter, period = self.closed(GRADUATED, "60", "60")
        make_price(meter, effective_on=date(2026, 6, 20), terms=GRADUATED | {"min_spend": "20"})
        touch_days(staff_of(account), meter, None, date(2026, 6, 20), "Version 2 of Price list USD was published")
        settle(account.organization_id, JULY_2)
        enter(staff_of(account))
        late = Adjustment.objects.get()
        assert (late.amount, late.period, late.reason) == (9, period, "Version 2 of Price list USD was published")
        assert not TouchedDay.objects.exists()
        assert not AccountDay.objects.filter(day=date(2026, 6, 30)).exists()

    def test_a_minimum_of_an_own_price_that_comes_late_is_adjusted_without_any_use(self) -> None:
        account, _, period = self.closed(GRADUATED, "60")
        other = make_meter(account.organization, "page")
        make_price(other, account=account, effective_on=date(2026, 6, 20), terms=GRADUATED | {"min_spend": "50"})
        touch_days(staff_of(account), other, account, date(2026, 6, 20), "Version 1")
        settle(account.organization_id, JULY_2)
        enter(staff_of(account))
        late = Adjustment.objects.get()
        assert (late.amount, late.meter, late.period) == (50, other, period)

    def test_a_late_price_marks_no_closed_period_that_it_does_not_touch(self) -> None:
        account, meter, _ = self.closed(GRADUATED, "60")
        viewer, other = staff_of(account), make_meter(account.organization, "page")
        enter(viewer)
        assert touch_days(viewer, other, None, JUNE) == 0  # nobody used it
        assert touch_days(viewer, meter, None, date(2026, 7, 1)) == 0  # after the period
        assert touch_days(viewer, meter, make_account(account.organization, "Other"), JUNE) == 0
        assert touch_days(viewer, meter, None, date(2026, 6, 30)) == 1

    def test_late_use_of_a_workflow_of_its_own_is_not_unpriced(self) -> None:
        account, meter, _ = self.closed(GRADUATED, "60")
        use(account, meter, "10", JUNE, JULY_2, w=str(make_workflow(account).pk))
        assert set(UsageDay.objects.values_list("spend", flat=True)) == {Decimal(6), Decimal(0)}
        assert AccountDay.objects.get(day=JUNE).unpriced_events == 0

    def test_late_use_from_before_the_first_closed_period_is_adjusted_too(self) -> None:
        account, meter, _ = self.closed(GRADUATED, "60")
        use(account, meter, "10", date(2026, 4, 3), JULY_2)
        late = Adjustment.objects.get()
        assert (late.period.starts_on, late.period.amount, late.amount) == (date(2026, 4, 1), 0, 1)

    def test_what_is_adjusted_counts_in_the_period_it_is_booked_in(self) -> None:
        account, meter, _ = self.closed(GRADUATED, "60")
        use(account, meter, "10", JUNE, JULY_2)
        use(account, meter, "10", date(2026, 7, 3), JULY_2)
        august = datetime(2026, 8, 2, tzinfo=timezone.utc)
        assert close_period(staff_of(account), account, date(2026, 7, 1), august).amount == 2

    def test_periods_start_where_the_closed_one_ended_whatever_the_billing_day_is_now(self) -> None:
        account, _, _ = self.closed(GRADUATED, "60")
        account.billing_day = 31
        account.save()
        seen = [(one.starts_on, one.ends_on, one.state) for one in periods(staff_of(account), account, JULY_2)]
        assert seen == [
            (date(2026, 7, 1), date(2026, 7, 31), State.OPEN),
            (date(2026, 6, 1), date(2026, 7, 1), State.CLOSED),
        ]
        later = datetime(2027, 2, 10, tzinfo=timezone.utc)
        assert open_period(staff_of(account), account, later) == (date(2027, 1, 31), date(2027, 2, 28))


def test_recomputing_unchanged_data_touches_no_row() -> None:
    account, meter = priced(GRADUATED)
    for day in (1, 2, 3):
        use(account, meter, "60", date(2026, 6, day))

    def versions() -> list[Any]:
        tables = (RatedDay, UsageDay, AccountDay)
        return [list(t.objects.extra(select={"v": "xmin::text"}).order_by("pk").values_list("v")) for t in tables]

    before = versions()
    touch_days(staff_of(account), None, None, JUNE)
    settle(account.organization_id, NOW + timedelta(minutes=1))
    enter(staff_of(account))
    assert versions() == before


class TestSingleEvents:
    """Prices that need the events themselves: the first ones free, a fee, a least or most for each."""

    PER_EVENT: ClassVar[dict[str, Any]] = {
        "model": "percentage_per_event",
        "params": {"percent": "10", "fixed_per_event": "0.1", "min_per_event": "1", "max_per_event": "5"},
    }
    FREE_EVENTS: ClassVar[dict[str, Any]] = {
        "model": "percentage",
        "params": {"percent": "10", "fixed_per_event": "1", "free_events": "2"},
    }

    def send(self, account: Account, *events: tuple[str, date, str]) -> None:
        """Accept events (id, local day, quantity), and settle them."""
        forget_directories()
        items = [
            {
                "specversion": "1.0",
                "id": name,
                "source": "app",
                "type": "api.call",
                "subject": account.key,
                "time": f"{day.isoformat()}T09:{len(name):02}:00Z",
                "data": {"quantity": quantity},
            }
            for name, day, quantity in events
        ]
        make_partition(datetime(2026, 6, 1, tzinfo=timezone.utc))
        leave()
        accept_events(Sender(account.organization_id), parse_items(items, Window.around(NOW)), NOW)
        roll_up(account.organization_id, NOW)
        settle(account.organization_id, NOW)
        enter(staff_of(account))

    def test_each_event_is_priced_by_itself(self) -> None:
        account, _ = priced(self.PER_EVENT)
        self.send(account, ("a", date(2026, 6, 13), "1"), ("b", date(2026, 6, 13), "20"))
        self.send(account, ("c", date(2026, 6, 14), "1000"))
        assert amounts() == [Decimal("3.1"), 5]

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
    def test_the_first_events_of_the_period_are_free_whenever_they_come(self, order: tuple[int, ...]) -> None:
        account, _ = priced(self.FREE_EVENTS)
        events = [("a", date(2026, 6, 12), "10"), ("bb", date(2026, 6, 13), "20"), ("ccc", date(2026, 6, 14), "30")]
        for number in order:
            self.send(account, events[number])
        assert amounts() == [0, 0, 4]
