"""Rating is exact: it never loses a cent, whichever way usage is cut, and says what is wrong with a price."""

from decimal import Decimal, localcontext
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consumption_cs.lib.money import EXACT, round_to
from usage.calc.commitment import FeatureUse, bill_commitment
from usage.calc.conversion import Conversion, ConversionError, run_rate_projection
from usage.calc.price_terms import MODELS, number, price_from, unknown_terms
from usage.calc.prices import Graduated, Package, Percentage, Price, PriceError, Tier, Unit, Usage, Volume
from usage.calc.rating import Slice, charges, delta, due, line, rate_slices, shared_out, spend

D = Decimal
moderate = settings(max_examples=100, deadline=None)


def decimals(top: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(min_value=0, max_value=D(top), places=places, allow_nan=False)


quantities = decimals("1e7", 3)
unit_prices = decimals("1000", 6)
places = st.sampled_from([0, 2, 3])


@st.composite
def tier_lists(draw: st.DrawFn) -> tuple[Tier, ...]:
    borders = sorted(draw(st.sets(decimals("1e6", 2).filter(bool), max_size=4)))
    return tuple(Tier(border, draw(unit_prices), draw(unit_prices)) for border in [*borders, None])


units = st.builds(Unit, unit_prices)
graduated = st.builds(Graduated, tier_lists())
packages = st.builds(Package, decimals("1000", 2).filter(bool), unit_prices, decimals("1000", 2))
percentages = st.builds(Percentage, decimals("100", 3), free_units=st.none() | decimals("1000", 2))
rising_models = units | graduated | packages | percentages
models = rising_models | st.builds(Volume, tier_lists())
conversions = st.builds(
    Conversion,
    st.sampled_from(["multiply", "divide"]),
    decimals("1000", 3).filter(bool),
    st.sampled_from([None, "ceil", "floor", "half_up"]),
)


def prices(of: st.SearchStrategy) -> st.SearchStrategy[Price]:
    return st.builds(
        Price,
        of,
        conversion=st.none() | conversions,
        free_units=decimals("100", 1),
        percent_discount=decimals("100", 2),
        max_spend=st.none() | decimals("1e6", 2),
    )


def price(model: str, params: dict[str, object], **around: object) -> Price:
    return price_from({"model": model, "params": params, **around})


def tiers(*rows: tuple[str | None, str, str]) -> list[dict[str, str | None]]:
    return [{"up_to": up_to, "unit": unit, "flat": flat} for up_to, unit, flat in rows]


THREE_TIERS = tiers(("1000000", "0.0005", "0"), ("5000000", "0.0003", "0"), (None, "0.0002", "0"))


def test_a_spike_is_refunded_at_what_it_added_not_at_what_it_would_cost_alone() -> None:
    graduated = price("graduated", {"tiers": THREE_TIERS})
    with_spike, without = spend(graduated, Usage(D(8_000_000))), spend(graduated, Usage(D(2_000_000)))
    assert (with_spike, without) == (D(2300), D(800))
    assert spend(graduated, Usage(D(6_000_000))) == D(1900)


@moderate
@given(rated=prices(rising_models), low=quantities, more=quantities)
def test_using_more_never_costs_less(rated: Price, low: Decimal, more: Any) -> None:
    assert spend(rated, Usage(low)) <= spend(rated, Usage(low + more))


@moderate
@given(rated=prices(models), first=quantities, second=quantities)
def test_splitting_usage_in_two_lines_keeps_the_sum(rated: Price, first: Decimal, second: Decimal) -> None:
    earlier = line(rated, Usage(first))
    later = line(rated, Usage(second), prior=Usage(first), prior_billed=earlier)
    assert EXACT.add(earlier, later) == spend(rated, Usage(first + second))


@moderate
@given(rated=prices(models), parts=st.lists(quantities, min_size=1, max_size=12), decimals=places)
def test_rounded_lines_add_up_to_the_rounded_total(rated: Price, parts: Any, decimals: int) -> None:
    lines = rate_slices([Slice(rated, Usage(part)) for part in parts], places=decimals)
    total = spend(rated, Usage(sum(parts, D(0))))
    assert sum(row.amount for row in lines) == round_to(total, decimals)
    assert all(row.amount == round_to(row.amount, decimals) for row in lines)


@moderate
@given(
    parts=st.lists(st.tuples(prices(models), quantities), min_size=2, max_size=10),
    at=st.integers(1, 9),
    decimals=places,
)
def test_rating_twice_or_in_two_goes_gives_what_one_run_gives(parts: Any, at: int, decimals: int) -> None:
    slices = [Slice(rated, Usage(quantity)) for rated, quantity in parts]
    whole = rate_slices(slices, places=decimals)
    assert rate_slices(slices, places=decimals) == whole
    assert rate_slices(slices[:at], places=decimals) == whole[:at]


@moderate
@given(rated=prices(models), values=st.lists(quantities, min_size=1, max_size=8), order=st.randoms())
def test_the_order_of_events_does_not_change_what_they_cost(
    rated: Price, values: list[Decimal], order: Random
) -> None:
    mixed = list(values)
    order.shuffle(mixed)
    totals = [rate_slices([Slice(rated, Usage(value)) for value in row])[-1].to_date for row in (values, mixed)]
    assert totals[0] == totals[1]


@moderate
@given(rated=prices(models), path=st.lists(quantities, min_size=1, max_size=8), decimals=places)
def test_late_usage_and_corrections_book_what_rating_once_would_have(
    rated: Price, path: list[Decimal], decimals: int
) -> None:
    booked = D(0)
    for cumulative in path:
        booked += delta(rated, Usage(cumulative), booked, places=decimals)
    assert booked == round_to(spend(rated, Usage(path[-1])), decimals)
    assert delta(rated, Usage(path[-1]), booked, places=decimals) == 0


@moderate
@given(rows=tier_lists().filter(lambda rows: len(rows) > 1), step=st.sampled_from([D("0.001"), D(1)]))
def test_a_graduated_tier_ends_at_its_border_and_not_one_step_later(rows: tuple[Tier, ...], step: Decimal) -> None:
    rated = Price(Graduated(rows))
    for lower, upper in pairwise(rows):
        border = lower.up_to or D(0)
        at, beyond = due(rated, Usage(border)), due(rated, Usage(border + step))
        assume(upper.up_to is None or border + step <= upper.up_to)
        assert beyond - at == upper.flat + step * upper.unit
        before = max(border - step, D(0))
        if len(charges(rated, Usage(before))) == len(charges(rated, Usage(border))):
            assert at - due(rated, Usage(before)) == (border - before) * lower.unit


@moderate
@given(rows=tier_lists(), step=st.sampled_from([D("0.001"), D(1)]))
def test_volume_takes_the_tier_of_the_border_at_the_border_and_the_next_one_step_later(
    rows: tuple[Tier, ...], step: Decimal
) -> None:
    rated = Price(Volume(rows))
    for lower, upper in pairwise(rows):
        quantity = lower.up_to or D(0)
        assert due(rated, Usage(quantity)) == quantity * lower.unit + lower.flat
        if upper.up_to is None or quantity + step <= upper.up_to:
            assert due(rated, Usage(quantity + step)) == (quantity + step) * upper.unit + upper.flat


def test_a_price_change_prices_no_unit_twice() -> None:
    old, new = price("unit", {"unit": "2"}), price("unit", {"unit": "3"})
    lines = rate_slices([Slice(old, Usage(D(10))), Slice(new, Usage(D(10))), Slice(new, Usage(D(1)))])
    assert [row.amount for row in lines] == [20, 30, 3]


def test_tiers_count_on_across_a_price_change() -> None:
    old = price("graduated", {"tiers": tiers(("10", "2", "5"), (None, "1", "7"))})
    new = price("graduated", {"tiers": tiers(("10", "4", "5"), (None, "3", "7"))})
    lines = rate_slices([Slice(old, Usage(D(8))), Slice(new, Usage(D(4)))])
    assert [row.amount for row in lines] == [21, 2 * 4 + 7 + 2 * 3]


def test_the_minimum_is_due_once_in_the_last_slice_of_a_final_period() -> None:
    rated = price("unit", {"unit": "1"}, min_spend="100")
    slices = [Slice(rated, Usage(D(10))), Slice(rated, Usage(D(20)))]
    assert [row.amount for row in rate_slices(slices)] == [10, 20]
    assert [row.amount for row in rate_slices(slices, final=True)] == [10, 90]


def test_a_maximum_never_takes_back_what_was_billed() -> None:
    rated = price("unit", {"unit": "10"}, max_spend="100")
    assert line(rated, Usage(D(5)), prior=Usage(D(11)), prior_billed=D(110)) == 0


def test_usage_corrected_below_zero_costs_what_no_usage_costs() -> None:
    rated = price("graduated", {"tiers": tiers(("10", "2", "5"), (None, "1", "0"))})
    assert due(rated, Usage(D(-3))) == due(rated, Usage(D(0))) == 5


def test_a_period_without_slices_has_no_lines() -> None:
    assert rate_slices([]) == []


def test_the_conversion_rounds_the_cumulative_quantity_not_each_event() -> None:
    rated = price("unit", {"unit": "10", "convert": {"op": "divide", "factor": "1000", "round": "ceil"}})
    lines = rate_slices([Slice(rated, Usage(D(400)))] * 5)
    assert [row.amount for row in lines] == [10, 0, 10, 0, 0]


def test_digits_survive_a_caller_with_a_poor_decimal_context() -> None:
    rated = price("unit", {"unit": "0.000000000001"})
    with localcontext() as context:
        context.prec = 5
        assert due(rated, Usage(D("99999999999999999999"))) == D("99999999.999999999999")


def test_the_discount_comes_after_the_price_and_before_the_limits() -> None:
    rated = price("unit", {"unit": "10"}, percent_discount="50", usage_discount="2", max_spend="45", min_spend="20")
    assert [spend(rated, Usage(D(n)), final=True) for n in (0, 2, 10, 12)] == [20, 20, 40, 45]


EVENTS = Usage(D(800), 4, (D(50), D(150), D(400)))


@pytest.mark.parametrize(
    ("free", "amount"),
    [
        ({"free_events": "3"}, "7.2"),  # 400 of 800 beyond, one event pays
        ({"free_events": "2", "free_units": "400"}, "12.45"),  # the tighter of both: 150 and 2 events
        ({"free_events": "3", "free_units": "100"}, "15.1"),  # 100, and the one event below it
        ({"free_events": "9"}, "0"),
        ({}, "18.4"),
    ],
)
def test_events_are_free_as_far_as_both_limits_allow(free: dict[str, Any], amount: Any) -> None:
    rated = price("percentage", {"percent": "1.3", "fixed_per_event": "2", **free})
    assert due(rated, EVENTS) == D(amount)


def test_free_events_without_their_totals_are_refused() -> None:
    rated = price("percentage", {"percent": "1", "free_events": "2"})
    with pytest.raises(PriceError, match="totals of the first 2 events"):
        due(rated, Usage(D(100), 5))


@pytest.mark.parametrize(
    ("free", "amount"),
    [
        ({}, "26.75"),  # 1 raised to 1.75, 5, and 100 lowered to 20
        ({"free_events": 1}, "25"),
        ({"free_units": "15"}, "24.5"),  # 10 and 5 of the 50 are free
        ({"free_events": 5}, "0"),
    ],
)
def test_each_event_is_priced_within_its_minimum_and_maximum(free: dict[str, Any], amount: Any) -> None:
    rated = price("percentage_per_event", {"percent": "10", "min_per_event": "1.75", "max_per_event": "20", **free})
    usage = Usage(D(1060), 3, event_values=(D(10), D(50), D(1000)))
    assert due(rated, usage) == D(amount)


def test_an_event_of_zero_pays_its_fee_once_nothing_is_free_any_more() -> None:
    rated = price("percentage_per_event", {"percent": "10", "fixed_per_event": "1", "free_units": "5"})
    assert due(rated, Usage(D(5), 2, event_values=(D(5), D(0)))) == 1
    assert due(rated, Usage(D(5), 2, event_values=(D(0), D(5)))) == 0


def test_usage_added_to_usage_keeps_running_totals() -> None:
    first, second = Usage(D(150), 2, (D(50), D(150))), Usage(D(650), 2, (D(250), D(650)))
    assert first.plus(second) == Usage(D(800), 4, (D(50), D(150), D(400), D(800)))


@pytest.mark.parametrize(("exponent", "amount"), [(0, "402"), (2, "4.02"), (3, "0.402")])
def test_a_supplied_amount_is_in_minor_units_of_its_currency(exponent: int, amount: Any) -> None:
    rated = price("supplied_amount", {"exponent": exponent})
    assert due(rated, Usage(D(1), supplied=D(402))) == D(amount)


@moderate
@given(
    commit=decimals("10000", 2),
    factor=decimals("3", 2),
    uses=st.lists(st.tuples(unit_prices, quantities), max_size=6),
    true_up=st.booleans(),
)
def test_a_commitment_is_drawn_to_the_last_digit(
    commit: Decimal, factor: Decimal, uses: list[tuple[Decimal, Decimal]], true_up: bool
) -> None:
    features = [FeatureUse(str(index), unit, quantity) for index, (unit, quantity) in enumerate(uses)]
    bill = bill_commitment(commit, factor, features, true_up=true_up)
    normal = sum((row.normal for row in bill.lines), D(0))
    cost = sum((unit * quantity for unit, quantity in uses), D(0))
    assert normal == min(commit, cost)
    assert bill.amount == normal + (cost - normal) * factor + bill.true_up
    assert bill.true_up == (commit - normal if true_up else 0)


@moderate
@given(amount=decimals("1e6", 4), used=st.lists(quantities, min_size=1, max_size=9), decimals=places)
def test_an_amount_shared_out_over_workflows_adds_up(amount: Any, used: list[Decimal], decimals: int) -> None:
    assert sum(shared_out(amount, used, places=decimals)) == round_to(amount, decimals)


def test_a_fee_that_nobody_used_is_shared_equally() -> None:
    assert shared_out(D(10), [D(0), D(0), D(-5)]) == [D("3.34"), D("3.33"), D("3.33")]


def test_a_projection_counts_today_as_passed() -> None:
    assert run_rate_projection(D(1200), 10, 30) == 3600
    with pytest.raises(ConversionError, match="Day 0"):
        run_rate_projection(D(1), 0, 30)


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"model": "free-for-all"}, "use one of"),
        ({"model": "unit", "params": {}}, "unit is missing"),
        ({"model": "unit", "params": {"unit": 0.1}}, "decimal string"),
        ({"model": "unit", "params": {"unit": True}}, "decimal string"),
        ({"model": "unit", "params": {"unit": "1e9"}}, "plain digits"),
        ({"model": "unit", "params": {"unit": "\uff11"}}, "plain digits"),
        ({"model": "unit", "params": {"unit": "0.1234567890123"}}, "13 decimals"),
        ({"model": "unit", "params": {"unit": "1" * 21}}, "21 digits"),
        ({"model": "unit", "params": {"unit": "-1"}}, "zero or more"),
        ({"model": "unit", "params": {"unit": "1"}, "percent_discount": "101"}, "0 to 100"),
        ({"model": "unit", "params": {"unit": "1"}, "min_spend": "2", "max_spend": "1"}, "below the minimum"),
        ({"model": "unit", "params": {"unit": "1", "convert": {"op": "add", "factor": "1"}}}, "multiply or divide"),
        ({"model": "unit", "params": {"unit": "1", "convert": {"op": "divide", "factor": "0"}}}, "above zero"),
        (
            {"model": "unit", "params": {"unit": "1", "convert": {"op": "divide", "factor": "1", "round": "up"}}},
            "half_up",
        ),
        ({"model": "graduated", "params": {}}, "tiers is missing"),
        ({"model": "graduated", "params": {"tiers": []}}, "last tier must be open"),
        ({"model": "graduated", "params": {"tiers": tiers(("5", "1", "0"))}}, "last tier must be open"),
        ({"model": "volume", "params": {"tiers": tiers((None, "1", "0"), (None, "1", "0"))}}, "Only the last"),
        (
            {"model": "volume", "params": {"tiers": tiers(("5", "1", "0"), ("5", "1", "0"), (None, "1", "0"))}},
            "overlap",
        ),
        ({"model": "package", "params": {"size": "0", "price": "1"}}, "size must be above zero"),
        ({"model": "percentage", "params": {"percent": "1", "free_events": "1.5"}}, "whole number"),
        (
            {"model": "percentage_per_event", "params": {"percent": "1", "min_per_event": "2", "max_per_event": "1"}},
            "below the minimum",
        ),
    ],
)
def test_a_price_that_cannot_be_used_says_what_to_do(terms: dict[str, Any], says: str) -> None:
    with pytest.raises(PriceError, match=says):
        price_from(terms)


def test_terms_that_mean_nothing_are_named() -> None:
    terms = {"model": "unit", "params": {"unit": "1", "free": "5"}, "max_spent": "9"}
    assert unknown_terms(terms) == ["max_spent", "params.free"]
    assert unknown_terms({"model": "unit", "params": {"unit": "1"}, "max_spend": "9"}) == []


def test_every_model_knows_its_terms() -> None:
    full: dict[str, dict[str, object]] = {
        "unit": {"unit": "1"}, "multiplier": {"factor": "1"}, "supplied_amount": {},
        "package": {"size": "1", "price": "1", "free_units": "1"},
        "graduated": {"tiers": tiers((None, "1", "1"))}, "volume": {"tiers": tiers((None, "1", "1"))},
        "graduated_percentage": {"tiers": [{"up_to": None, "percent": "1"}]},
        "percentage": {"percent": "1"}, "percentage_per_event": {"percent": "1", "max_per_event": "1"},
    }  # fmt: skip
    assert set(full) == set(MODELS)
    for model, params in full.items():
        assert unknown_terms({"model": model, "params": params}) == []
        assert due(price(model, params), Usage(D(0))) >= 0


def test_a_number_keeps_its_digits() -> None:
    assert str(number("0.100", "unit")) == "0.100"
    assert number(Decimal("1E+3"), "unit") == 1000
