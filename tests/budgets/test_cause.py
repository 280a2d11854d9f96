"""Why spend changed: the parts always add up, and the verdict rests on signs."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from budgets.calc.cause import Done, split_spend, tasks_of
from budgets.calc.verdict import Window, verdict

D = Decimal
numbers = st.decimals(min_value=0, max_value=10**6, places=3)
dones = st.builds(
    lambda units, attempts, share, spend: Done(units, D(attempts), tasks_of(D(attempts), D(share), D(0), D(0)), spend),
    numbers, st.integers(0, 10**5), st.integers(0, 10**5), st.decimals(min_value=-1000, max_value=10**6, places=4),
)  # fmt: skip
windows = st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("mn")), dones, max_size=6)


@given(windows, windows, st.integers(0, 3))
def test_the_parts_of_a_difference_add_up_to_the_last_place(
    before: dict[tuple[str, str], Done], after: dict[tuple[str, str], Done], places: int
) -> None:
    split = split_spend(before, after, places=places)
    assert split.opening + sum(split.parts.amounts()) == split.closing


def test_the_golden_bridge_holds_for_spend() -> None:
    """Metric 20 with one outcome: price +0.500, efficiency −0.177, reliability +0.177."""
    before = {("w", "m"): Done(D(250), D("1.25"), D(1), D("2.5"))}
    after = {("w", "m"): Done(D(250), D(1) / D("0.75"), D(1), D(3))}
    parts = split_spend(before, after, places=3).parts
    assert (parts.price, parts.efficiency, parts.reliability) == (D("0.500"), D("-0.177"), D("0.177"))
    assert parts.volume == parts.mix == 0


def test_twice_the_work_is_volume_alone() -> None:
    one, two = Done(D(10), D(10), D(10), D(5)), Done(D(20), D(20), D(20), D(10))
    parts = split_spend({("w", "m"): one}, {("w", "m"): two}).parts
    assert (parts.volume, parts.reliability, parts.price) == (D("5.00"), 0, 0)


def test_repeat_attempts_are_reliability_even_if_nothing_succeeds() -> None:
    usual = Done(D(100), D(10), tasks_of(D(10), None, D(10), D(10)), D(10))
    loop = Done(D(4000), D(400), tasks_of(D(400), D(10), D(0), D(400)), D(400))
    parts = split_spend({("w", "m"): usual}, {("w", "m"): loop}).parts
    assert (parts.reliability, parts.volume) == (D("390.00"), 0)
    assert tasks_of(D(400), D(0), D(0), D(400)) == D("0.5")


def test_a_new_workflow_has_a_part_of_its_own() -> None:
    one = Done(D(10), D(10), D(10), D(5))
    parts = split_spend({}, {("w", "m"): one}).parts
    assert parts.started == D("5.00")


USUAL = Window(D(60), D(55), D(60), D(57), D(10), D(2), 2, 3)


def test_repeats_that_fail_with_one_key_are_a_loop() -> None:
    now = Window(D(400), D(50), D(400), D(2), D(120), D(40), 2, 3)
    found = verdict(USUAL, now, D("0.97"), D("0.97"))
    assert (found.kind, found.agreeing, len(found.signs)) == ("loop", 6, 7)


def test_more_work_of_many_that_succeeds_is_growth() -> None:
    now = Window(D(240), D(220), D(240), D(228), D(40), D(4), 5, 3)
    found = verdict(USUAL, now, D("0.3"), D("0.4"))
    assert found.kind == "growth"


def test_a_handful_of_attempts_gets_no_verdict() -> None:
    assert verdict(USUAL, Window(D(9), D(1), D(9), D(0), D(5)), None, None).kind == "too_little"


def test_signs_that_contradict_each_other_are_no_verdict() -> None:
    now = Window(D(44), D(24), D(44), D(24), D(120), D(1), 3, 2)
    found = verdict(Window(D(4), D(2), D(4), D(4), D(5), D(1), 2, 2), now, D("0.6"), D("1"))
    assert (found.kind, found.agreeing) == ("unclear", 0)
