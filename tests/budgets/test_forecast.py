"""The forecast keeps its contract on any history: what callers rely on, not how good it is on some series."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from budgets.calc.forecast import forecast_cumulative
from budgets.calc.usage_windows import COLUMNS, Floats

HORIZON = 120


def weekly(days: int, *, level: float = 100.0, seed: int = 1) -> Floats:
    """Usage per day with quiet weekends and some noise, [days]."""
    noise = np.random.default_rng(seed).gamma(25, 1 / 25, days)
    profile = np.array([1.2, 1.2, 1.1, 1.1, 1.0, 0.3, 0.2])
    return level * profile[np.arange(days) % 7] * noise


def side_by_side(*series: Floats, columns: int = 500) -> Floats:
    """Histories of different ages, right-aligned."""
    out = np.full((len(series), columns), np.nan)
    for row, values in enumerate(series):
        if len(values):
            out[row, -len(values) :] = values[-columns:]
    return out


def mixed() -> Floats:
    """Accounts of every age and habit that has its own path through the code."""
    gap, step, idle = weekly(400, seed=2), weekly(400, seed=3), weekly(300, seed=4)
    gap[200:260], step[380:], idle[100:] = 0.0, step[380:] * 6, 0.0
    ages = [weekly(days, seed=days) for days in (1, 2, 6, 7, 13, 14, 27, 28, 59, 60, 61, 90, 120, 366, 391, 392, 500)]
    return side_by_side(*ages, gap, step, idle, np.zeros(400), np.full(400, 5.0), np.zeros(0))


def test_quantiles_are_finite_and_never_fall() -> None:
    found = forecast_cumulative(mixed(), HORIZON)
    assert found.shape == (3, len(mixed()), HORIZON)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (np.diff(found, axis=2) >= 0).all()
    assert (np.diff(found, axis=0) >= 0).all()


@given(
    arrays(np.float64, st.integers(1, 130), elements=st.one_of(st.just(0.0), st.floats(0, 1e12))), st.integers(1, 40)
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_days_are_the_answer_is_finite_and_in_order(days: Floats, horizon: int) -> None:
    found = forecast_cumulative(days[None], horizon)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (np.diff(found, axis=2) >= 0).all()
    assert (np.diff(found, axis=0) >= 0).all()


def test_one_account_alone_gets_what_it_gets_in_a_batch_in_any_order() -> None:
    history = mixed()
    together = forecast_cumulative(history, HORIZON)
    alone = np.concatenate([forecast_cumulative(history[i : i + 1], HORIZON) for i in range(len(history))], axis=1)
    np.testing.assert_allclose(alone, together, rtol=1e-6)
    order = np.random.default_rng(5).permutation(len(history))
    np.testing.assert_allclose(forecast_cumulative(history[order], HORIZON), together[:, order], rtol=1e-6)


def test_many_accounts_are_done_in_blocks_without_a_seam() -> None:
    history = np.tile(mixed(), (60, 1))
    found = forecast_cumulative(history, 30)
    np.testing.assert_allclose(found, np.tile(forecast_cumulative(mixed(), 30), (1, 60, 1)), rtol=1e-6)


def test_empty_columns_on_the_left_change_nothing() -> None:
    history = mixed()
    wider = np.concatenate([np.full((len(history), 300), np.nan), history], axis=1)
    np.testing.assert_allclose(forecast_cumulative(wider, 60), forecast_cumulative(history, 60), rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e9])
def test_the_unit_of_the_usage_does_not_matter(factor: float) -> None:
    history = mixed()
    scaled = forecast_cumulative(history * factor, HORIZON)
    np.testing.assert_allclose(scaled, forecast_cumulative(history, HORIZON) * factor, rtol=1e-6)


@pytest.mark.parametrize("horizon", [1, 7, 30])
def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(horizon: int) -> None:
    longer = forecast_cumulative(mixed(), 200)
    np.testing.assert_allclose(forecast_cumulative(mixed(), horizon), longer[:, :, :horizon], rtol=1e-9)


def test_an_account_that_never_used_anything_gets_zeros() -> None:
    for history in (np.zeros((2, 400)), np.zeros((1, 30)), np.full((1, 90), np.nan), np.zeros((1, 0))):
        assert forecast_cumulative(history, HORIZON).max() == 0


def test_no_accounts_give_an_empty_answer() -> None:
    assert forecast_cumulative(np.zeros((0, 400)), 30).shape == (3, 0, 30)


@pytest.mark.parametrize("known", [14, 60, 61, 366, 400])
def test_constant_usage_goes_on(known: int) -> None:
    p10, p50, p90 = forecast_cumulative(np.full((1, known), 8.0), 30)[:, 0, -1]
    assert p50 == pytest.approx(240, rel=0.02)
    assert p10 <= 240 <= p90


def test_use_on_a_single_day_long_ago_is_an_answer_close_to_nothing() -> None:
    once = np.zeros((1, 400))
    once[0, 0] = 1000.0
    found = forecast_cumulative(once, HORIZON)
    assert np.isfinite(found).all()
    assert found[1, 0, -1] < 100


def test_one_day_of_history_is_enough_for_an_answer() -> None:
    found = forecast_cumulative(side_by_side(np.array([12.0])), 30)[:, 0]
    assert found[0, -1] < found[1, -1] < found[2, -1]
    assert 100 < found[1, -1] < 1000


def test_a_gap_inside_of_a_history_is_days_without_usage() -> None:
    silent, missing = weekly(400), weekly(400)
    silent[350:360], missing[350:360] = 0.0, np.nan
    found = forecast_cumulative(side_by_side(silent, missing), 60)
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=1e-9)


def test_weekends_are_expected_to_be_quiet() -> None:
    history = weekly(399)[None]  # a whole number of weeks: tomorrow is the first day of one
    days = np.diff(forecast_cumulative(history, 7)[1, 0], prepend=0)
    assert days[5:].mean() < 0.6 * days[:5].mean()


def test_one_wild_day_hardly_moves_a_forecast_and_a_lasting_change_does() -> None:
    calm, wild, raised = weekly(400), weekly(400), weekly(400)
    wild[-2] *= 20
    raised[-14:] *= 3
    month = forecast_cumulative(side_by_side(calm, wild, raised), 30)[1, :, -1]
    assert month[1] < 1.5 * month[0]
    assert month[2] > 1.7 * month[0]


def test_a_leap_year_and_longer_histories_than_are_looked_at_work() -> None:
    for days in (366, COLUMNS, COLUMNS + 1, 1500):
        assert np.isfinite(forecast_cumulative(weekly(days)[None], 366)).all()


def test_the_history_is_left_as_it_was() -> None:
    history = mixed()
    before = history.copy()
    forecast_cumulative(history, 30)
    np.testing.assert_array_equal(history, before)
