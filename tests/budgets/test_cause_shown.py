"""A cause card as it is drawn: the bars end where the spend is, and the words say what the amounts say."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.calc.cause import Causes, Done, split_spend
from budgets.calc.verdict import Window, verdict
from budgets.models import Alert
from budgets.reports.cause_shown import bridge_rows, cause_shown, finding, story

D = Decimal
EXPONENTS = {"USD": 2, "JPY": 0, "KWD": 3}
amounts = st.decimals(min_value=-500, max_value=5000, places=4)


def card(opening: str, difference: str, **parts: str) -> dict[str, Any]:
    rows = [{"workflow": "Claims", "group": "key a", "difference": difference}]
    named = [{"name": name, "label": name, "words": "", "amount": amount} for name, amount in parts.items()]
    closing = str(D(opening) + D(difference))
    own = {"currency": "USD", "opening": opening, "closing": closing, "difference": difference}
    return {**own, "parts": named, "rows": rows, "by": []}


@pytest.mark.parametrize("currency", list(EXPONENTS))
@given(
    st.dictionaries(st.sampled_from("abc"), amounts, max_size=3),
    st.dictionaries(st.sampled_from("abc"), amounts, max_size=3),
)
def test_parts_add_up_in_every_currency_with_refunds_and_workflows_that_come_and_go(
    currency: str, before: dict[str, Decimal], after: dict[str, Decimal]
) -> None:
    windows = [
        {(name, "m"): Done(abs(spend), D(3), D(2), spend) for name, spend in one.items()} for one in (before, after)
    ]
    split = split_spend(*windows, places=EXPONENTS[currency])
    assert split.opening + sum(split.parts.amounts()) == split.closing
    assert split.closing.as_tuple().exponent == -EXPONENTS[currency]
    for (name, _), parts in split.lines.items():
        own = after.get(name, D(0)) - before.get(name, D(0))
        assert abs(sum(parts.amounts()) - own) < D("1e-15")


def test_a_change_of_price_within_the_window_is_price() -> None:
    before = {("w", "m"): Done(D(100), D(100), D(100), D(10))}
    after = {("w", "m"): Done(D(100), D(100), D(100), D(15))}  # half of it at twice the price
    parts = split_spend(before, after).parts
    assert parts == Causes(price=D("5.00"), **{name: D("0.00") for name in _others("price")})


def _others(name: str) -> list[str]:
    return [one for one in Causes.__slots__ if one != name]


def test_money_without_use_is_a_correction_and_neither_new_work_nor_stopped() -> None:
    refund = {("", ""): Done(D(0), D(0), D(0), D(-7))}
    assert split_spend({}, refund).parts.other == D("-7.00")
    assert split_spend(refund, {}).parts.other == D("7.00")


def test_bars_begin_where_the_one_before_ended_and_stay_on_the_scale() -> None:
    rows = bridge_rows(card("100", "50", volume="70", mix="-20"))
    spans = [(float(row["x"][:-1]), float(row["width"][:-1])) for row in rows]
    assert [row["bar"] for row in rows] == ["base", "up", "dn", "tot"]
    assert spans[1][0] == pytest.approx(spans[0][1], abs=0.01)
    assert spans[3][1] == pytest.approx(spans[2][0], abs=0.01)
    assert all(0 <= x and x + width <= 100.01 for x, width in spans)


def test_the_heading_says_which_part_is_most_of_it() -> None:
    assert finding(card("127.00", "127.00", reliability="121.40", volume="5.60")) == (
        "$121.40 of the extra $127.00 paid for repeat attempts"
    )
    assert finding(card("10.00", "-4.00", price="1.00", volume="-5.00")).startswith("$4.00 less than usual")
    assert finding(card("10.00", "0.00", price="0.00")) == "It cost what is usual"


def test_a_card_says_why_it_differs_from_its_alert_only_when_it_does() -> None:
    shown = card("10.00", "4.00", volume="4.00")
    assert story(shown, Alert(numbers={"impact": "4.001"})) == ""
    assert "+$9.00" in story(shown, Alert(numbers={"impact": "9"}))
    assert cause_shown(shown)["story"] == ""


def window(hours: list[int], **more: Any) -> Window:
    spend = tuple(D(one) for one in hours)
    return Window(D(100), D(90), D(100), D(95), sum(spend, D(0)), spend[0], 2, 1, spend, **more)


def signs(usual: list[int], now: list[int]) -> dict[str, str]:
    found = verdict(window(usual), window(now), None, None)
    return {sign.name: sign.says for sign in found.signs}


def test_a_step_speaks_for_a_loop_and_a_ramp_for_growth() -> None:
    assert signs([10] * 6, [60] * 6)["ramp"] == "loop"
    assert signs([10] * 6, [12, 14, 20, 30, 40, 60])["ramp"] == "growth"


def test_extra_at_night_speaks_for_a_loop_and_extra_with_the_day_for_growth() -> None:
    day = [1, 1, 1, 1, 20, 20, 20, 20]
    assert signs(day, [one + 10 for one in day])["quiet_hours"] == "loop"
    assert signs(day, [one * 3 for one in day])["quiet_hours"] == "growth"
    assert signs([10] * 8, [30] * 8)["quiet_hours"] == "neither"
