"""The judge of the bench under fire: it says what is wrong, and says nothing when all is right."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from benchmarks.chaos import mutants
from benchmarks.chaos.oracle import Found, expected_alerts, judge

AMOUNTS = {"a": Decimal(1000), "b": Decimal(1000)}
ACCEPTED = {"a": 1120, "b": 34}  # of a budget of 1000: over with its grace, and 3.4 percent


def right() -> Found:
    """What the product has when all went well."""
    return Found(
        quantities={"a": Decimal(1120), "b": Decimal(34)},
        money={"a": Decimal(1120), "b": Decimal(34)},
        events=400,
        distinct_events=400,
        alerts=list(expected_alerts(ACCEPTED, AMOUNTS).elements()),
        limit_events=[("a", "warned"), ("a", "reached"), ("a", "acting")],
        told={"w1", "w2"},
    )


def test_nothing_is_wrong_when_everything_is_there_once() -> None:
    assert judge(ACCEPTED, 400, right(), {"w1": 1, "w2": 3}, AMOUNTS).is_right


def test_each_percent_is_expected_once_and_the_limit_where_it_is_passed() -> None:
    wanted = expected_alerts(ACCEPTED, AMOUNTS)
    assert sum(wanted.values()) == 100 + 2 + 3
    assert wanted["b", "actual_percent", Decimal(3)] == 1
    assert ("b", "actual_percent", Decimal(4)) not in wanted


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"quantities": {"a": Decimal(1119), "b": Decimal(34)}}, "lost"),
        ({"quantities": {"a": Decimal(1121), "b": Decimal(34)}}, "double"),
        ({"distinct_events": 399, "events": 399}, "lost"),
        ({"events": 401}, "double"),
        ({"money": {"a": Decimal(1120), "b": Decimal(33)}}, "money_wrong"),
        ({"alerts": [*expected_alerts(ACCEPTED, AMOUNTS).elements()][1:]}, "alerts_missing"),
        (
            {"alerts": [*expected_alerts(ACCEPTED, AMOUNTS).elements(), ("b", "actual_percent", Decimal(3))]},
            "alerts_duplicate",
        ),
        ({"limit_events": [("a", "reached")]}, "limits_wrong"),
        ({"limit_events": [("a", "reached"), ("a", "acting"), ("a", "acting")]}, "limits_wrong"),
        ({"told": {"w1", "w2", "w3"}}, "webhooks_missing"),
        ({"untold": 1}, "webhooks_missing"),
        ({"told": {"w1"}}, "webhooks_extra"),
    ],
)
def test_whatever_is_missing_or_there_twice_is_said(change: dict[str, Any], name: str) -> None:
    verdict = judge(ACCEPTED, 400, replace(right(), **change), {"w1": 1, "w2": 1}, AMOUNTS)
    assert getattr(verdict, name) > 0
    assert not verdict.is_right


@pytest.mark.parametrize("mutant", mutants.MUTANTS)
def test_a_mutant_is_a_program_that_compiles(mutant: str, tmp_path: Any) -> None:
    environment = mutants.write(mutant, tmp_path)
    assert environment["PYTHONPATH"] == str(tmp_path)
    for source in tmp_path.rglob("*.py"):
        compile(source.read_text(), str(source), "exec")
