"""The gates of the ladder, and when the data propose a step: examples and laws."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.calc.ladder import (
    DEFAULT_RULES,
    RulesError,
    entry_gates,
    fails_since,
    holds,
    may_step_up,
    must_step_back,
    next_rung,
    read_rules,
    rests,
    standing_gates,
    step_back_to,
)
from reviews.calc.ladder_gates import GATES, Facts, below_since, gate_check
from reviews.calc.production import LADDER

TODAY = date(2026, 11, 22)
DAYS = 56
PEOPLE = {"owner": "Dana", "value": "$9,800", "access": "", "legal": "", "runbook": "Leo"}


def facts(runs: Any = 50.0, success: Any = 0.98, **fields: Any) -> Facts:
    """A workflow that does `runs` attempts a day, of which the share `success` succeeds and costs a unit each."""
    done = np.full(DAYS, runs) if np.isscalar(runs) else np.asarray(runs, dtype=float)
    good = done * success
    usual: dict[str, Any] = {
        "account_spend": float(good[-28:].sum()) * 2,
        "target": Decimal("0.95"),
        "budget": Decimal(3100),
        "teams": 4,
        "first_call_on": date(2026, 1, 2),
        "billable_on": date(2026, 1, 5),
        "first_runs": 83,
        "ticks": PEOPLE,
    }
    return Facts(TODAY, "USD", good, good, done, good, good, **usual | fields)


def rate(*parts: tuple[int, float]) -> Any:
    """Return shares of success: `days` times each, the last ones up to yesterday."""
    return np.concatenate([np.full(days, share) for days, share in parts])


def value(key: str, one: Facts, need: str | None = None) -> tuple[bool, str]:
    wanted = GATES[key].need if need is None else Decimal(need)
    found = gate_check(key, wanted, one)
    return found.is_met, found.value


# ---- single gates


def test_a_gate_of_a_person_is_met_by_their_word_alone() -> None:
    assert value("runbook", facts()) == (True, "Leo")
    assert value("legal", facts()) == (True, "done")
    assert value("legal", facts(ticks={})) == (False, "open")


def test_runs_and_days_are_counted_over_28_days() -> None:
    few = facts(runs=np.r_[np.full(28, 100.0), np.zeros(21), np.full(7, 2.0)])
    assert value("runs", few) == (False, "13")
    assert value("days", few) == (False, "7")
    assert value("runs", facts(success=1.0)) == (True, "1,400")


def test_a_monthly_workflow_is_in_use_with_two_cycles() -> None:
    monthly = np.zeros(DAYS)
    monthly[[12, 40]] = 6
    assert value("runs", facts(runs=monthly))[0]
    assert value("days", facts(runs=monthly))[0]
    once = np.zeros(DAYS)
    once[40] = 6
    assert not value("days", facts(runs=once))[0]


def test_a_workflow_that_runs_seldom_is_judged_by_the_runs_there_are() -> None:
    monthly = np.zeros(DAYS)
    monthly[[12, 40]] = 6
    assert value("success", facts(runs=monthly, success=1.0)) == (True, "12 of 12 runs")
    assert value("in_target", facts(runs=monthly, success=1.0)) == (True, "12 of 12 runs")
    assert value("success", facts(runs=monthly, success=0.5)) == (False, "6 of 12 runs")


def test_success_is_measured_against_its_target_and_says_how_much_is_short() -> None:
    assert value("success", facts(success=0.98)) == (True, "98.0%")
    assert value("success", facts(success=0.912)) == (False, "91.2 of 95%")
    assert value("success", facts(success=0.912, target=None)) == (False, "91.2 of 95%")
    assert value("success", facts(success=0.912, target=Decimal("0.9"))) == (True, "91.2%")


def test_a_rate_of_fewer_than_thirty_runs_says_nothing() -> None:
    assert value("success", facts(runs=1.0)) == (False, "28 of 30 runs")


def test_days_on_target_are_judged_by_the_week_up_to_them() -> None:
    assert value("in_target", facts()) == (True, "28")
    one_bad = facts(success=rate((40, 0.98), (1, 0.90), (15, 0.98)))
    assert value("in_target", one_bad) == (True, "28")  # one day does not spoil a week
    bad_week = facts(success=rate((50, 0.97), (6, 0.85)))
    assert value("in_target", bad_week)[0] is False
    assert below_since(bad_week) == TODAY - timedelta(days=5)


def test_alerts_count_once_they_were_answered_or_are_late() -> None:
    assert value("alerts", facts()) == (True, "no alert")
    assert value("alerts", facts(alerts=((1.0, True), (9.0, True), (2.0, False)))) == (False, "1 of 2")
    assert value("alerts", facts(alerts=((1.0, True), (30.0, False)))) == (False, "1 of 2")


def test_unit_cost_is_compared_with_the_28_days_before() -> None:
    one = facts()
    dearer = replace(one, spend=np.r_[one.spend[:28], one.spend[28:] * 1.2])
    assert value("unit_cost", one) == (True, "0%")
    assert value("unit_cost", dearer) == (False, "+20%")
    assert value("unit_cost", facts(runs=0.2)) == (False, "too early")


def test_teams_that_no_event_names_are_not_zero_teams() -> None:
    assert value("teams", facts(teams=None)) == (False, "not named")
    assert value("teams", facts(teams=2)) == (False, "2")


def test_a_share_of_the_spend_of_an_account() -> None:
    assert value("share", facts()) == (True, "50%")
    assert value("share", facts(account_spend=1400.0)) == (False, "98%")
    assert value("share", facts(account_spend=0.0)) == (False, "no spend")


def test_a_budget_and_a_target_are_shown_with_their_figures() -> None:
    assert (value("budget_set", facts()), value("budget_set", facts(budget=None))) == (
        (True, "$3.1k"),
        (False, "none"),
    )
    assert (value("target_set", facts()), value("target_set", facts(target=None))) == ((True, "95%"), (False, "none"))


# ---- rungs


def test_each_rung_opens_with_all_of_its_gates() -> None:
    for rung in LADDER[1:]:
        assert holds(entry_gates(DEFAULT_RULES, rung, facts())), rung
        assert not holds(entry_gates(DEFAULT_RULES, rung, facts(ticks={}, runs=0.0, first_call_on=None))), rung


def test_a_rung_without_gates_is_not_entered_by_itself() -> None:
    assert not holds(entry_gates({"pilot": []}, "pilot", facts()))


def test_a_hardened_workflow_must_also_keep_what_production_asks() -> None:
    keys = {line.key for line in standing_gates(DEFAULT_RULES, "hardened", facts())}
    assert keys == {"runs", "days", "success", "target_set", "in_target", "budget_set"}
    assert not standing_gates(DEFAULT_RULES, "pilot", facts(runs=0.0))


def test_the_ladder_ends_above_scaled() -> None:
    assert [next_rung(rung) for rung in LADDER] == [*LADDER[1:], None]


# ---- hysteresis


@pytest.mark.parametrize(("days", "proposed"), [(0, False), (1, False), (2, True), (9, True)])
def test_a_step_up_needs_three_days_in_a_row(days: int, proposed: bool) -> None:
    assert may_step_up(TODAY - timedelta(days=days), TODAY) is proposed
    assert not may_step_up(None, TODAY)


@pytest.mark.parametrize(
    ("days", "cadence", "proposed"), [(13, 1, False), (14, 1, True), (40, 30, False), (60, 30, True)]
)
def test_a_step_back_needs_14_days_or_two_cycles(days: int, cadence: float, proposed: bool) -> None:
    assert must_step_back(TODAY - timedelta(days=days), TODAY, cadence) is proposed
    assert not must_step_back(None, TODAY, cadence)


def test_what_was_declined_rests_for_four_weeks() -> None:
    assert rests(TODAY - timedelta(days=27), TODAY)
    assert not rests(TODAY - timedelta(days=28), TODAY)
    assert not rests(None, TODAY)


def test_past_days_tell_since_when_a_rung_is_not_held() -> None:
    stopped = facts(runs=np.r_[np.full(35, 50.0), np.zeros(21)])
    assert fails_since(DEFAULT_RULES, "production", facts(), None) is None
    since = fails_since(DEFAULT_RULES, "production", stopped, None)
    assert since == TODAY - timedelta(days=1)  # until then it had run on eight of 28 days
    longer = facts(runs=np.r_[np.full(20, 50.0), np.zeros(36)])
    found = fails_since(DEFAULT_RULES, "production", longer, None)
    assert found is not None
    assert (TODAY - found).days == 16


def test_what_no_day_tells_fails_since_the_look_that_saw_it() -> None:
    bare = facts(budget=None)
    assert fails_since(DEFAULT_RULES, "hardened", bare, None) == TODAY
    kept = TODAY - timedelta(days=9)
    assert fails_since(DEFAULT_RULES, "hardened", bare, kept) == kept


def test_a_step_back_goes_to_the_highest_rung_that_still_stands() -> None:
    assert step_back_to(DEFAULT_RULES, "hardened", facts(budget=None)) == "production"
    assert step_back_to(DEFAULT_RULES, "scaled", facts(teams=1)) == "hardened"
    assert step_back_to(DEFAULT_RULES, "scaled", facts(runs=0.0)) == "pilot"


@given(
    runs=st.lists(st.integers(0, 200), min_size=DAYS, max_size=DAYS),
    good=st.floats(0, 1),
    stage=st.sampled_from(LADDER),
)
def test_a_workflow_never_steps_back_to_a_rung_that_it_fails(runs: list[int], good: float, stage: str) -> None:
    one = facts(runs=runs, success=good)
    since = fails_since(DEFAULT_RULES, stage, one, None)
    failing = any(not line.is_met for line in standing_gates(DEFAULT_RULES, stage, one))
    assert (since is not None) is failing
    if since is not None:
        assert since <= TODAY
        to = step_back_to(DEFAULT_RULES, stage, one)
        assert LADDER.index(to) < LADDER.index(stage)
        assert all(line.is_met for line in standing_gates(DEFAULT_RULES, to, one))


@given(runs=st.lists(st.integers(0, 200), min_size=DAYS, max_size=DAYS), more=st.integers(0, 100))
def test_more_runs_never_close_the_gates_of_use(runs: list[int], more: int) -> None:
    one, busier = facts(runs=runs), facts(runs=[run + more for run in runs])
    for key in ("runs", "first_billable"):
        assert value(key, busier)[0] or not value(key, one)[0]


# ---- rules that people write


def test_the_rules_that_every_organization_begins_with_can_be_read() -> None:
    assert read_rules(DEFAULT_RULES) == DEFAULT_RULES


@pytest.mark.parametrize(
    ("rung", "rows", "words"),
    [
        ("pilot", [], "Pilot needs at least one gate"),
        ("pilot", [{"key": "luck", "need": None}], "'luck' is not a gate"),
        ("pilot", [{"key": "days", "need": "40"}], "takes 1 to 28"),
        ("pilot", [{"key": "days", "need": "many"}], "needs a number"),
        ("pilot", [{"key": "days", "need": "NaN"}], "takes 1 to 28"),
        ("pilot", [{"key": "legal", "need": None}] * 2, "names a gate twice"),
    ],
)
def test_rules_that_cannot_be_used_say_what_to_do(rung: str, rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(RulesError, match=words):
        read_rules(DEFAULT_RULES | {rung: rows})


def test_a_threshold_that_is_left_out_is_the_usual_one() -> None:
    read = read_rules(DEFAULT_RULES | {"scaled": [{"key": "teams", "need": None}, {"key": "legal", "need": "7"}]})
    assert read["scaled"] == [{"key": "teams", "need": "3"}, {"key": "legal", "need": None}]


def test_every_gate_says_what_it_asks() -> None:
    for gate in GATES.values():
        assert gate.what.endswith(".")
        assert "{need}" not in gate.title(gate.need)
        assert gate.need is None or gate.lowest <= gate.need <= gate.highest
