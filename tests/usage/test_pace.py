from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage.calc.intervals import wilson
from usage.calc.pace import Month, change, straight_projection, unit_cost
from usage.calc.trend import describe


def test_the_golden_projection_of_ten_days_at_1200() -> None:
    assert straight_projection(Decimal(1200), 10, 30) == 3600


def test_there_is_no_projection_before_a_day_is_over() -> None:
    assert straight_projection(Decimal(40), 0, 30) is None


@pytest.mark.parametrize(
    ("successes", "runs", "low", "high"), [(95, 100, 0.888, 0.978), (30, 30, 0.886, 1.0), (0, 10, 0.0, 0.278)]
)
def test_the_golden_wilson_intervals(successes: int, runs: int, low: float, high: float) -> None:
    assert wilson(successes, runs) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


@given(st.integers(1, 10_000).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))))
def test_the_interval_holds_the_rate(case: tuple[int, int]) -> None:
    low, high = wilson(*case)
    assert 0 <= low <= case[0] / case[1] <= high <= 1


@pytest.mark.parametrize("case", [(1, 0), (2, 1), (-1, 5)])
def test_impossible_counts_are_refused(case: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no rate"):
        wilson(*case)


def test_a_running_month_compares_its_closed_days_with_as_many_of_the_month_before() -> None:
    month = Month.around(date(2026, 11, 22), today=date(2026, 11, 22))
    assert (month.length, month.closed, month.compared) == (30, 21, 21)
    assert month.is_compared(date(2026, 11, 21))
    assert not month.is_compared(date(2026, 11, 22))
    assert month.is_compared_before(date(2026, 10, 21))
    assert not month.is_compared_before(date(2026, 10, 22))


def test_the_end_of_march_is_compared_with_all_of_february() -> None:
    march = Month.around(date(2026, 3, 31), today=date(2026, 3, 31))
    assert (march.closed, march.compared) == (30, 28)


def test_a_past_month_is_closed_and_a_leap_february_has_29_days() -> None:
    assert Month.around(date(2028, 2, 3), today=date(2028, 5, 1)).closed == 29


def test_changes_without_a_base_are_unknown_not_zero() -> None:
    assert change(Decimal(5), Decimal(0)) is None
    assert change(None, Decimal(5)) is None
    assert change(Decimal(6), Decimal(5)) == Decimal("0.2")


def test_no_outcomes_have_no_unit_cost() -> None:
    assert unit_cost(Decimal(5), Decimal(0)) is None
    assert unit_cost(Decimal(5), Decimal(2)) == Decimal("2.5")


def _days(*amounts: int) -> list[tuple[date, Decimal]]:
    monday = date(2026, 6, 1)
    return [(monday + timedelta(days=number), Decimal(amount)) for number, amount in enumerate(amounts)]


WEEK = (100, 100, 100, 100, 100, 40, 40)


def test_the_same_week_again_is_steady() -> None:
    trend = describe(_days(*WEEK, *WEEK))
    assert (trend.shape, trend.weekday, trend.weekend, trend.spike) == ("steady", 100, 40, None)


def test_a_fifth_more_is_rising_and_a_fifth_less_is_falling() -> None:
    more, less = [amount * 12 // 10 for amount in WEEK], [amount * 8 // 10 for amount in WEEK]
    assert describe(_days(*WEEK, *more)).shape == "rising"
    assert describe(_days(*WEEK, *less)).shape == "falling"


def test_one_day_that_stands_out_is_named_with_what_it_cost_more() -> None:
    spike = describe(_days(*WEEK, 100, 100, 300, 100, 100, 40, 40)).spike
    assert spike is not None
    assert (spike.day, spike.impact) == (date(2026, 6, 10), 200)


def test_a_busy_saturday_is_no_spike_when_it_is_worth_little() -> None:
    assert describe(_days(*WEEK, 100, 100, 100, 100, 100, 80, 40)).spike is None


def test_thirteen_days_are_too_early_for_a_trend() -> None:
    assert describe(_days(*WEEK, *WEEK[:-1])).shape == "too early"
