"""When commits run out, what scenarios come to, which commit to sign next, and how good forecasts were."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.calc.accuracy import accuracy, widening
from budgets.calc.burn_rate import burn_rate, daily_variance, month_end, straight_days, zero_day_share
from budgets.calc.right_sizing import Discount, best_size, sizes
from budgets.calc.run_out import LEVELS, NEVER, Layers, RunOut, at_level, chance, daily, fan, mean, run_out, widened
from budgets.calc.scenarios import ScenarioError, Situation, play


def steady(per_day: float, days: int, spread: float = 0.0) -> np.ndarray:
    """Quantiles [3, 1, days] of a level that nobody doubts, or with P10 and P90 `spread` below and above."""
    cumulative = per_day * np.arange(1, days + 1)
    return np.stack([cumulative * (1 - spread), cumulative, cumulative * (1 + spread)])[:, None, :]


def layers(*each: tuple[float, int, int]) -> Layers:
    left, starts, ends = zip(*each, strict=True)
    return Layers(np.array([left], dtype=float), np.array([starts]), np.array([ends]))


def drawn(quantiles: np.ndarray, stack: Layers, term: int) -> RunOut:
    return run_out(daily(fan(quantiles)), stack, np.array([term]))


class TestFan:
    def test_it_goes_through_the_quantiles_it_was_made_of(self) -> None:
        quantiles = steady(10, 30, 0.3)
        paths = fan(quantiles)
        for level, wanted in zip((0.1, 0.5, 0.9), quantiles, strict=True):
            assert np.allclose(at_level(paths, level), wanted, rtol=1e-4)

    @given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 0.99), st.floats(0, 5))
    @settings(max_examples=50, deadline=None)
    def test_paths_never_fall_and_never_cross(self, days: list[float], low: float, high: float) -> None:
        middle = np.cumsum(days)
        paths = fan(np.stack([middle * (1 - low), middle, middle * (1 + high)])[:, None, :])
        assert np.isfinite(paths).all()
        assert (np.diff(paths, axis=2) >= 0).all()
        assert (np.diff(paths, axis=1) >= 0).all()

    def test_widening_by_one_changes_nothing_and_by_two_doubles_the_logs(self) -> None:
        quantiles = steady(10, 5, 0.2)
        one = np.array([1.0])
        assert np.allclose(widened(quantiles, one, one), quantiles)
        wide = widened(quantiles, 2 * one, 2 * one)
        assert np.allclose(wide[2] / wide[1], 1.2**2, rtol=1e-4)
        assert np.allclose(wide[0] / wide[1], 0.8**2, rtol=1e-4)


class TestRunOut:
    def test_the_golden_overburn_runs_out_on_day_292_of_the_term(self) -> None:
        # Commit 120,000 over 365 days; 60,000 are drawn on day 146: 410.96 a day, 73 days early, 30,000 overage.
        found = drawn(steady(60000 / 146, 365 - 146), layers((60000, 0, NEVER)), 365 - 146)
        assert 146 + at_level(found.day, 0.5)[0] + 1 == 292
        assert mean(found.overage)[0] == pytest.approx(30000, rel=1e-6)
        assert chance(found.day < 219)[0] == 1

    def test_the_golden_underburn_leaves_75_000_unused_and_does_not_run_out(self) -> None:
        found = drawn(steady(18000 / 146, 219), layers((102000, 0, NEVER)), 219)
        assert (found.day == NEVER).all()
        assert mean(found.unused)[0] == pytest.approx(75000, rel=1e-6)
        assert mean(found.overage)[0] == pytest.approx(0, abs=1e-6)

    def test_a_lapsing_commit_is_lost_and_the_next_one_goes_on(self) -> None:
        found = drawn(steady(10, 20), layers((100, 0, 5), (1000, 0, NEVER)), 20)
        assert at_level(found.empty, 0.5)[0, 0] == 5
        assert mean(found.unused)[0] == pytest.approx(50 + 1000 - 150)
        assert at_level(found.balance, 0.5)[0, 4] == pytest.approx(1050)
        assert at_level(found.balance, 0.5)[0, 5] == pytest.approx(990)

    def test_a_commit_that_starts_later_pays_from_then_on(self) -> None:
        found = drawn(steady(10, 20), layers((50, 0, NEVER), (1000, 10, NEVER)), 20)
        assert at_level(found.day, 0.5)[0] == 4
        assert mean(found.overage)[0] == pytest.approx(50)

    def test_more_spend_is_an_earlier_date(self) -> None:
        found = drawn(steady(10, 200, 0.3), layers((1000, 0, NEVER)), 200)
        early, middle, late = (at_level(found.day, level)[0] for level in (0.9, 0.5, 0.1))
        assert (early, middle, late) == (76, 99, 142)

    def test_without_any_spend_it_never_runs_out(self) -> None:
        assert (drawn(steady(0, 30), layers((100, 0, NEVER)), 30).day == NEVER).all()

    def test_without_any_commit_all_is_overage_from_the_first_day(self) -> None:
        found = drawn(steady(10, 30), layers((0, 0, NEVER)), 30)
        assert (found.day == 0).all()
        assert mean(found.overage)[0] == pytest.approx(300)

    def test_one_account_alone_is_as_in_a_batch(self) -> None:
        quantiles = np.concatenate([steady(10, 60, 0.2), steady(3, 60, 0.5)], axis=1)
        both = Layers(np.array([[200.0, 90.0], [50.0, 0.0]]), np.zeros((2, 2), int), np.array([[9, 90], [40, 90]]))
        together = run_out(daily(fan(quantiles)), both, np.array([60, 30]))
        for row in (0, 1):
            own = Layers(both.left[row : row + 1], both.starts[row : row + 1], both.ends[row : row + 1])
            alone = run_out(daily(fan(quantiles[:, row : row + 1])), own, np.array([[60, 30][row]]))
            assert (alone.day[0] == together.day[row]).all()
            assert np.allclose(alone.unused[0], together.unused[row])
            assert np.allclose(alone.overage[0], together.overage[row])

    @given(st.lists(st.floats(0, 1000), min_size=30, max_size=30), st.floats(0, 5000), st.floats(0, 5000))
    @settings(max_examples=50, deadline=None)
    def test_nothing_is_lost_what_was_there_is_drawn_lapsed_or_left(
        self, days: list[float], first: float, second: float
    ) -> None:
        cumulative = np.cumsum(days)
        quantiles = np.stack([cumulative * 0.8, cumulative, cumulative * 1.2])[:, None, :]
        spend = daily(fan(quantiles))
        found = run_out(spend, layers((first, 0, 12), (second, 5, NEVER)), np.array([30]))
        used = spend.sum(axis=2) - found.overage
        assert np.allclose(used + found.unused, first + second, atol=1e-6)

    @given(st.integers(0, 10_000))
    @settings(max_examples=40, deadline=None)
    def test_it_is_what_a_plain_loop_over_days_and_layers_says(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        spend = random.gamma(1, 10, (3, 4, 40)) * (random.random((3, 4, 40)) < 0.8)
        starts = random.integers(-5, 30, (3, 3))
        ends = np.where(random.random((3, 3)) < 0.3, NEVER, starts + random.integers(6, 40, (3, 3)))
        stack, term = Layers(random.gamma(1, 80, (3, 3)), starts, ends), random.integers(1, 40, 3)
        found = run_out(spend, stack, term)
        for account in range(3):
            for level in range(4):
                left, begin, end = (one[account].tolist() for one in (stack.left, starts, ends))
                day, overage, unused = plain_run_out(spend[account, level], left, begin, end, int(term[account]))
                assert found.day[account, level] == day
                assert found.overage[account, level] == pytest.approx(overage)
                assert found.unused[account, level] == pytest.approx(unused)

    def test_the_unit_of_money_does_not_matter(self) -> None:
        quantiles = steady(10, 366, 0.3)
        small = drawn(quantiles, layers((1000, 0, 200), (900, 100, NEVER)), 366)
        large = drawn(quantiles * 1e6, layers((1e9, 0, 200), (9e8, 100, NEVER)), 366)
        assert (small.day == large.day).all()
        assert np.allclose(small.overage * 1e6, large.overage)
        assert np.allclose(small.balance * 1e6, large.balance, atol=1e-3)


def plain_run_out(
    spend: np.ndarray, left: list[float], starts: list[int], ends: list[int], term: int
) -> tuple[int, float, float]:
    """Return the day, the overage and what is unused of one path."""
    out, overage, unused = NEVER, 0.0, 0.0
    for day, owed in enumerate(spend.tolist()):
        used = owed
        for number in range(len(left)):
            if ends[number] == day:
                unused += left[number] if day < term else 0
                left[number] = 0.0
        paying = [number for number in range(len(left)) if starts[number] <= day < ends[number]]
        for number in paying:
            taken = min(left[number], owed)
            left[number], owed = left[number] - taken, owed - taken
        held = sum(left[number] for number in paying)
        overage += owed if day < term else 0
        if out == NEVER and used > 0 and (owed > 1e-6 or held < 1e-6):
            out = day
        unused += held if term == day + 1 else 0
    return out, overage, unused


class TestScenarios:
    def situation(self, **changes: Any) -> Situation:
        made: dict[str, Any] = {
            "spend": daily(fan(steady(10, 100, 0.2)))[0],
            "left": np.array([700.0]),
            "starts": np.array([0]),
            "ends": np.array([NEVER]),
            "term": 100,
            "overage_factor": 1.25,
        }
        return Situation(**made | changes)

    def test_going_on_runs_out_and_pays_the_overage_rate(self) -> None:
        found = play(self.situation())
        assert found.middle == 69
        assert found.early is not None
        assert found.late is not None
        assert found.early < 69 < found.late
        assert found.overage == pytest.approx(300 * 1.25, rel=0.02)
        assert found.p_exhausted > 0.95

    def test_a_top_up_moves_the_date_and_is_paid(self) -> None:
        found = play(self.situation(), [{"kind": "top_up", "amount": 500, "on": 30}])
        assert found.middle is None
        assert found.bought == 500
        assert found.unused == pytest.approx(200, rel=0.1)

    def test_growth_from_a_day_on_brings_the_date_nearer(self) -> None:
        assert play(self.situation(), [{"kind": "grow", "percent": 100, "from": 40}]).middle == 54

    def test_a_new_workflow_ramps_up(self) -> None:
        found = play(self.situation(), [{"kind": "workflow", "per_day": 10, "from": 50, "ramp_days": 9}])
        assert found.middle is not None
        assert 60 < found.middle < 69

    def test_a_one_off_is_spread_over_its_days(self) -> None:
        assert play(self.situation(), [{"kind": "one_off", "amount": 100, "on": 10, "days": 5}]).middle == 59

    def test_another_commit_size_changes_what_is_left_and_what_is_paid(self) -> None:
        found = play(self.situation(), [{"kind": "commit_size", "amount": 1300, "was": 1000}])
        assert found.bought == 300
        assert found.middle == 99

    @pytest.mark.parametrize(
        ("step", "field"),
        [
            ({"kind": "fly"}, "kind"),
            ({"kind": "grow"}, "percent"),
            ({"kind": "grow", "percent": -101}, "percent"),
            ({"kind": "grow", "percent": "nan"}, "percent"),
            ({"kind": "top_up", "amount": -1}, "amount"),
        ],
    )
    def test_a_step_that_makes_no_sense_names_its_field(self, step: dict, field: str) -> None:
        with pytest.raises(ScenarioError) as error:
            play(self.situation(), [step])
        assert error.value.field == field


class TestRightSizing:
    def test_without_discounts_or_a_dearer_overage_no_commit_is_cheapest(self) -> None:
        assert best_size(sizes(np.array([90.0, 100.0, 110.0]), step=10)).commit == 0

    def test_a_dear_overage_asks_for_the_usual_newsvendor_quantile(self) -> None:
        usage = np.arange(1.0, 101.0)
        # A unit too few costs 2, one too many 1: cover until the chance of overage is a half.
        assert best_size(sizes(usage, overage_factor=2.0, step=1)).commit == 50

    def test_a_discount_is_worth_committing_to(self) -> None:
        found = best_size(sizes(np.full(10, 100.0), [Discount(90, 20)], step=10))
        assert (found.commit, found.percent, found.cost) == (90, 20, 90)

    def test_what_rolls_over_is_not_lost(self) -> None:
        usage = np.array([80.0, 120.0])
        without = next(one for one in sizes(usage, step=10) if one.commit == 120)
        kept = next(one for one in sizes(usage, step=10, rollover=40) if one.commit == 120)
        assert without.cost - kept.cost == pytest.approx(20)
        assert kept.unused == 0


class TestBurnRate:
    def test_a_steady_week_is_its_own_mean(self) -> None:
        week = np.array([10, 20, 30, 20, 10, 1, 1.0])
        assert burn_rate(np.tile(week, 8)) == pytest.approx(week.mean(), rel=0.02)

    def test_nothing_known_is_none_and_not_zero(self) -> None:
        assert burn_rate(np.array([np.nan])) is None
        assert daily_variance(np.ones(10)) is None
        assert zero_day_share(np.ones(10)) is None

    def test_variance_looks_past_the_weeks_rhythm(self) -> None:
        assert daily_variance(np.tile([10, 20, 30, 20, 10, 5, 5.0], 4)) == pytest.approx(0, abs=1e-9)

    def test_an_account_that_is_mostly_idle_has_no_variance_but_a_share_of_idle_days(self) -> None:
        days = np.zeros(28)
        days[::7] = 5
        assert daily_variance(days) is None
        assert zero_day_share(days) == pytest.approx(24 / 28)

    def test_the_golden_month_end_shrinks_to_last_month(self) -> None:
        assert month_end(1200, 10, 30, 100) == pytest.approx(3435.29, abs=0.01)
        assert month_end(1200, 10, 30, None) == 3600

    def test_the_straight_line_of_nothing_never_ends(self) -> None:
        assert straight_days(100, 0) is None
        assert straight_days(0, 5) == 0
        assert straight_days(60000, 410.96) == pytest.approx(146, abs=0.1)


class TestAccuracy:
    def test_error_bias_and_coverage(self) -> None:
        found = accuracy(*(np.array(values, float) for values in ([8, 8], [10, 10], [12, 12], [11, 14])))
        assert found.wape == pytest.approx(5 / 25)
        assert found.bias == pytest.approx(-5 / 25)
        assert found.coverage == 0.5

    def test_no_scores_are_not_a_perfect_score(self) -> None:
        none = np.array([])
        assert accuracy(none, none, none, none).wape is None

    def test_intervals_that_held_too_little_are_widened_until_they_hold(self) -> None:
        random = np.random.default_rng(3)
        actual = np.exp(random.normal(0, 0.4, 2000))
        p10, p50, p90 = (np.full(2000, np.exp(z * 0.2)) for z in (-1.2816, 0, 1.2816))
        low, high = widening(p10, p50, p90, actual)
        held = np.mean((p50 * (p10 / p50) ** low <= actual) & (actual <= p50 * (p90 / p50) ** high))
        assert held == pytest.approx(0.8, abs=0.03)

    def test_few_scores_leave_intervals_alone(self) -> None:
        one = np.ones(10)
        assert widening(one, one, one, one * 5) == (1.0, 1.0)


def test_the_levels_hold_the_three_that_are_told() -> None:
    assert {0.1, 0.5, 0.9} <= set(LEVELS.tolist())
