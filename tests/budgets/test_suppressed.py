"""Use that runs flat against a cap is told apart from use that is merely steady."""

import numpy as np

from budgets.calc.suppressed import suppressed


def lively(days: int, level: float = 100.0) -> np.ndarray:
    return level * (1 + 0.2 * np.sin(np.arange(days) * 0.9))


def test_use_that_hits_a_cap_is_held_back_since_then() -> None:
    found = suppressed(np.concatenate([lively(60), np.full(20, 118.0)]))
    assert found is not None
    assert found.days == 20
    assert found.level == 118.0


def test_a_fixed_fee_is_not_held_back() -> None:
    assert suppressed(np.full(90, 100.0)) is None


def test_lively_use_is_not_held_back() -> None:
    assert suppressed(lively(90)) is None


def test_use_that_fell_to_a_steady_level_is_not_held_back() -> None:
    assert suppressed(np.concatenate([lively(60), np.full(20, 40.0)])) is None


def test_too_few_days_and_none_at_all_say_nothing() -> None:
    assert suppressed(np.full(20, 118.0)) is None
    assert suppressed(np.zeros(90)) is None
    assert suppressed(np.array([])) is None
