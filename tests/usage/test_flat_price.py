"""A flat price in force on a day: whose, since when, and rounding that loses nothing."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumption_cs.lib.money import round_to
from usage.calc.flat_price import PriceList, UnitPrice, rate

JAN, FEB = date(2026, 1, 1), date(2026, 2, 1)


def price_list() -> PriceList:
    return PriceList(
        [
            UnitPrice("m", None, "USD", FEB, Decimal(2)),
            UnitPrice("m", None, "USD", JAN, Decimal(1)),
            UnitPrice("m", "a", "USD", date(2026, 1, 15), Decimal(9)),
        ]
    )


@pytest.mark.parametrize(
    ("day", "account", "expected"),
    [
        (date(2025, 12, 31), "b", None),
        (date(2026, 1, 1), "b", 1),
        (date(2026, 1, 31), "b", 1),
        (date(2026, 2, 1), "b", 2),
        (date(2026, 1, 14), "a", 1),
        (date(2026, 1, 15), "a", 9),
        (date(2026, 6, 1), "a", 9),
    ],
)
def test_the_latest_price_counts_and_ones_own_before_all_others(day: date, account: str, expected: int | None) -> None:
    assert price_list().price_on(day, "m", account, "USD") == expected


def test_another_currency_or_meter_has_no_price() -> None:
    assert price_list().price_on(FEB, "m", "a", "EUR") is None
    assert price_list().price_on(FEB, "n", "a", "USD") is None


@given(
    st.lists(st.decimals(0, 10**6, allow_nan=False, places=12), min_size=1, max_size=9),
    st.decimals(0, 1000, allow_nan=False, places=12),
)
def test_how_a_days_usage_is_split_does_not_change_what_it_costs(quantities: list[Decimal], price: Decimal) -> None:
    parts = [part for part in rate(quantities, price) if part is not None]
    (whole,) = rate([sum(quantities, Decimal(0))], price)
    assert sum(parts) == whole
    exact = [quantity * price for quantity in quantities]
    for part, amount in zip(parts, exact, strict=True):
        assert abs(part - amount) < Decimal("0.000001")
        assert part == round_to(part, 6)


def test_half_of_the_last_place_is_rounded_up() -> None:
    assert rate([Decimal("0.5")], Decimal("0.000001")) == [Decimal("0.000001")]
