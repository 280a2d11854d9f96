"""Commits are drawn in a stated order, to the last digit, and the same in one run as in two."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.calc.burndown import burn_down
from budgets.calc.grants import (
    POLICIES,
    BurndownError,
    Grant,
    Recurrence,
    Rollover,
    debit_lots,
    draw_order,
    why_before,
)
from budgets.calc.history import balance_history, even_borders
from budgets.calc.snapshots import Burndown, Reset, Snapshot, UsageItem, full_balances
from consumption_cs.lib.periods import parse_interval

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
LENGTH = 48  # hours of a run; whole hours, so that borders often coincide
UNTIL = START + timedelta(hours=LENGTH)
METERS = ["tokens", "seats"]
moderate = settings(max_examples=100, deadline=None)


def hour(count: int) -> datetime:
    return START + timedelta(hours=count)


def make_grant(id: str = "g1", amount: str = "100", starts: int = 0, ends: int | None = None, **more: object) -> Grant:
    expires_at = None if ends is None else hour(ends)
    return Grant(id, D(amount), hour(starts), expires_at=expires_at, **more)  # type: ignore[arg-type]


def used(at: int, amount: str, meter: str = "tokens") -> UsageItem:
    return UsageItem(hour(at), D(amount), meter)


def burn(grants: list[Grant], usage: list[UsageItem], start: int = 0, until: int = LENGTH, **more: object) -> Burndown:
    return burn_down(grants, usage, start=hour(start), until=hour(until), **more)  # type: ignore[arg-type]


money = st.decimals(min_value=0, max_value=D(1000), places=6, allow_nan=False)
changes = st.decimals(min_value=-500, max_value=500, places=6, allow_nan=False)
hours = st.integers(-10, LENGTH + 10)


@st.composite
def grant_lists(draw: st.DrawFn) -> list[Grant]:
    count = draw(st.integers(0, 4))
    return [draw(some_grant(f"g{index}")) for index in range(count)]


@st.composite
def some_grant(draw: st.DrawFn, id: str) -> Grant:
    most = draw(money)
    recurrence = st.builds(
        Recurrence, st.sampled_from([parse_interval("PT5H"), parse_interval("P1D")]), hours.map(hour)
    )
    return Grant(
        id,
        draw(money),
        hour(draw(hours)),
        priority=draw(st.integers(1, 2)),
        expires_at=draw(st.none() | hours.map(hour)),
        voided_at=draw(st.none() | hours.map(hour)),
        rollover=Rollover(draw(st.just(D(0)) | st.just(most)), most),
        recurrence=draw(st.none() | recurrence),
        kind=draw(st.sampled_from(["prepaid", "promotional"])),
        only_meters=draw(st.sampled_from([frozenset(), frozenset({"tokens"})])),
        except_meters=draw(st.sampled_from([frozenset(), frozenset({"seats"})])),
        rolls_over_at=draw(st.none() | hours.map(hour)),
        changes=tuple(draw(st.lists(st.tuples(hours.map(hour), changes), max_size=2))),
    )


amounts = st.decimals(min_value=D(-300), max_value=D(1000), places=6, allow_nan=False)
usages = st.lists(st.builds(UsageItem, hours.map(hour), amounts, st.sampled_from(METERS)), max_size=15)
resets = st.lists(
    st.builds(Reset, st.integers(1, LENGTH).map(hour), st.booleans()), max_size=3, unique_by=lambda reset: reset.at
)
policies = st.sampled_from(sorted(POLICIES))


def run_all(grants: list[Grant], usage: list[UsageItem], resets: list[Reset], policy: str = "priority") -> Burndown:
    return burn_down(grants, usage, start=START, until=UNTIL, resets=resets, policy=policy)


@moderate
@given(grants=grant_lists(), usage=usages, resets=resets, cut=st.integers(0, LENGTH), policy=policies)
def test_two_runs_equal_one(
    grants: list[Grant], usage: list[UsageItem], resets: list[Reset], cut: int, policy: str
) -> None:
    whole = run_all(grants, usage, resets, policy)
    first = burn(grants, usage, 0, cut, resets=[row for row in resets if row.at <= hour(cut)], policy=policy)
    later = [row for row in resets if row.at > hour(cut)]
    second = burn(grants, usage, cut, LENGTH, resets=later, opening=first.closing, policy=policy)
    assert second.closing == whole.closing
    assert drawn_by_grant_and_meter(first, second) == drawn_by_grant_and_meter(whole)


def drawn_by_grant_and_meter(*runs: Burndown) -> dict[tuple[str, str], Decimal]:
    totals: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for run in runs:
        for draw in run.draws:
            totals[draw.grant_id, draw.meter] += draw.amount
    return {key: total for key, total in totals.items() if total}


@moderate
@given(grants=grant_lists(), usage=usages, resets=resets, order=st.randoms())
def test_the_order_in_which_grants_and_usage_arrive_changes_nothing(
    grants: list[Grant], usage: list[UsageItem], resets: list[Reset], order: Random
) -> None:
    mixed_grants, mixed_usage = list(grants), list(usage)
    order.shuffle(mixed_grants)
    order.shuffle(mixed_usage)
    assert run_all(mixed_grants, mixed_usage, resets) == run_all(grants, usage, resets)


@moderate
@given(grants=grant_lists(), usage=usages, resets=resets, policy=policies)
def test_every_balance_is_its_movements_less_its_draws(
    grants: list[Grant], usage: list[UsageItem], resets: list[Reset], policy: str
) -> None:
    run = run_all(grants, usage, resets, policy)
    balances = full_balances(grants, START)
    for movement in run.movements:
        balances[movement.grant_id] += movement.amount
    for draw in run.draws:
        balances[draw.grant_id] -= draw.amount
    assert balances == run.closing.balances


@moderate
@given(grants=grant_lists(), usage=usages, policy=policies)
def test_usage_of_each_meter_is_what_was_drawn_and_the_overage(
    grants: list[Grant], usage: list[UsageItem], policy: str
) -> None:
    run = run_all(grants, usage, [], policy)
    for meter in METERS:
        accepted = sum((item.amount for item in usage if item.meter == meter and START <= item.at < UNTIL), D(0))
        drawn = sum((draw.amount for draw in run.draws if draw.meter == meter), D(0))
        assert accepted == drawn + run.closing.overage.get(meter, 0)
        assert all(total >= 0 for total in drawn_by_grant_and_meter(run).values())
    assert run.closing.grant_usage == sum((draw.amount for draw in run.draws), D(0))
    assert sum((segment.usage for segment in run.segments), D(0)) == run.closing.period_usage


@moderate
@given(grants=grant_lists(), usage=usages, resets=resets)
def test_no_balance_is_below_zero_or_above_what_it_can_hold(
    grants: list[Grant], usage: list[UsageItem], resets: list[Reset]
) -> None:
    most = {
        grant.id: max(grant.amount, grant.rollover.most)
        + sum((max(change, D(0)) for _, change in grant.changes), D(0))
        for grant in grants
    }
    for segment in run_all(grants, usage, resets).segments:
        assert all(0 <= balance <= most[name] for name, balance in segment.balance_at_end.items())


@moderate
@given(grants=grant_lists(), usage=usages, resets=resets)
def test_a_commit_pays_only_while_it_is_in_force_and_only_for_its_meters(
    grants: list[Grant], usage: list[UsageItem], resets: list[Reset]
) -> None:
    by_id = {grant.id: grant for grant in grants}
    for draw in run_all(grants, usage, resets).draws:
        assert by_id[draw.grant_id].is_active(draw.at)
        assert by_id[draw.grant_id].pays_for(draw.meter)
        assert draw.why


@moderate
@given(grants=grant_lists(), usage=usages.map(lambda rows: [row for row in rows if row.amount >= 0]), more=money)
def test_more_usage_never_leaves_more_or_owes_less(grants: list[Grant], usage: list[UsageItem], more: Any) -> None:
    less = run_all(grants, usage, [])
    greater = run_all(grants, [*usage, UsageItem(hour(3), more, "tokens")], [])
    assert greater.closing.total_balance <= less.closing.total_balance
    assert greater.closing.total_overage >= less.closing.total_overage


@moderate
@given(grants=grant_lists(), usage=usages, at=st.integers(0, 14), part=st.decimals(0, 1, places=3))
def test_splitting_an_event_in_two_changes_no_balance(
    grants: list[Grant], usage: list[UsageItem], at: int, part: Decimal
) -> None:
    if at >= len(usage):
        return
    item = usage[at]
    halves = [
        UsageItem(item.at, item.amount * part, item.meter),
        UsageItem(item.at, item.amount * (1 - part), item.meter),
    ]
    whole, split = run_all(grants, usage, []), run_all(grants, usage[:at] + halves + usage[at + 1 :], [])
    assert split.closing == whole.closing


@moderate
@given(grants=grant_lists(), usage=usages, resets=resets, cuts=st.sets(st.integers(1, LENGTH - 1), max_size=6))
def test_the_chart_ends_where_the_run_ends(
    grants: list[Grant], usage: list[UsageItem], resets: list[Reset], cuts: set[int]
) -> None:
    borders = [START, *(hour(cut) for cut in sorted(cuts)), UNTIL]
    windows = balance_history(grants, usage, borders, resets=resets)
    assert [window.start for window in windows] == borders[:-1]
    assert sum((window.usage for window in windows), D(0)) == sum(
        (item.amount for item in usage if START <= item.at < UNTIL), D(0)
    )
    assert windows[-1].overage_at_end == run_all(grants, usage, resets).closing.total_overage


def test_two_overlapping_commits_are_drawn_by_expiry() -> None:
    early, late = make_grant("early", ends=20), make_grant("late", ends=40)
    run = burn([late, early], [used(1, "60"), used(2, "60")])
    assert drawn_by_grant_and_meter(run) == {("early", "tokens"): D(100), ("late", "tokens"): D(20)}
    assert [(draw.grant_id, draw.why) for draw in run.draws] == [
        ("early", "earlier expiry, before late"),
        ("early", "earlier expiry, before late"),
        ("late", "early is used up"),
    ]


def test_usage_at_the_moment_of_expiry_is_not_paid() -> None:
    run = burn([make_grant(ends=5)], [used(5, "10")])
    assert run.closing.overage == {"tokens": D(10)}
    assert [(row.kind, row.amount) for row in run.movements] == [("expired", D(-100))]


def test_an_expiry_at_the_very_end_of_the_run_belongs_to_the_next() -> None:
    first = burn([make_grant(ends=10)], [used(1, "30")], 0, 10)
    assert first.closing.balances == {"g1": D(70)}
    second = burn([make_grant(ends=10)], [], 10, 20, opening=first.closing)
    assert second.closing.balances == {"g1": D(0)}
    assert [row.kind for row in second.movements] == ["expired"]


def test_overage_is_paid_by_the_next_commit_of_the_same_period() -> None:
    run = burn([make_grant(starts=10)], [used(1, "30")])
    assert run.closing.balances == {"g1": D(70)}
    assert [(draw.at, draw.amount) for draw in run.draws] == [(hour(10), D(30))]


def test_a_reset_without_preserving_drops_the_overage() -> None:
    grants, usage = [make_grant(starts=20)], [used(1, "30")]
    assert burn(grants, usage, resets=[Reset(hour(10))]).closing.balances == {"g1": D(100)}
    assert burn(grants, usage, resets=[Reset(hour(10), preserve_overage=True)]).closing.balances == {"g1": D(70)}


def test_a_correction_lowers_overage_first_and_then_gives_back_what_was_drawn_last() -> None:
    grants = [make_grant("first", priority=1), make_grant("second", priority=2)]
    run = burn(grants, [used(1, "230"), used(2, "-80")])
    assert run.closing.overage == {}
    assert run.closing.balances == {"first": D(0), "second": D(50)}
    assert run.draws[-1].amount == D(-50)
    assert "corrected" in run.draws[-1].why


def test_a_correction_with_nothing_to_give_back_waits_for_usage() -> None:
    run = burn([make_grant()], [used(1, "-30"), used(2, "50")])
    assert run.closing.balances == {"g1": D(80)}
    alone = burn([], [used(1, "-30")])
    assert alone.closing.overage == {"tokens": D(-30)}


def test_what_one_meter_gives_back_pays_the_overage_of_another_at_once() -> None:
    run = burn([make_grant()], [used(1, "100", "seats"), used(2, "40", "tokens"), used(3, "-60", "seats")])
    assert run.closing.overage == {}
    assert run.closing.balances == {"g1": D(20)}
    assert drawn_by_grant_and_meter(run) == {("g1", "seats"): D(40), ("g1", "tokens"): D(40)}


def test_a_correction_never_gives_back_more_than_its_meter_drew() -> None:
    run = burn([make_grant()], [used(1, "50", "seats"), used(2, "-20", "tokens")])
    assert run.closing.balances == {"g1": D(50)}
    assert run.closing.overage == {"tokens": D(-20)}


def test_a_commit_of_nothing_pays_nothing() -> None:
    run = burn([make_grant(amount="0")], [used(1, "10")])
    assert run.closing.total_overage == 10
    assert run.draws == ()


def test_an_exhausted_commit_leaves_the_rest_as_overage() -> None:
    closing = burn([make_grant(amount="100")], [used(1, "99.999999"), used(2, "0.000002")]).closing
    assert closing.balances == {"g1": D(0)}
    assert closing.total_overage == D("0.000001")


def test_excluded_meters_are_not_paid() -> None:
    grants = [make_grant("no-seats", except_meters=frozenset({"seats"}))]
    run = burn(grants, [used(1, "10", "seats"), used(1, "10", "tokens")])
    assert run.closing.overage == {"seats": D(10)}
    assert run.closing.balances == {"no-seats": D(90)}


def test_a_refill_replaces_what_is_left_and_does_not_add() -> None:
    daily = Recurrence(parse_interval("P1D"), START)
    run = burn([make_grant(recurrence=daily)], [used(1, "30"), used(25, "40")])
    assert [segment.balance_at_start["g1"] for segment in run.segments] == [100, 100]
    assert run.closing.balances == {"g1": D(100)}
    assert [(row.kind, row.amount) for row in run.movements] == [("refilled", D(30)), ("refilled", D(40))]


def test_a_commit_with_its_own_rollover_keeps_its_balance_at_resets() -> None:
    grant = make_grant(ends=40, rollover=Rollover(D(0), D(30)), rolls_over_at=hour(20))
    run = burn([grant], [used(1, "10")], resets=[Reset(hour(10))], until=30)
    assert [(row.at, row.kind, row.amount) for row in run.movements] == [(hour(20), "rolled_over", D(-60))]
    assert run.closing.balances == {"g1": D(30)}


def test_a_change_adds_to_what_is_left_and_never_takes_more() -> None:
    grant = make_grant(changes=((hour(5), D(20)), (hour(9), D(-500))))
    run = burn([grant], [used(1, "70"), used(6, "10")])
    assert [(row.at, row.kind, row.amount) for row in run.movements] == [
        (hour(5), "amended", D(20)),
        (hour(9), "amended", D(-40)),
    ]
    assert run.closing.balances == {"g1": D(0)}


def test_a_change_brings_overage_of_the_period_home() -> None:
    run = burn([make_grant(amount="10", changes=((hour(5), D(20)),))], [used(1, "25")])
    assert (run.closing.total_overage, run.closing.total_balance) == (D(0), D(5))


def test_people_read_the_names_of_commits() -> None:
    named = [make_grant("a", "5", name="Prepaid 2026"), make_grant("b", name="Promo", priority=2)]
    run = burn(named, [used(1, "8")])
    assert [draw.why for draw in run.draws] == ["lower priority number, before Promo", "Prepaid 2026 is used up"]


def test_a_gauge_counts_its_last_value_in_each_segment() -> None:
    run = burn([make_grant(starts=10)], [used(1, "5"), used(2, "7"), used(11, "9")], aggregation="latest")
    assert [segment.usage for segment in run.segments] == [7, 9]


def test_how_a_commit_ended_is_told_apart() -> None:
    grants = [
        make_grant("a", ends=5), make_grant("b", voided_at=hour(5), ends=9), make_grant("c", deleted_at=hour(5)),
    ]  # fmt: skip
    run = burn(grants, [])
    assert {row.grant_id: row.kind for row in run.movements} == {"a": "expired", "b": "voided", "c": "deleted"}


def test_the_state_at_the_start_is_the_state_of_an_empty_run() -> None:
    closing = burn([make_grant()], [used(1, "5")], 0, 0).closing
    assert closing == Snapshot({"g1": D(100)}, {}, D(0), D(0), START)


@pytest.mark.parametrize(
    ("code", "grants", "more"),
    [
        ("unknown_grant", [], {"opening": Snapshot({"g9": D(1)})}),
        ("missing_balance", [make_grant(starts=-1)], {"opening": Snapshot({})}),
        ("negative_balance", [make_grant()], {"opening": Snapshot({"g1": D(-1)})}),
        ("duplicate_grant", [make_grant(), make_grant()], {}),
        ("reset_not_after_start", [], {"resets": [Reset(START)]}),
        ("reset_after_end", [], {"resets": [Reset(hour(99))]}),
        ("end_before_start", [], {"until": -1}),
        ("unknown_policy", [make_grant()], {"policy": "alphabet"}),
    ],
)
def test_a_contradiction_is_named(code: str, grants: list[Grant], more: Any) -> None:
    with pytest.raises(BurndownError) as caught:
        burn(grants, [], **more)
    assert caught.value.code == code


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity"])
def test_a_commit_cannot_be_negative_or_unbounded(amount: Any) -> None:
    with pytest.raises(BurndownError, match="zero or more"):
        make_grant(amount=amount)


def test_policies_order_the_same_commits_differently() -> None:
    promo = make_grant("promo", priority=9, ends=40, kind="promotional")
    soon, plain = make_grant("soon", priority=5, ends=10), make_grant("plain", priority=1)
    grants = [plain, promo, soon]
    orders = {policy: [grant.id for grant in draw_order(grants, policy)] for policy in POLICIES}
    assert orders == {
        "priority": ["plain", "soon", "promo"],
        "expiry_first": ["soon", "promo", "plain"],
        "promotional_first": ["promo", "soon", "plain"],
        "granted_first": ["plain", "soon", "promo"],
    }


def test_the_reason_names_the_rule_that_decided() -> None:
    grants = [make_grant("a", priority=2), make_grant("b", priority=1)]
    assert why_before(grants[1], grants) == "lower priority number, before a"
    assert why_before(grants[0], [grants[0]]) == "the only commit in force"
    twins = [make_grant("a"), make_grant("b")]
    assert why_before(twins[0], twins) == "first by id, before b"


def test_a_debit_beyond_what_the_lots_hold_changes_nothing_and_says_so() -> None:
    with pytest.raises(BurndownError, match="top up"):
        debit_lots([make_grant(amount="10")], D(11))
    with pytest.raises(BurndownError, match="add credit"):
        debit_lots([make_grant(amount="10")], D(-1))


def test_windows_of_a_chart_may_end_in_a_shorter_one() -> None:
    borders = even_borders(START, START + timedelta(hours=5), parse_interval("PT2H"))
    assert borders == [hour(0), hour(2), hour(4), hour(5)]
