"""Budgets' periods, and which rules hold: pure."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal as D
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.calc.budget_periods import budget_period
from budgets.calc.budget_rules import (
    Fan,
    Figures,
    Verdict,
    chance_over,
    figure_of,
    loudest,
    severity_of,
    verdict,
)

VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
FIGURES = Figures(amount=D(3000), used=D(0), elapsed=D("0.5"), hours=D(720), windows={})


@pytest.mark.parametrize(
    ("kind", "first", "after"),
    [
        ("day", date(2026, 3, 29), date(2026, 3, 30)),
        ("month", date(2026, 3, 1), date(2026, 4, 1)),
        ("quarter", date(2026, 1, 1), date(2026, 4, 1)),
        ("year", date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_a_period_is_of_the_calendar_in_the_accounts_days(kind: str, first: date, after: date) -> None:
    period = budget_period(kind, NOW, VIENNA)
    assert period is not None
    assert (period.first, period.after) == (first, after)


def test_the_day_on_which_clocks_go_forward_has_23_hours() -> None:
    period = budget_period("day", NOW, VIENNA)
    assert period is not None
    assert (period.end - period.start).total_seconds() == 23 * 3600


def test_a_month_begins_at_local_midnight() -> None:
    late = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)  # April 1st, 00:30 in Vienna
    period = budget_period("month", late, VIENNA)
    assert period is not None
    assert period.first == date(2026, 4, 1)
    assert period.start == datetime(2026, 3, 31, 22, tzinfo=UTC)


def test_a_custom_period_holds_within_its_days_only() -> None:
    custom = (date(2026, 3, 1), date(2026, 3, 29))
    assert budget_period("custom", NOW, VIENNA, custom=custom) is None
    assert budget_period("custom", datetime(2026, 3, 28, 12, tzinfo=UTC), VIENNA, custom=custom) is not None


def test_a_term_is_the_contracts_and_goes_by_years_when_it_has_no_end() -> None:
    term = budget_period("term", NOW, VIENNA, term=(date(2025, 6, 15), date(2027, 6, 15)))
    assert term is not None
    assert (term.first, term.after) == (date(2025, 6, 15), date(2027, 6, 15))
    endless = budget_period("term", NOW, VIENNA, term=(date(2024, 2, 29), None))
    assert endless is not None
    assert (endless.first, endless.after) == (date(2026, 2, 28), date(2027, 2, 28))
    assert budget_period("term", NOW, VIENNA) is None


def test_60_dollars_in_an_hour_of_a_budget_of_3000_in_720_hours_is_a_pace_of_14_4() -> None:
    figures = replace(FIGURES, windows={1: D(60), 6: D(60), 72: D(60)})
    assert figures.pace(1) == D("14.4")


def test_a_pace_holds_only_when_both_windows_exceed() -> None:
    hour = replace(FIGURES, windows={1: D(60), 6: D(60), 72: D(60)})
    assert hour.pace(6) == D("2.4")
    assert verdict("velocity_fast", D(6), hour) is Verdict.OPEN
    both = replace(FIGURES, windows={1: D(60), 6: D(150), 72: D(150)})
    assert verdict("velocity_fast", D(6), both) is Verdict.HOLDS
    assert verdict("velocity_slow", D(1), both) is Verdict.OPEN  # 3 days are at 0.5
    slow = replace(FIGURES, windows={1: D(0), 6: D(50), 72: D(600)})
    assert verdict("velocity_slow", D("1.5"), slow) is Verdict.HOLDS
    assert verdict("velocity_fast", D("1.5"), slow) is Verdict.CLEAR


def test_a_threshold_is_reached_when_it_is_met_exactly() -> None:
    assert verdict("actual_percent", D(80), replace(FIGURES, used=D(2400))) is Verdict.HOLDS
    assert verdict("actual_percent", D(80), replace(FIGURES, used=D("2399.999999"))) is Verdict.CLEAR
    assert verdict("actual_amount", D(2400), replace(FIGURES, used=D(2400))) is Verdict.HOLDS


def test_forecasts_clear_only_when_they_have_come_back_by_a_margin() -> None:
    def chance(percent: str) -> Verdict:
        fan = Fan(D(1000), D(3000), D(9000))
        amount = next(D(a) for a in range(1, 40000, 5) if chance_over(D(a), fan) * 100 <= float(percent))
        return verdict("forecast_over", D(60), replace(FIGURES, amount=amount, fan=fan))

    assert chance("61") is Verdict.HOLDS
    assert chance("55") is Verdict.OPEN
    assert chance("45") is Verdict.CLEAR


def test_what_is_spent_already_is_not_forecast() -> None:
    fan = Fan(D(3100), D(3200), D(3300))
    assert verdict("forecast_over", D(90), replace(FIGURES, fan=fan, used=D(2900))) is Verdict.HOLDS
    assert verdict("forecast_over", D(90), replace(FIGURES, fan=fan, used=D(3000))) is Verdict.OPEN


def test_the_chance_of_going_over_goes_through_the_quantiles() -> None:
    fan = Fan(D(80), D(100), D(150))
    assert chance_over(D(150), fan) == pytest.approx(0.1, abs=1e-6)
    assert chance_over(D(100), fan) == pytest.approx(0.5, abs=1e-6)
    assert chance_over(D(80), fan) == pytest.approx(0.9, abs=1e-6)


@given(st.lists(st.floats(0, 1e9), min_size=3, max_size=3), st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_chance_is_a_probability_and_falls_with_the_budget(
    quantiles: list[float], one: float, other: float
) -> None:
    fan = Fan(*(D(value) for value in sorted(quantiles)))
    low, high = sorted((one, other))
    assert 0 <= chance_over(D(high), fan) <= chance_over(D(low), fan) + 1e-12 <= 1 + 1e-9


def test_under_use_waits_for_a_quarter_of_the_period() -> None:
    assert verdict("under_use", D(50), replace(FIGURES, elapsed=D("0.2"))) is Verdict.OPEN
    assert verdict("under_use", D(50), replace(FIGURES, used=D(700))) is Verdict.HOLDS
    assert verdict("under_use", D(50), replace(FIGURES, used=D(760))) is Verdict.OPEN
    assert verdict("under_use", D(50), replace(FIGURES, used=D(800))) is Verdict.CLEAR


def test_costs_and_rates_need_30_of_what_they_are_about() -> None:
    few = replace(FIGURES, used=D(290), outcomes=D(29), finished=29, successes=1)
    assert verdict("unit_cost", D(5), few) is Verdict.OPEN
    assert verdict("success_below", D(80), few) is Verdict.OPEN
    enough = replace(FIGURES, used=D(300), outcomes=D(30), finished=30, successes=20)
    assert verdict("unit_cost", D(5), enough) is Verdict.HOLDS
    assert verdict("success_below", D(80), enough) is Verdict.HOLDS
    assert figure_of("unit_cost", enough) == D(10)


def test_balances_hold_below_and_at_zero() -> None:
    assert verdict("balance_below", D(100), replace(FIGURES, remaining=D(100))) is Verdict.OPEN
    assert verdict("balance_below", D(100), replace(FIGURES, remaining=D("99.99"))) is Verdict.HOLDS
    assert verdict("balance_below", D(0), replace(FIGURES, remaining=D(0))) is Verdict.HOLDS
    assert verdict("balance_below", D(0), FIGURES) is Verdict.OPEN
    assert verdict("days_below", D(30), replace(FIGURES, days_left=29)) is Verdict.HOLDS
    assert verdict("days_below", D(30), replace(FIGURES, days_left=40)) is Verdict.CLEAR


def test_of_several_at_once_the_farthest_of_each_family_is_told() -> None:
    crossed = [("actual_percent", D(80)), ("actual_amount", D(2900)), ("actual_percent", D(90))]
    assert loudest(crossed, D(3000)) == {("actual_amount", D(2900))}
    below = [("balance_below", D(500)), ("balance_below", D(100)), ("forecast_over", D(90)), ("forecast_over", D(50))]
    assert loudest(below, D(3000)) == {("balance_below", D(100)), ("forecast_over", D(90))}


def test_the_whole_budget_is_critical_and_half_of_it_for_information() -> None:
    assert [severity_of("actual_percent", D(value), D(10)) for value in (50, 80, 100)] == [
        "info",
        "warning",
        "critical",
    ]
    assert severity_of("actual_amount", D(10), D(10)) == "critical"
