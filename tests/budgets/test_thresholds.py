"""Thresholds fire once for each crossing, and invoices are paid from wallets without losing a cent."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.calc.thresholds import (
    MAX_STEPS,
    Threshold,
    ThresholdError,
    active_thresholds,
    crossed,
    days_to_exhaustion,
    passed_spend,
    percent_thresholds,
    progress,
)
from budgets.calc.wallets import Fee, Wallet, allocate_invoice

D = Decimal
moderate = settings(max_examples=100, deadline=None)
values = st.decimals(min_value=D(-500), max_value=D(500), places=2, allow_nan=False)
steps = st.none() | st.decimals(min_value=D(10), max_value=D(100), places=1)
fixed_lists = st.lists(values, max_size=5)


@moderate
@given(fixed=fixed_lists, step=steps, a=values, b=values, c=values, direction=st.sampled_from(["up", "down"]))
def test_going_in_two_steps_crosses_what_one_step_crosses_and_nothing_twice(
    fixed: list[Decimal], step: Decimal | None, a: Decimal, b: Decimal, c: Decimal, direction: Any
) -> None:
    low, middle, high = sorted([a, b, c])
    start, end = (low, high) if direction == "up" else (high, low)
    whole = crossed(fixed, step, previous=start, current=end, direction=direction)
    first = crossed(fixed, step, previous=start, current=middle, direction=direction)
    second = crossed(fixed, step, previous=middle, current=end, direction=direction)
    assert sorted(first + second) == whole
    assert not set(first) & set(second)


@moderate
@given(fixed=fixed_lists, step=steps, a=values, b=values)
def test_going_back_crosses_nothing(fixed: list[Decimal], step: Decimal | None, a: Decimal, b: Decimal) -> None:
    assert crossed(fixed, step, previous=max(a, b), current=min(a, b)) == []
    assert crossed(fixed, step, previous=min(a, b), current=max(a, b), direction="down") == []


def test_a_jump_over_very_many_steps_keeps_the_latest() -> None:
    found = crossed([], D("0.01"), previous=D(0), current=D(1_000_000))
    assert len(found) == MAX_STEPS
    assert found[-1] == 1_000_000


@pytest.mark.parametrize("step", [D(0), D(-1), D("NaN")])
def test_a_step_that_never_ends_is_refused(step: Decimal | None) -> None:
    with pytest.raises(ThresholdError, match="above zero"):
        crossed([], step, previous=D(0), current=D(1))
    with pytest.raises(ThresholdError):
        progress([], step, D(1))


def test_a_limit_created_in_the_middle_of_a_period_counts_what_was_used() -> None:
    assert crossed(percent_thresholds([D(50), D(90)], D(200)), None, previous=D(0), current=D(150)) == [100]
    assert percent_thresholds([D(50)], D(0)) == []


def test_a_recurring_step_is_billed_once_however_many_multiples_were_passed() -> None:
    dealt = {"historical": D(0), "already_invoiced": D(0), "already_billed": D(0)}
    assert passed_spend([D(10)], D(5), current=D(100), **dealt) == [10, 5]


def test_progress_goes_on_through_recurring_steps() -> None:
    assert progress([D(100)], D(200), D(543)) == [(100, 1), (300, 1), (500, 1), (700, D("0.215"))]
    assert progress([], D(100), D(0)) == [(100, 0)]
    assert progress([D(50), D(50), D(0)], None, D(20)) == [(0, 1), (50, D("0.4"))]


def test_usage_beyond_everything_available_reports_the_highest_percentage() -> None:
    rules = [Threshold("usage_percent", D(100)), Threshold("usage_percent", D(150)), Threshold("usage_value", D(30))]
    active = active_thresholds(rules, usage=D(151), balance=D(0), total_available=D(100))
    assert active.usage == Threshold("usage_percent", D(150))


def test_a_balance_of_zero_reaches_a_threshold_of_zero() -> None:
    rules = [Threshold("balance_value", D(0)), Threshold("balance_value", D(10))]
    assert active_thresholds(rules, usage=D(5), balance=D(0), total_available=D(5)).balance == rules[0]
    assert active_thresholds(rules, usage=D(0), balance=D(0), total_available=None).balance is None


def test_days_to_exhaustion_count_the_last_day_and_know_never() -> None:
    assert days_to_exhaustion(D(100), D(30)) == 4
    assert days_to_exhaustion(D(90), D(30)) == 3
    assert days_to_exhaustion(D(100), D(0)) is None
    assert days_to_exhaustion(D(0), D(30)) == days_to_exhaustion(D(-5), D(0)) == 0


wallets = st.lists(
    st.builds(
        Wallet,
        st.uuids().map(str),
        st.integers(0, 1000).map(Decimal),
        st.sampled_from(["EUR", "EUR", "USD"]),
        st.integers(1, 3),
        st.sampled_from([frozenset(), frozenset({"charge"})]),
        st.sampled_from([frozenset(), frozenset({"m1"})]),
    ),
    max_size=5,
)
fees = st.lists(
    st.builds(
        Fee,
        st.sampled_from(["charge", "subscription"]),
        st.decimals(min_value=0, max_value=D(500), places=3),
        st.sampled_from([None, "m1", "m2"]),
    ),
    max_size=6,
)


@moderate
@given(wallets=wallets, fees=fees, total=st.integers(0, 3000).map(Decimal))
def test_wallets_pay_no_more_than_they_hold_nor_than_is_asked(
    wallets: list[Wallet], fees: list[Fee], total: Decimal
) -> None:
    paid = allocate_invoice(wallets, fees, currency="EUR", total=total)
    by_id = {wallet.id: wallet for wallet in wallets}
    assert sum(paid.values()) <= total
    for name, amount in paid.items():
        payable = sum((fee.amount for fee in fees if by_id[name].pays_for(fee)), D(0))
        assert 0 < amount <= min(by_id[name].balance, payable + 1)
        assert by_id[name].currency == "EUR"
        assert amount == int(amount)


def test_equal_wallets_pay_in_the_order_of_their_creation() -> None:
    two = [Wallet("new", D(50), "EUR", 2), Wallet("old", D(50), "EUR", 1), Wallet("newest", D(50), "EUR", 2)]
    assert allocate_invoice(two, [Fee("charge", D(120))], currency="EUR", total=D(120)) == {
        "old": 50, "new": 50, "newest": 20,
    }  # fmt: skip
