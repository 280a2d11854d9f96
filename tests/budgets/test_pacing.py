"""Pacing agrees with the worked examples, and says "too early" or nothing rather than a wrong number."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from budgets.calc.pacing import pace
from consumption_cs.lib.money import round_to
from consumption_cs.lib.periods import Period

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
TERM = Period(START, START + timedelta(days=365))


def day(count: float) -> datetime:
    return START + timedelta(days=count)


def test_an_overburner_runs_out_early() -> None:
    found = pace(D(120_000), D(60_000), TERM, day(146))
    assert (found.utilisation_percent, found.pacing) == (50, D("1.25"))
    assert found.per_day is not None
    assert round_to(found.per_day, 2) == D("410.96")
    assert (found.term_total, found.overage, found.unused) == (150_000, 30_000, 0)
    assert found.exhausted_at == day(292)


def test_an_underburner_leaves_a_part_unused_and_never_runs_out() -> None:
    found = pace(D(120_000), D(18_000), TERM, day(146))
    assert (found.utilisation_percent, found.pacing) == (15, D("0.375"))
    assert (found.term_total, found.overage, found.unused) == (45_000, 0, 75_000)
    assert found.exhausted_at is None


@pytest.mark.parametrize(("count", "early"), [(20, True), (36, True), (36.5, False), (100, False)])
def test_the_first_weeks_are_too_early_to_judge(count: float, early: bool) -> None:
    found = pace(D(100), D(10), TERM, day(count))
    assert found.is_too_early is early
    assert (found.pacing is None) is early


def test_before_the_term_nothing_but_the_utilisation_is_known() -> None:
    found = pace(D(100), D(0), TERM, day(-1))
    assert found.utilisation_percent == 0
    assert (found.per_day, found.term_total, found.exhausted_at) == (None, None, None)


def test_a_commit_of_zero_is_used_up_and_has_no_percentage() -> None:
    found = pace(D(0), D(0), TERM, day(100))
    assert found.utilisation_percent is None
    assert found.pacing is None
    assert found.exhausted_at == day(100)


def test_no_usage_never_runs_out() -> None:
    found = pace(D(100), D(0), TERM, day(100))
    assert (found.per_day, found.exhausted_at, found.unused) == (0, None, 100)


def test_a_ramp_is_held_against_its_plan() -> None:
    assert pace(D(100), D(10), TERM, day(100), planned_share=D("0.1")).pacing == 1
