"""A rate card says which price is in force at every moment, and never prices by accident."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from consumption_cs.lib.money import Money
from consumption_cs.lib.periods import Period
from usage.calc.margin import CostLine, margin
from usage.calc.prices import Price, PriceError, Unit
from usage.calc.rate_card import Matrix, Version, check_versions, credits_worth, price_at, price_changes

D = Decimal


def on(day: int) -> datetime:
    return datetime(2026, 1, day, tzinfo=UTC)


def cents(amount: str) -> Price:
    return Price(Unit(D(amount)))


def version(amount: str, day: int, **more: Any) -> Version:
    return Version("tokens", cents(amount), on(day), **more)


CARD = [version("1", 1), version("2", 10), version("9", 5, ends_at=on(12), account="acme")]


@pytest.mark.parametrize(
    ("day", "account", "unit"),
    [(1, None, "1"), (9, None, "1"), (10, None, "2"), (4, "acme", "1"), (5, "acme", "9"), (12, "acme", "2")],
)
def test_the_accounts_own_price_comes_first_while_it_lasts(day: int, account: str | None, unit: str) -> None:
    assert price_at(CARD, "tokens", on(day), account) == cents(unit)


def test_usage_without_a_price_is_an_error_not_free() -> None:
    with pytest.raises(PriceError, match="add one to the rate card"):
        price_at([version("1", 5)], "tokens", on(4))


def test_a_period_is_cut_where_the_price_changes() -> None:
    found = price_changes(CARD, "tokens", Period(on(2), on(15)), "acme")
    assert found == [
        (Period(on(2), on(5)), cents("1")),
        (Period(on(5), on(12)), cents("9")),
        (Period(on(12), on(15)), cents("2")),
    ]


def test_versions_that_follow_each_other_are_fine() -> None:
    check_versions([*CARD, version("3", 12, account="acme"), Version("seats", cents("1"), on(1))])


@pytest.mark.parametrize(
    ("second", "says"),
    [(version("2", 1), "overlap"), (version("2", 3), "overlap"), (version("2", 20, ends_at=on(20)), "ends before")],
)
def test_versions_in_force_together_are_refused(second: Version, says: str) -> None:
    with pytest.raises(PriceError, match=says):
        check_versions([version("1", 1, ends_at=on(5)), second])


def test_a_matrix_prices_each_cell_and_the_rest() -> None:
    matrix = Matrix(("region", "model"), {("eu", "big"): cents("5")}, otherwise=cents("1"))
    assert matrix.price_for({"model": "big", "region": "eu"}) == cents("5")
    assert matrix.price_for({"region": "us"}) == cents("1")
    with pytest.raises(PriceError, match="us / big has no price"):
        Matrix(("region", "model"), {}).price_for({"region": "us", "model": "big"})
    with pytest.raises(PriceError, match="region, model"):
        Matrix(("region", "model"), {("eu",): cents("1")})


def test_credits_become_money_at_their_rate() -> None:
    assert credits_worth(D("12.5"), D("0.08"), "EUR") == Money(D("1"), "EUR")
    with pytest.raises(PriceError, match="above zero"):
        credits_worth(D(1), D(0), "EUR")


def test_a_missing_cost_lowers_the_coverage_not_the_margin() -> None:
    lines = [CostLine(D(80), D(10), D(2)), CostLine(D(20), D(5), None)]
    found = margin(lines)
    assert (found.revenue, found.cost, found.percent, found.coverage_percent) == (100, 20, 75, 80)


def test_no_revenue_has_no_margin() -> None:
    found = margin([CostLine(D(0), D(5), D(1))], allocated=D(3))
    assert (found.cost, found.percent, found.coverage_percent) == (8, None, None)
