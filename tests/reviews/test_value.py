"""Waste, cost per outcome, its bridge, and the consumption walk: the examples of the metric list, and laws."""

from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.calc.bridge import BridgeError, Work, unit_cost_bridge
from consumption_cs.lib.money import MoneyError, round_lines
from reviews.calc.unit_cost import (
    Day,
    Valued,
    cost_per_outcome,
    mix_adjusted,
    outcomes_per_thousand,
    return_on_spend,
    unit_cost,
)
from reviews.calc.walk import chained_walks, consumption_walk
from reviews.calc.waste import Use, waste

D = Decimal
amounts = st.decimals(0, 10**7, places=2)
above_zero = st.decimals("0.01", 10**7, places=2)
names = st.sampled_from("abcdef")
months = st.dictionaries(names, st.decimals(-1000, 10**7, places=4))


@st.composite
def works(draw: Any, numbers: Any = above_zero) -> list[Work]:
    workflows = draw(st.lists(names, unique=True, min_size=1))
    made = [Work(name, draw(numbers), draw(numbers), draw(numbers), draw(numbers)) for name in workflows]
    return [*made, Work("always", D(1), D(1), D(1), draw(numbers))]


def work(price: str, units: str, success: str, workflow: str = "ocr", attempts: str = "1000") -> Work:
    tried, metered = D(attempts), D(attempts) * D(units)
    return Work(workflow, metered, tried, tried * D(success), metered * D(price))


# ---- 20: the bridge


def test_the_bridge_of_the_metric_list() -> None:
    bridge = unit_cost_bridge([work("0.010", "200", "0.80")], [work("0.012", "187.5", "0.75")], places=3)
    parts = bridge.parts
    assert (bridge.opening, bridge.closing) == (D("2.5"), D("3"))
    assert (parts.price, parts.efficiency, parts.reliability, parts.mix) == (D("0.5"), D("-0.177"), D("0.177"), 0)


@given(before=works(), after=works(), places=st.integers(0, 8))
def test_the_parts_of_a_bridge_leave_no_rest(before: list[Work], after: list[Work], places: int) -> None:
    bridge = unit_cost_bridge(before, after, places=places)
    assert bridge.opening + sum(bridge.parts.amounts()) == bridge.closing


@given(before=works(), after=works(), order=st.randoms())
def test_the_order_of_workflows_does_not_matter(before: list[Work], after: list[Work], order: Any) -> None:
    bridge = unit_cost_bridge(before, after)
    order.shuffle(before)
    order.shuffle(after)
    assert unit_cost_bridge(before, after) == bridge


@given(before=works(), after=works())
def test_a_bridge_walked_back_has_the_opposite_parts(before: list[Work], after: list[Work]) -> None:
    there, back = unit_cost_bridge(before, after), unit_cost_bridge(after, before)
    for one, other in zip(there.workflows, back.workflows, strict=True):
        for name in ("price", "efficiency", "reliability", "mix", "undelivered"):
            assert abs(getattr(one, name) + getattr(other, name)) < D("1e-40")
        assert abs(one.started + other.stopped) < D("1e-40")


@given(before=works(amounts), after=works(amounts))
def test_workflows_without_outcomes_or_spend_are_told_apart(before: list[Work], after: list[Work]) -> None:
    bridge = unit_cost_bridge(before, after)
    assert bridge.opening + sum(bridge.parts.amounts()) == bridge.closing


def test_nothing_changed_is_a_bridge_of_nothing() -> None:
    same = [work("0.010", "200", "0.80"), work("1", "2", "0.5", "chat")]
    bridge = unit_cost_bridge(same, same)
    assert bridge.opening == bridge.closing
    assert not any(bridge.parts.amounts())


def test_a_shift_to_the_dear_workflow_is_mix_and_nothing_else() -> None:
    before = [work("1", "1", "1", "cheap", "900"), work("10", "1", "1", "dear", "100")]
    after = [work("1", "1", "1", "cheap", "100"), work("10", "1", "1", "dear", "900")]
    parts = unit_cost_bridge(before, after).parts
    assert parts.mix == D("7.2")
    assert not any((parts.price, parts.efficiency, parts.reliability, parts.started, parts.stopped))


def test_started_and_stopped_workflows_have_lines_of_their_own() -> None:
    bridge = unit_cost_bridge([work("1", "1", "1", "old")], [work("3", "1", "1", "new")])
    assert (bridge.parts.started, bridge.parts.stopped, bridge.parts.price) == (D(3), D(-1), 0)


def test_without_outcomes_there_is_no_bridge() -> None:
    with pytest.raises(BridgeError, match="without outcomes"):
        unit_cost_bridge([work("1", "1", "0")], [work("1", "1", "1")])


@st.composite
def measured(draw: Any) -> list[Work]:
    """Workflows of one or more meters, some of which bring many outcomes an attempt, and corrections beside them."""
    made = [Work("always", D(1), D(1), D(1), draw(above_zero))]
    for name in draw(st.lists(names, unique=True, max_size=4)):
        attempts, outcomes = draw(amounts), draw(amounts)
        told = draw(st.none() | st.decimals(0, 10**6, places=2))
        meters = draw(st.lists(st.sampled_from("xyz"), unique=True, min_size=1))
        made += [Work(name, draw(amounts), attempts, outcomes, draw(amounts), meter, told) for meter in meters]
    return [*made, Work("", D(0), D(0), D(0), draw(st.decimals(-(10**5), 10**5, places=2)), "beside")]


@given(before=measured(), after=measured(), places=st.integers(0, 4))
def test_meters_refunds_and_many_outcomes_an_attempt_leave_no_rest(
    before: list[Work], after: list[Work], places: int
) -> None:
    bridge = unit_cost_bridge(before, after, places=places)
    assert bridge.opening + sum(bridge.parts.amounts()) == bridge.closing
    columns = zip(*(change.amounts() for change in bridge.workflows), strict=True)
    for column, part in zip(columns, bridge.parts.amounts(), strict=True):
        assert abs(sum(column) - part) <= D(1).scaleb(-places)


def test_meters_of_a_workflow_share_its_attempts_and_outcomes() -> None:
    def both(price: str) -> list[Work]:
        return [Work("ocr", D(200), D(100), D(80), D(200) * D(price), "in"),
                Work("ocr", D(50), D(100), D(80), D(100), "out")]  # fmt: skip

    bridge = unit_cost_bridge(both("1"), both("1.2"), places=2)
    assert (bridge.opening, bridge.closing) == (D("3.75"), D("4.25"))
    assert bridge.parts.price == D("0.50")
    assert [change.workflow for change in bridge.workflows] == ["ocr"]


def test_fewer_failures_are_reliability_and_more_outcomes_an_attempt_are_efficiency() -> None:
    before = Work("batch", D(100), D(100), D(900), D(100), "", D(90))
    surer = Work("batch", D(100), D(100), D(1000), D(100), "", D(100))
    fuller = Work("batch", D(100), D(100), D(1800), D(100), "", D(90))
    one, other = (unit_cost_bridge([before], [after]).parts for after in (surer, fuller))
    assert one.reliability < 0 == one.efficiency
    assert other.efficiency < 0 == other.reliability


# ---- 19 and 21: cost per outcome, outcomes per thousand, return


def test_outcomes_are_counted_a_lag_later_than_the_spend() -> None:
    days = [Day(date(2026, 3, day), D(day), D(10 * day)) for day in range(1, 11)]
    cost = unit_cost(days, date(2026, 3, 1), date(2026, 3, 4), today=date(2026, 3, 11), lag_days=2)
    assert (cost.spend, cost.outcomes, cost.per_outcome) == (D(6), D(120), D("0.05"))
    assert cost.open_from is None


@pytest.mark.parametrize(
    ("end", "open_from"), [(9, None), (10, date(2026, 3, 9)), (12, date(2026, 3, 9))], ids=["known", "day", "days"]
)
def test_days_whose_outcomes_are_not_known_yet_are_marked(end: int, open_from: date | None) -> None:
    cost = unit_cost([], date(2026, 3, 5), date(2026, 3, end), today=date(2026, 3, 11), lag_days=2)
    assert (cost.open_from, cost.per_outcome) == (open_from, None)


def test_no_outcome_is_neither_free_nor_endlessly_dear() -> None:
    assert cost_per_outcome(D(5), D(0)) is None
    assert outcomes_per_thousand(D(0), D(5)) is None
    assert outcomes_per_thousand(D("250"), D(50)) == 200
    with pytest.raises(ValueError, match="after the spend"):
        unit_cost([], date(2026, 3, 1), date(2026, 3, 2), today=date(2026, 3, 3), lag_days=-1)


def test_a_fixed_mix_is_not_moved_by_a_shift_between_workflows() -> None:
    assert mix_adjusted({"a": D(1), "b": D(3), "new": D(99)}, {"a": D(3), "b": D(1), "gone": D(5)}) == D("1.5")
    assert mix_adjusted({"a": D(1)}, {}) is None


def test_only_values_that_the_customer_confirmed_count() -> None:
    lines = [Valued(D(10), D(5), True), Valued(D(4), D(100), False), Valued(D(1), None, True)]
    worth = return_on_spend(lines, D(20))
    assert (worth.value, worth.ratio, worth.unconfirmed) == (D(50), D("2.5"), D(5))
    assert return_on_spend(lines[1:], D(20)).ratio is None
    assert return_on_spend(lines, D(0)).ratio is None


# ---- 18: waste

flags = st.booleans()
uses = st.lists(st.builds(Use, amounts, flags, flags, flags, flags, flags), max_size=12)


def test_each_event_is_wasted_once_under_the_first_reason() -> None:
    found = waste(
        [
            Use(D(10), is_failed=True, is_retry=True, is_vendor_fault=True),
            Use(D(5), is_retry=True, is_duplicate=True),
            Use(D(3), is_duplicate=True, is_production=False),
            Use(D(20), is_production=False),
            Use(D(60)),
        ],
        non_production_quota=D(15),
        idle_minimum=D(2),
    )
    assert (found.failed, found.retries, found.duplicates, found.beyond_quota, found.idle_minimum) == (10, 5, 3, 5, 2)
    assert (found.total, found.spend, found.percent, found.credit_candidate) == (25, 100, 25, 10)


@given(uses=uses, quota=st.none() | amounts, idle=amounts)
def test_waste_is_never_more_than_was_spent(uses: list[Use], quota: Decimal | None, idle: Any) -> None:
    found = waste(uses, non_production_quota=quota, idle_minimum=idle)
    parts = (found.failed, found.retries, found.duplicates, found.beyond_quota, found.idle_minimum)
    assert sum(parts) == found.total <= found.spend
    assert found.credit_candidate <= found.failed
    assert found == waste(reversed(uses), non_production_quota=quota, idle_minimum=idle)


def test_nothing_spent_is_no_percentage() -> None:
    assert waste([]).percent is None


# ---- 25: the walk


def test_the_walk_of_the_retention_example() -> None:
    before = {"a": D(100), "b": D(50), "c": D(30), "d": D(20)}
    walk = consumption_walk(before, {"a": D(130), "b": D(40), "c": D(30), "e": D(7)})
    assert (walk.opening, walk.new, walk.expansion, walk.contraction, walk.churn, walk.closing) == (
        200, 7, 30, 10, 20, 207,
    )  # fmt: skip
    assert [step.kind for step in walk.steps] == ["expansion", "contraction", "same", "churn", "new"]


@given(series=st.lists(months, min_size=2, max_size=6), places=st.integers(0, 3))
def test_walks_reconcile_to_the_last_place_and_chain(series: list[dict[str, Decimal]], places: int) -> None:
    walks = chained_walks(series, places=places)
    for walk in walks:
        assert walk.opening + walk.new + walk.expansion - walk.contraction - walk.churn == walk.closing
        assert walk.opening + sum(step.change for step in walk.steps) == walk.closing
    for one, following in pairwise(walks):
        assert one.closing == following.opening


# ---- rounding to a given total


def test_lines_between_two_rounded_amounts_may_be_a_unit_off_and_no_more() -> None:
    assert round_lines([D("0.004"), D("0.004")], 2, total=D("0.01")) == [D("0.01"), D("0.00")]
    with pytest.raises(MoneyError, match="add up"):
        round_lines([D("0.004")], 2, total=D("0.02"))
