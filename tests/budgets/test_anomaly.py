"""The detector looks only back, finds what stands out, and lets steady usage alone."""

import numpy as np
import pytest

from budgets.calc.anomaly import detect_latest, detect_spikes, onsets
from budgets.calc.seasonal import WARM_UP, WEEK, Floats, middle, usual_hours

HOURS = 70 * 24
MOMENT = 60 * 24 + 11


def busy_days(hours: int = HOURS, seed: int = 1) -> Floats:
    """Usage per hour with nights, weekends and some noise, [hours]."""
    t = np.arange(hours)
    day = 1 + 0.8 * np.sin(2 * np.pi * (t % 24) / 24)
    week = np.where(t // 24 % 7 < 5, 1.0, 0.5)
    return 100 * day * week * np.random.default_rng(seed).gamma(100, 1 / 100, hours)


@pytest.mark.parametrize("hours", [0, 1, 25, WEEK, 200, WARM_UP, WARM_UP + 1])
def test_short_series_raise_nothing(hours: int) -> None:
    for alarms in detect_spikes(np.ones(hours)):
        assert alarms.shape == (hours,)
        assert alarms.dtype == bool
        assert not alarms.any()


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_flat_usage_raises_nothing(level: float) -> None:
    assert not any(alarms.any() for alarms in detect_spikes(np.full(2000, level)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_steady_days_and_weeks_raise_nothing(seed: int) -> None:
    overspend, silence = detect_spikes(busy_days(seed=seed))
    assert len(onsets(overspend)) == 0
    assert not silence.any()


@pytest.mark.parametrize("cut", [WARM_UP + 5, MOMENT, MOMENT + 1, MOMENT + 30])
def test_what_comes_later_changes_nothing(cut: int) -> None:
    usage = busy_days()
    usage[MOMENT : MOMENT + 48] *= 4
    usage[MOMENT + 60 :] = 0.0
    whole = detect_spikes(usage)
    for part, all_ in zip(detect_spikes(usage[:cut]), whole, strict=True):
        np.testing.assert_array_equal(part, all_[:cut])


@pytest.mark.parametrize("factor", [3, 5, 20])
def test_a_spike_is_found_within_two_hours(factor: float) -> None:
    usage = busy_days()
    usage[MOMENT : MOMENT + 3] *= factor
    overspend, silence = detect_spikes(usage)
    assert not overspend[:MOMENT].any()
    assert overspend[MOMENT : MOMENT + 2].any()
    assert not silence.any()


def test_a_step_and_a_leak_are_found_in_days() -> None:
    step, leak = busy_days(), busy_days()
    step[MOMENT:] *= 1.5
    leak[MOMENT:] *= 1 + 0.1 * np.arange(HOURS - MOMENT) / 24
    assert detect_spikes(step)[0][MOMENT : MOMENT + 48].any()
    assert detect_spikes(leak)[0][MOMENT : MOMENT + 168].any()


def test_silence_is_found_within_hours_and_is_no_overspend() -> None:
    usage = busy_days()
    usage[MOMENT:] = 0.0
    overspend, silence = detect_spikes(usage)
    assert silence[MOMENT : MOMENT + 8].any()
    assert not overspend.any()


def test_an_account_that_rests_every_night_is_not_silent() -> None:
    usage = busy_days()
    usage[np.arange(HOURS) % 24 < 8] = 0.0
    assert not detect_spikes(usage)[1].any()


def test_the_unit_of_the_usage_does_not_matter() -> None:
    usage = busy_days()
    usage[MOMENT : MOMENT + 3] *= 3
    for small, large in zip(detect_spikes(usage / 1000), detect_spikes(usage * 1000), strict=True):
        np.testing.assert_array_equal(small, large)


def test_an_alarm_notifies_once_until_a_day_without_one() -> None:
    alarms = np.zeros(200, dtype=bool)
    alarms[[0, 1, 5, 29, 54, 100]] = True
    assert onsets(alarms).tolist() == [0, 54, 100]
    assert len(onsets(np.zeros(10, dtype=bool))) == 0


def test_the_usage_is_left_as_it_was() -> None:
    usage = busy_days()
    before = usage.copy()
    detect_spikes(usage)
    np.testing.assert_array_equal(usage, before)


def test_the_last_hours_of_many_series_agree_with_the_whole() -> None:
    usage = np.stack([busy_days(seed=seed) for seed in range(1, 6)])
    usage[0, MOMENT:] *= 4
    usage[1, MOMENT:] *= 1.6
    usage[2, MOMENT:] *= 1 + 0.1 * np.arange(HOURS - MOMENT) / 24
    usage[3, MOMENT:] = 0.0
    usage[4, : 40 * 24] = np.nan
    flags = [detect_spikes(row[~np.isnan(row)]) for row in usage]
    for end in (MOMENT, MOMENT + 2, MOMENT + 30, MOMENT + 150, HOURS):
        found = detect_latest(usage[:, :end])
        for row, (overspend, silence) in enumerate(flags):
            last = end - 1 - int(np.isnan(usage[row]).sum())
            assert (found.kind[row] == "silence") == (last >= 0 and bool(silence[last]))
            if found.kind[row] != "silence":
                assert (found.kind[row] != "") == (last >= 0 and bool(overspend[last]))


def test_what_is_found_says_since_when_and_how_much() -> None:
    usage = busy_days()[None, : MOMENT + 2].copy()
    usage[0, MOMENT:] *= 5
    found = detect_latest(usage)
    assert found.kind[0] == "spike"
    assert found.score[0] > 1
    assert found.start[0] == MOMENT
    assert found.actual[0] == pytest.approx(usage[0, -found.hours[0] :].sum())
    assert found.expected[0] == pytest.approx(found.actual[0] / 5, rel=0.8)
    assert detect_latest(usage, threshold_factor=50.0).kind[0] == ""


def test_series_that_have_hardly_begun_say_nothing() -> None:
    for hours in (0, 1, 100, WARM_UP):
        found = detect_latest(np.full((3, hours), 5.0))
        assert found.kind.tolist() == ["", "", ""]


def test_a_long_history_is_cut_and_the_answer_stays() -> None:
    usage = busy_days(150 * 24 + 7)
    usage[-3:] *= 3
    overspend, _ = detect_spikes(usage)
    assert overspend[-2:].all()
    for end in (len(usage) - 3, len(usage) - 2, len(usage)):
        assert (detect_latest(usage[None, :end]).kind[0] != "") == bool(overspend[end - 1])


def test_a_series_alone_is_judged_as_among_others() -> None:
    usage = np.stack([busy_days(seed=seed) for seed in range(1, 5)])
    usage[1:, -4:] *= np.array([1.3, 2.0, 4.0])[:, None]
    usage[2, : 20 * 24 + 5] = np.nan
    together = detect_latest(usage)
    for row in range(len(usage)):
        alone = detect_latest(usage[row : row + 1])
        assert alone.kind[0] == together.kind[row]
        assert alone.score[0] == pytest.approx(together.score[row])
        assert (alone.hours[0], alone.start[0]) == (together.hours[row], together.start[row])
        assert alone.expected[0] == pytest.approx(together.expected[row])


def test_silence_says_since_when_and_what_is_missing() -> None:
    usage = busy_days()[None].copy()
    usage[0, -12:] = 0.0
    found = detect_latest(usage)
    assert found.kind[0] == "silence"
    assert (found.start[0], found.hours[0]) == (HOURS - 12, 12)
    assert found.actual[0] == 0
    assert found.expected[0] == pytest.approx(busy_days()[-12:].sum(), rel=0.3)


def test_an_account_that_often_bursts_has_wider_limits_than_a_steady_one() -> None:
    rng = np.random.default_rng(5)
    steady, bursty = busy_days(), busy_days()
    bursts = rng.random(HOURS) < 0.03
    bursts[-30:] = False
    bursty[bursts] *= 4
    steady[-1] *= 3
    bursty[-1] *= 3
    found = detect_latest(np.stack([steady, bursty]))
    assert found.kind[0] == "spike"
    assert found.score[0] > 2 * found.score[1]
    assert len(onsets(detect_spikes(bursty)[0])) <= 2  # of about 50 bursts


def test_a_warm_week_does_not_alarm_every_day() -> None:
    rng = np.random.default_rng(6)
    level = np.zeros(HOURS // 24)
    for day in range(1, len(level)):
        level[day] = 0.85 * level[day - 1] + 0.08 * rng.standard_normal()
    usage = busy_days() * np.exp(np.repeat(level, 24))
    assert len(onsets(detect_spikes(usage)[0])) <= 1


@pytest.mark.parametrize("count", range(1, 13))
def test_the_middle_is_the_median(count: int) -> None:
    columns = list(np.random.default_rng(count).random((count, 3, 40)))
    np.testing.assert_allclose(middle(columns), np.median(np.stack(columns), axis=0))


def test_what_is_usual_is_the_median_of_the_weeks_so_far() -> None:
    usage = np.random.default_rng(3).random(5 * WEEK)
    usual = usual_hours(usage[None])[0]
    assert not usual[:WEEK].any()
    for hour in (WEEK, WEEK + 1, 3 * WEEK - 1, 3 * WEEK, 4 * WEEK, 4 * WEEK + 5):
        lags = [WEEK * week + shift for week in range(1, 5) for shift in (-1, 0, 1)]
        known = [usage[hour - lag] for lag in lags if lag <= hour]
        assert usual[hour] == pytest.approx(np.median(known))
