"""Conditions of plays in words, over many days, and as people edit them."""

import numpy as np
import pytest

from reviews.calc.condition_days import begins, held
from reviews.calc.condition_words import as_alternatives, compared, from_alternatives, sentence
from reviews.calc.conditions import check, evaluate
from reviews.calc.default_plays import DEFAULT_PLAYS
from reviews.calc.metrics import DEFINITIONS

LOW = {"metric": "pacing", "op": "<", "value": 1.15}
LONG = {"metric": "top_share_percent", "op": ">", "value": 70, "for_days": 3}


def test_the_ten_plays_say_what_they_mean() -> None:
    said = {one.key: (sentence(one.entry), sentence(one.exit)) for one in DEFAULT_PLAYS}
    assert len(said) == 10
    assert said["spike"] == ("number of open spikes is at least 1", "number of open spikes is 0")
    assert said["stalled_onboarding"][1] == "time to first billable event is known"
    assert said["champion_lost"][0] == "champion gone is yes or last visit of an owner is at least 30 days"
    for one in DEFAULT_PLAYS:
        check(one.entry, list(DEFINITIONS))
        check(one.exit, list(DEFINITIONS))


@pytest.mark.parametrize(
    ("history", "words", "holds"),
    [
        ([1.31], "Pacing is 1.31, needs below 1.15", False),
        ([1.1], "Pacing is 1.1, below 1.15", True),
        ([None], "Pacing is not known, needs below 1.15", False),
        ([], "Pacing is not known, needs below 1.15", False),
    ],
)
def test_a_condition_is_told_with_the_figure_it_is_compared_to(
    history: list[float | None], words: str, holds: bool
) -> None:
    (line,) = compared(LOW, {"pacing": history})
    assert (line.text, line.holds) == (words, holds)


def test_days_so_far_are_counted() -> None:
    (line,) = compared(LONG, {"top_share_percent": [60, 75, 80]})
    assert line.text == "Share of the largest workflow is 80%, needs above 70% for 3 days (2 days so far)"


def test_money_is_told_in_the_accounts_currency() -> None:
    assert sentence({"metric": "commit_left", "op": ">", "value": 1200}, "EUR") == "commit left is above €1,200"


@pytest.mark.parametrize("one", DEFAULT_PLAYS, ids=lambda one: one.key)
def test_what_people_edit_means_the_same(one: object) -> None:
    rng = np.random.default_rng(7)
    for condition in (one.entry, one.exit):  # type: ignore[attr-defined]
        again = from_alternatives(as_alternatives(condition))
        assert again is not None
        for _ in range(40):
            history = {
                name: [None if rng.random() < 0.2 else float(value) for value in rng.normal(1, 60, 70)]
                for name in DEFINITIONS
            }
            assert evaluate(again, history).holds == evaluate(condition, history).holds


def test_many_days_at_once_agree_with_one_at_a_time() -> None:
    rng = np.random.default_rng(3)
    condition = {"any": [{"all": [LOW, LONG]}, {"metric": "pacing", "op": "unknown"}]}
    values = {name: rng.normal(mean, 1, (4, 30)) for name, mean in (("pacing", 1.2), ("top_share_percent", 71))}
    values["pacing"][rng.random((4, 30)) < 0.2] = np.nan
    found = held(condition, values, np.ones((4, 30), dtype=np.bool_))
    for account in range(4):
        for day in range(30):
            history = {
                name: [None if np.isnan(one) else float(one) for one in rows[account, : day + 1]]
                for name, rows in values.items()
            }
            assert found[account, day] == evaluate(condition, history).holds


def test_a_play_begins_once_until_its_exit_holds() -> None:
    entry = np.array([[1, 1, 0, 1, 0, 1]], dtype=np.bool_)
    leave = np.array([[0, 0, 0, 0, 1, 0]], dtype=np.bool_)
    assert begins(entry, leave, 0).tolist() == [2]
    assert begins(entry, leave, 1).tolist() == [1]  # it ran already
    assert begins(entry, None, 0).tolist() == [3]
