"""Numbers and moments in the words and signs that people read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from consumption_cs.lib import display

NOW = datetime(2026, 11, 22, 14, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1234.5", "USD", "$1,234.50"),
        ("-1234.505", "USD", "−$1,234.51"),
        ("1234567", "JPY", "¥1,234,567"),
        ("12", "KWD", "KWD\u00a012.000"),
        ("90", "CHF", "CHF\u00a090.00"),
        ("0", "EUR", "€0.00"),
        ("-0.001", "EUR", "€0.00"),
    ],
)
def test_money_is_written_with_the_sign_and_the_decimals_of_its_currency(
    amount: str, currency: str, expected: str
) -> None:
    assert display.money_text(Decimal(amount), currency) == expected


def test_a_difference_of_money_carries_its_sign_and_nothing_does_not() -> None:
    signed = [display.money_text(Decimal(n), "USD", places=0, signed=True) for n in (190, -84, 0)]
    assert signed == ["+$190", "−$84", "$0"]


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("640.4", "$640"),
        ("411999", "$412k"),
        ("4860000", "$4.86M"),
        ("999960", "$1M"),
        ("-1500", "−$1.5k"),
        ("2e12", "$2T"),
    ],
)
def test_short_money_has_three_digits(amount: str, expected: str) -> None:
    assert display.money_short(Decimal(amount), "USD") == expected


@pytest.mark.parametrize(
    ("price", "expected"),
    [("0.071", "$0.071"), ("0.000125", "$0.000125"), ("0.5", "$0.50"), ("12.3456", "$12.35"), ("0", "$0.00")],
)
def test_a_price_of_one_unit_keeps_the_digits_that_matter(price: str, expected: str) -> None:
    assert display.unit_price_text(Decimal(price), "USD") == expected


def test_quantities_have_separators_and_no_idle_zeros() -> None:
    assert display.quantity_text(Decimal("48160.000000")) == "48,160"
    assert display.quantity_text(1204.5) == "1,204.5"
    assert display.quantity_text(Decimal("1204.5"), places=2) == "1,204.50"


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [("0.981", "98.1%"), ("0.99999", "99.9%"), ("0.00001", "<0.1%"), ("1", "100%"), ("0", "0%")],
)
def test_a_part_is_never_shown_as_nothing_or_as_all(ratio: str, expected: str) -> None:
    assert display.percent_text(Decimal(ratio)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (20, "just now"),
        (240, "4 minutes ago"),
        (3600, "1 hour ago"),
        (200_000, "2 days ago"),
        (-7200, "in 2 hours"),
        (-5, "in a moment"),
    ],
)
def test_time_passed_is_said_in_the_largest_whole_unit(seconds: int, expected: str) -> None:
    assert display.ago_text(NOW - timedelta(seconds=seconds), NOW) == expected


def test_a_moment_is_written_in_the_readers_zone_and_names_it() -> None:
    assert display.moment_text(NOW, ZoneInfo("America/New_York"), now=NOW) == "Nov 22, 09:10 EST"
    assert display.moment_text(NOW, ZoneInfo("Asia/Kathmandu"), now=NOW) == "Nov 22, 19:55 UTC+5:45"
    assert display.moment_text(NOW.replace(year=2025), now=NOW) == "Nov 22, 2025, 14:10 UTC"


def test_words_are_listed_with_an_and_at_the_end() -> None:
    assert [display.listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
