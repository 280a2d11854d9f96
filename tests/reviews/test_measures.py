"""What accounts are measured by: the product's examples, the edges, and sums that must hold."""

from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.calc.concentration import capacity, concentration, weeks_in_band
from reviews.calc.conditions import ConditionError, check, evaluate
from reviews.calc.health import Band, Health, Input, Measure, Recipe, health, moved
from reviews.calc.onboarding import FirstValue, cohort_curve, first_value, median_days
from reviews.calc.retention import committed_gross, look_back, retention, run_rate

BASE = {"a": D(100), "b": D(50), "c": D(30), "d": D(20)}
NOW = {"a": D(130), "b": D(40), "c": D(30), "d": D(0)}
money = st.decimals(0, 1000, places=2)


def test_net_retention_is_100_and_gross_85_and_90_without_what_we_helped_to_save() -> None:
    found = retention(BASE, NOW, {"b": {"assisted": D(10)}})
    assert (found.net_percent, found.gross_percent, found.gross_without_explained) == (100, 85, 90)
    assert found.loss == {"churn": 20, "unexplained": 0, "excused": 0, "assisted": 10, "price": 0}


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(money, money, money), min_size=1),
)
def test_the_reasons_of_a_loss_add_up_to_it(accounts: dict[str, tuple[D, D, D]]) -> None:
    base = {name: amounts[0] for name, amounts in accounts.items()}
    now = {name: amounts[1] for name, amounts in accounts.items()}
    found = retention(base, now, {name: {"price": amounts[2]} for name, amounts in accounts.items()})
    lost = sum(max(base[name] - now[name], D(0)) for name in base)
    assert sum(found.loss.values()) == lost
    if found.gross_percent is not None and found.net_percent is not None:
        assert found.gross_percent <= min(found.net_percent, D(100))


def test_without_a_base_there_is_no_rate() -> None:
    assert retention({}, {}).net_percent is None
    assert run_rate({}, {}) is None
    assert committed_gross({}, {}) is None


def test_looking_back_takes_who_used_it_in_the_first_month() -> None:
    months = {"a": [D(1)] * 12 + [D(2)] * 12, "new": [D(0)] + [D(5)] * 23}
    found = look_back(months)
    assert found is not None
    assert (found.accounts, found.net_percent) == (1, 200)
    assert look_back({"young": [D(1)] * 13}) is None


def test_notice_given_counts_as_zero_and_a_renewal_never_above_what_expired() -> None:
    assert run_rate({"a": D(50), "b": D(60)}, {"a": D(50), "b": D(50)}, frozenset({"a"})) == 60
    assert committed_gross({"a": D(100), "b": D(100)}, {"a": D(150), "b": D(80)}) == 90


def test_concentration_of_the_example() -> None:
    found = concentration({"x": D("0.6"), "y": D("0.3"), "z": D("0.1")})
    assert found is not None
    assert (found.top, found.hhi, round(found.effective, 2)) == ("x", D("0.46"), D("2.17"))
    assert concentration({"x": D(-1)}) is None
    only = concentration({"x": D(7), "refund": D(-2)})
    assert only is not None
    assert only.hhi == 1


@given(st.lists(st.decimals("0.01", 1000, places=2), min_size=1, max_size=9))
def test_concentration_lies_between_one_part_and_equal_parts(amounts: list[D]) -> None:
    found = concentration({str(number): amount for number, amount in enumerate(amounts)})
    assert found is not None
    assert D(1) / len(amounts) - D("1e-20") <= found.hhi <= 1


def test_weeks_in_band_leave_excused_ones_out() -> None:
    weeks = [D(100), D(130), D(80), D(500)]
    assert weeks_in_band(weeks, D(100)) == (50, 4)
    assert weeks_in_band(weeks, D(100), [False, True, False, True]) == (100, 2)
    assert weeks_in_band([], D(100)) == (None, 0)


def test_a_full_week_is_a_hundred_percent_and_who_is_away_has_none() -> None:
    assert capacity([(D(2), 1), (D(5), 2)], D(1), D(20)) == 50
    assert capacity([(D(2), 1)], D(1), D(0)) is None


def test_the_first_value_may_come_before_the_contract_and_may_still_be_waited_for() -> None:
    start = date(2026, 3, 10)
    assert first_value(start, date(2026, 3, 7), date(2026, 4, 1)) == FirstValue(-3, None)
    assert first_value(start, None, date(2026, 4, 1)) == FirstValue(None, 22)


def test_the_curve_counts_those_who_wait_until_today() -> None:
    # Four begin on days 1, 2, 3 and 4; one waits since day 2, and is at risk until then.
    cohort = [FirstValue(day, None) for day in (1, 2, 3, 4)] + [FirstValue(None, 2)]
    curve = cohort_curve(cohort)
    assert [round(step.waiting, 4) for step in curve] == [0.8, 0.6, 0.3, 0.0]
    assert median_days(cohort) == 3
    assert median_days([FirstValue(None, 30)]) is None


@given(st.lists(st.tuples(st.integers(-5, 90), st.booleans()), min_size=1, max_size=40))
def test_the_curve_never_rises_and_stays_within_its_range(cohort: list[tuple[int, bool]]) -> None:
    people = [FirstValue(day, None) if done else FirstValue(None, max(day, 0)) for day, done in cohort]
    curve = cohort_curve(people)
    shares = [step.waiting for step in curve]
    assert shares == sorted(shares, reverse=True)
    assert all(0 <= step.low <= step.waiting <= step.high <= 1 for step in curve)


PACING = Measure(
    "Pacing",
    "pacing",
    D(25),
    (Band(D("0.85"), D("1.15"), D(100)), Band(D("0.70"), D("0.85"), D(60)), Band(D("1.15"), D("1.35"), D(60))),
)
TREND = Measure("Trend", "trend_28", D(20), (Band(D(-5), None, D(100)), Band(D(-20), D(-5), D(50))), stale_days=60)
RECIPE = Recipe((PACING, TREND), ("exhausted",))


def scored(pacing: str | None, trend: str | None, *facts: str, age_days: int = 90) -> Health:
    values = {"pacing": pacing, "trend_28": trend}
    inputs = {name: Input(None, "no use") if text is None else Input(D(text)) for name, text in values.items()}
    return health(RECIPE, inputs, facts, age_days=age_days)


def test_points_add_up_to_the_score_and_say_what_moved() -> None:
    before, after = scored("1.0", "3"), scored("1.2", "-10")
    assert (before.score, after.score) == (100, 56)  # 25/45 × 60 + 20/45 × 50
    assert sum(part.points or 0 for part in after.parts) == 56
    assert sum(moved(before, after).values()) == -44


def test_what_is_not_known_gives_its_weight_to_the_others_or_there_is_no_score() -> None:
    assert scored("1.0", None).score == 100
    assert scored(None, "3").score is None  # 20 of 45 is less than half
    assert scored(None, "3").reason.startswith("Not scored")
    assert scored("1.0", "3", age_days=27).reason == "Not scored yet: 27 of 30 days."


def test_a_forced_red_caps_the_score_and_keeps_what_it_would_be() -> None:
    red = scored("1.0", "3", "exhausted", "something else")
    assert (red.score, red.unforced, red.forced) == (39, 100, ("exhausted",))


def test_a_stale_value_is_not_known() -> None:
    inputs = {"pacing": Input(D(1)), "trend_28": Input(D(3), age_days=61)}
    part = health(RECIPE, inputs).parts[1]
    assert (part.points, part.reason) == (None, "older than 60 days")


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 100)), min_size=1, max_size=8))
def test_the_points_always_add_up_and_never_exceed_their_weight_by_more_than_rounding(
    measures: list[tuple[int, int]],
) -> None:
    recipe = Recipe(
        tuple(
            Measure(str(number), str(number), D(weight), (Band(None, None, D(score)),))
            for number, (weight, score) in enumerate(measures)
        )
    )
    found = health(recipe, {str(number): Input(D(1)) for number in range(len(measures))})
    assert found.score is not None
    assert 0 <= found.score <= 100
    assert sum(part.points or 0 for part in found.parts) == found.score
    assert all(part.points is not None and part.points <= part.weight + 1 for part in found.parts)


def test_a_condition_holds_when_every_day_holds_and_says_why() -> None:
    over = {"metric": "pacing", "op": ">", "value": 1.25, "for_days": 3}
    assert evaluate(over, {"pacing": [1.0, 1.3, 1.3, 1.4]}).because == ("pacing is 1.4, above 1.25 for 3 days",)
    assert not evaluate(over, {"pacing": [1.3, None, 1.4]}).holds
    assert not evaluate(over, {"pacing": [1.3, 1.2, 1.4]}).holds
    assert evaluate(over, {}).because == ("pacing is not known; needed above 1.25 for 3 days",)
    both = {"all": [over, {"metric": "risk", "op": ">=", "value": 0.5}]}
    assert not evaluate(both, {"pacing": [1.3] * 3, "risk": [0.4]}).holds
    assert evaluate({"any": both["all"]}, {"pacing": [1.3] * 3, "risk": [0.4]}).holds


@pytest.mark.parametrize(
    "condition",
    [
        None,
        {},
        {"all": []},
        {"all": [{"metric": "pacing", "op": ">", "value": 1}], "any": []},
        {"metric": "nothing", "op": ">", "value": 1},
        {"metric": "pacing", "op": "~", "value": 1},
        {"metric": "pacing", "op": ">", "value": "1"},
        {"metric": "pacing", "op": ">", "value": float("nan")},
        {"metric": "pacing", "op": ">", "value": 1, "for_days": 0},
        {"all": [{"all": [{"all": [{"all": [{"all": [{"metric": "pacing", "op": ">", "value": 1}]}]}]}]}]},
    ],
)
def test_a_condition_that_cannot_be_read_is_refused_in_words(condition: object) -> None:
    with pytest.raises(ConditionError):
        check(condition, ["pacing"])
