"""Money keeps every digit until it is rounded once, and loses no cent when it is divided."""

from decimal import Decimal, localcontext
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumption_cs.lib.money import (
    CurrencyMismatch,
    Money,
    MoneyError,
    allocate,
    exponent,
    round_lines,
    round_to,
    total_of,
)

D = Decimal
amounts = st.decimals(min_value=D("-1e12"), max_value=D("1e12"), places=9, allow_nan=False)
weights = st.decimals(min_value=0, max_value=D("1e9"), places=6, allow_nan=False)
places = st.sampled_from([0, 2, 3])
moderate = settings(max_examples=100, deadline=None)


def test_adding_two_currencies_is_refused() -> None:
    with pytest.raises(CurrencyMismatch, match="convert one of them"):
        Money(D(1), "EUR") + Money(D(1), "USD")


def test_comparing_two_currencies_is_refused() -> None:
    with pytest.raises(CurrencyMismatch):
        assert Money(D(1), "EUR") < Money(D(2), "USD")


@pytest.mark.parametrize("amount", [1.5, 1, "1", D("NaN"), D("Infinity")])
def test_only_a_finite_decimal_is_an_amount(amount: Any) -> None:
    with pytest.raises(MoneyError):
        Money(amount, "EUR")


@pytest.mark.parametrize("code", ["", "eur", "EU", "EURO", "E1R", "ÄÖÜ"])
def test_a_malformed_currency_is_refused(code: str) -> None:
    with pytest.raises(MoneyError, match="ISO 4217"):
        Money(D(1), code)


@pytest.mark.parametrize(("code", "decimals"), [("JPY", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("CLF", 4)])
def test_a_currency_knows_its_decimals(code: str, decimals: int) -> None:
    assert exponent(code) == decimals


@pytest.mark.parametrize(("code", "text"), [("JPY", "1235"), ("EUR", "1234.57"), ("KWD", "1234.568")])
def test_money_is_rounded_to_its_currency(code: str, text: str) -> None:
    assert str(Money(D("1234.5675"), code).rounded()) == f"{text} {code}"


def test_half_a_cent_goes_away_from_zero() -> None:
    assert round_to(D("0.125"), 2) == D("0.13")
    assert round_to(D("-0.125"), 2) == D("-0.13")


def test_negative_places_round_to_hundreds_and_print_as_digits() -> None:
    assert str(round_to(D("123.456"), -2)) == "100"
    assert str(round_to(D("123.456"), -2, "ceil")) == "200"


def test_rounding_never_gives_a_negative_zero() -> None:
    assert str(round_to(D("-0.001"), 2)) == "0.00"


def test_an_unknown_way_to_round_is_refused() -> None:
    with pytest.raises(MoneyError, match="half_up"):
        round_to(D(1), 2, "sideways")  # type: ignore[arg-type]


def test_digits_beyond_the_default_context_are_kept() -> None:
    big = Money(D("12345678901234567890.123456"), "USD")
    with localcontext() as context:
        context.prec = 6
        product = big * D("0.000000123457")
        difference = (big + Money(D("0.000001"), "USD")) - big
    assert product.amount == D("1524160480109.716048010971507392")
    assert difference.amount == D("0.000001")


def test_converting_needs_a_rate_above_zero() -> None:
    assert Money(D(100), "USD").converted(D("0.92"), "EUR") == Money(D(92), "EUR")
    with pytest.raises(MoneyError):
        Money(D(100), "USD").converted(D(0), "EUR")


def test_the_total_of_nothing_is_zero_of_its_currency() -> None:
    assert total_of([], "EUR") == Money(D(0), "EUR")
    assert not total_of([], "EUR")


def test_a_hundred_in_three_equal_parts_gives_the_first_the_odd_cent() -> None:
    assert allocate(D(100), [D(1)] * 3) == [D("33.34"), D("33.33"), D("33.33")]


def test_the_largest_remainder_gets_the_cent_not_the_first_line() -> None:
    assert round_lines([D("0.334"), D("0.336"), D("0.330")]) == [D("0.33"), D("0.34"), D("0.33")]


def test_an_amount_with_no_weight_anywhere_cannot_be_divided() -> None:
    assert allocate(D(0), [D(0), D(0)]) == [D(0), D(0)]
    with pytest.raises(MoneyError, match="all weights are zero"):
        allocate(D(1), [D(0)])
    with pytest.raises(MoneyError, match="negative"):
        allocate(D(1), [D(2), D(-1)])


@moderate
@given(lines=st.lists(amounts, max_size=20), decimals=places)
def test_rounded_lines_add_up_to_the_rounded_total(lines: list[Decimal], decimals: int) -> None:
    rounded = round_lines(lines, decimals)
    assert sum(rounded, D(0)) == round_to(sum(lines, D(0)), decimals)
    unit = D(1).scaleb(-decimals)
    assert all(abs(line - exact) <= unit for line, exact in zip(rounded, lines, strict=True))


@moderate
@given(total=amounts, shares=st.lists(weights, min_size=1, max_size=20), decimals=places)
def test_parts_add_up_to_the_rounded_amount(total: Decimal, shares: list[Decimal], decimals: int) -> None:
    if not any(shares):
        return
    parts = allocate(total, shares, decimals)
    assert sum(parts, D(0)) == round_to(total, decimals)
    assert all(part == 0 for part, share in zip(parts, shares, strict=True) if share == 0)


@moderate
@given(total=amounts, shares=st.lists(weights, min_size=2, max_size=8, unique=True), seed=st.randoms())
def test_dividing_does_not_depend_on_the_order_unless_remainders_tie(
    total: Decimal, shares: list[Decimal], seed: Random
) -> None:
    mixed = list(shares)
    seed.shuffle(mixed)
    first, second = allocate(total, shares), allocate(total, mixed)
    unit = D("0.01")
    for share, part in zip(shares, first, strict=True):
        assert abs(part - second[mixed.index(share)]) <= unit


@moderate
@given(value=amounts, decimals=st.integers(-4, 6))
def test_floor_and_ceil_enclose_the_value_and_half_up_is_the_nearest(value: Decimal, decimals: int) -> None:
    low, high = round_to(value, decimals, "floor"), round_to(value, decimals, "ceil")
    assert low <= value <= high
    assert high - low in (0, D(1).scaleb(-decimals))
    assert abs(round_to(value, decimals) - value) <= D("0.5").scaleb(-decimals)
