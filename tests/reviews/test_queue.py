"""Who needs somebody, for which reason, by when, and who comes first."""

from datetime import date, timedelta
from decimal import Decimal as D

import pytest

from reviews.calc.queue import LATER, NONE, READS, REASONS, TODAY, WEEK, Due, reasons, standing

MONDAY = date(2026, 11, 23)


def numbers(**values: float) -> dict[str, D | None]:
    return {name: D(str(value)) for name, value in values.items()}


# Figures, the reason that they give, and in how many days somebody should act.
GIVEN: list[tuple[dict[str, float], str, int]] = [
    ({"commit_granted": 100, "commit_left": 0}, "exhausted", 0),
    ({"payment_failed": 1}, "unpaid", 1),
    ({"silent_days": 2}, "silent", 2),
    ({"silent_days": 7}, "silent", 0),
    ({"open_spikes": 1}, "spike", 0),
    ({"waiting_days": 7}, "stalled", 3),
    ({"waiting_days": 14}, "stalled", 0),
    ({"run_out_percent": 90, "run_out_p50": 30, "commit_granted": 100, "commit_left": 20}, "run_out", 0),
    ({"run_out_percent": 90, "run_out_p50": 60, "commit_granted": 100, "commit_left": 20}, "run_out", 3),
    ({"run_out_percent": 90, "run_out_p50": 90, "commit_granted": 100, "commit_left": 20}, "run_out", 7),
    ({"champion_gone": 1}, "champion_gone", 3),
    ({"failing_days": 3, "reliability_gap": 1.2}, "reliability", 1),
    ({"pacing": 0.74}, "underburn", 5),
    ({"pacing": 1.26, "run_out_percent": 60}, "overburn", 3),
    ({"change_28": -21}, "falling", 3),
    ({"term_days_left": 30}, "renewal", 0),
    ({"term_days_left": 90}, "renewal", 3),
    ({"term_days_left": 120}, "renewal", 7),
    ({"term_days_left": 180}, "renewal", 14),
    ({"sentiment": 0}, "sentiment", 3),
    ({"seen_days": 30}, "no_visit", 7),
    ({"top_share_percent": 82, "commit_left": 10}, "one_workflow", 14),
]


@pytest.mark.parametrize(("figures", "key", "within"), GIVEN)
def test_each_reason_holds_by_its_figures(figures: dict[str, float], key: str, within: int) -> None:
    [found] = reasons(numbers(**figures), Due())
    assert (found.key, found.within_days) == (key, within)


def test_what_a_reason_reads_is_read_from_the_database() -> None:
    assert {name for figures, _, _ in GIVEN for name in figures} | {"at_risk"} == set(READS)


def test_each_reason_but_the_review_is_given_by_figures() -> None:
    assert {key for _, key, _ in GIVEN} | {"review"} == set(REASONS)


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"commit_granted": 0, "commit_left": 0},  # no commit is not one that is used up
        {"silent_days": 1},
        {"pacing": 0.75},
        {"pacing": 1.3, "run_out_percent": 40},  # fast, but it lasts
        {"run_out_percent": 90, "run_out_p50": 91, "commit_granted": 100, "commit_left": 50},
        {"run_out_percent": 40, "run_out_p50": 20, "commit_granted": 100, "commit_left": 50},
        {"failing_days": 5},
        {"change_28": -20},
        {"term_days_left": 181},
        {"sentiment": 1},
        {"top_share_percent": 95, "commit_left": 0},
    ],
)
def test_nothing_is_said_below_a_threshold_or_of_what_is_not_known(figures: dict[str, float]) -> None:
    assert reasons(numbers(**figures), Due()) == ()


def test_the_most_urgent_reason_is_told_first() -> None:
    found = reasons(numbers(change_28=-38, term_days_left=84, silent_days=8), Due(review_days=2))
    assert [one.key for one in found] == ["silent", "falling", "renewal", "review"]


def test_a_review_is_prepared_two_weeks_ahead() -> None:
    assert reasons({}, Due(review_days=15)) == ()
    [far], [over] = reasons({}, Due(review_days=14)), reasons({}, Due(review_days=-9))
    assert (far.within_days, over.within_days) == (14, 3)


def test_days_to_act_make_the_group() -> None:
    stands = standing(numbers(pacing=0.6, at_risk=64000), Due(), MONDAY)
    assert (stands.group, stands.act_on) == (WEEK, MONDAY + timedelta(days=5))
    assert standing(numbers(open_spikes=1), Due(), MONDAY).group == TODAY
    assert standing(numbers(term_days_left=150, at_risk=1), Due(), MONDAY).group == LATER
    assert standing(numbers(pacing=1), Due(), MONDAY) == standing({}, Due(), MONDAY)
    assert standing({}, Due(), MONDAY).group == NONE


def test_a_running_play_says_by_when_instead_of_the_reason() -> None:
    stands = standing(numbers(open_spikes=1), Due(step_on=MONDAY + timedelta(days=2)), MONDAY)
    assert (stands.group, stands.act_on) == (WEEK, MONDAY + timedelta(days=2))


def test_a_critical_alert_and_an_own_task_go_before_a_play_that_is_due_later() -> None:
    step = MONDAY + timedelta(days=20)
    assert standing({}, Due(step_on=step, has_urgent_alert=True), MONDAY).group == TODAY
    assert standing({}, Due(step_on=step, task_on=MONDAY), MONDAY).group == TODAY
    assert standing({}, Due(step_on=step), MONDAY).group == LATER


def test_a_date_alone_asks_for_nobody() -> None:
    # A renewal is only a date once somebody is sure of it, or nothing hangs on it.
    assert standing(numbers(term_days_left=20, at_risk=0), Due(), MONDAY).group == NONE
    assert standing(numbers(term_days_left=20, at_risk=500), Due(), MONDAY).group == TODAY


def test_rank_is_money_at_risk_times_urgency() -> None:
    late = standing(numbers(at_risk=186000), Due(step_on=MONDAY - timedelta(days=1)), MONDAY)
    today = standing(numbers(at_risk=148000), Due(step_on=MONDAY), MONDAY)
    week = standing(numbers(at_risk=64000), Due(step_on=MONDAY + timedelta(days=1)), MONDAY)
    later = standing(numbers(at_risk=24900), Due(step_on=MONDAY + timedelta(days=8)), MONDAY)
    assert [one.rank for one in (late, today, week, later)] == [D("204600"), D(148000), D(32000), D(4980)]
    assert (late.days_late, late.group, today.days_late) == (1, TODAY, 0)


def test_lateness_counts_at_most_twice() -> None:
    stands = standing(numbers(at_risk=100), Due(task_on=MONDAY - timedelta(days=45)), MONDAY)
    assert (stands.rank, stands.days_late) == (D(200), 45)
