"""Text in which figures stay bound, and content that can be checked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.calc.frozen import canonical, digest
from reviews.calc.narrative import bind, problems, used

NAMED = {"spend": "$28,960", "change": "14%"}
values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def test_a_name_in_braces_becomes_its_figure() -> None:
    assert bind("You spent {spend}, {change} less.", NAMED) == "You spent $28,960, 14% less."
    assert used("{spend} and { spend } and {change}") == ["spend", "change"]


@pytest.mark.parametrize(
    "text",
    [
        "Spend was {spend}.",
        "Since Jul 14 the form is checked, and from Aug 3, 2026 on prompts are trimmed.",
        "Value review of Q3 2026, agreed on 2026-10-04.",
        "Two of three workflows improved.",
    ],
)
def test_words_dates_and_bound_figures_may_be_written(text: str) -> None:
    assert problems(text, NAMED) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("We saved you $9,000.", "$9,000"),
        ("Success rose to 99.2%.", "99.2%"),
        ("12 incidents", "12"),
        ("about 3x as many", "3x"),
        ("2026% more", "2026%"),
        ("Aug 120 of them", "120"),
        ("2,026 of 2026", "2,026"),
        ("½ is fine but ٣ is a figure", "٣"),
    ],
)
def test_a_figure_typed_by_hand_is_refused(text: str, said: str) -> None:
    (problem,) = [one for one in problems(text, NAMED) if said in one]
    assert "typed by hand" in problem


def test_an_unknown_figure_and_an_open_brace_are_told() -> None:
    assert "no figure called “margin”" in problems("{margin}", NAMED)[0]
    assert "brace" in problems("{spend", NAMED)[0]
    assert "2,001 characters" in problems("x" * 2001, NAMED)[0]


@given(content=values)
def test_the_hash_does_not_depend_on_how_the_content_is_kept(content: Any) -> None:
    assert digest(json.loads(json.dumps(content))) == digest(content)


@given(content=st.dictionaries(st.text(), values, min_size=1))
def test_the_order_of_keys_does_not_matter_and_their_values_do(content: dict[str, Any]) -> None:
    turned = dict(reversed(list(content.items())))
    assert digest(turned) == digest(content)
    assert digest({**content, next(iter(content)): "another value"}) != digest(content) or "another value" in (
        content.values()
    )


def test_a_float_is_no_frozen_figure() -> None:
    with pytest.raises(TypeError, match="decimal as text"):
        canonical({"figures": [{"rate": 0.1}]})
