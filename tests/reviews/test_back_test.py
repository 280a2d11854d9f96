"""A recipe tried on the past: what a warning and a loss are, and how hits and lead times are counted."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal as D

from reviews.calc.back_test import WHOLE, Week, back_test, losses

FIRST = date(2026, 1, 5)


def weeks(scores: Sequence[int | None], changes: Sequence[int | None]) -> list[Week]:
    return [
        Week(
            FIRST + timedelta(weeks=number),
            {"trend": None if score is None else D(score), WHOLE: None if score is None else D(score)},
            None if change is None else D(change),
        )
        for number, (score, change) in enumerate(zip(scores, changes, strict=True))
    ]


def test_a_loss_begins_once_and_again_after_a_recovery() -> None:
    seen = weeks([90] * 7, [-5, -31, -40, None, -10, -30, -29])
    assert losses(seen) == [FIRST + timedelta(weeks=1), FIRST + timedelta(weeks=5)]


def test_a_warning_before_a_loss_is_a_hit_with_its_lead_time() -> None:
    seen = weeks([90, 40, 40, 40, 40, 90], [0, 0, 0, -35, -35, 0])
    found = back_test([seen], ["trend"])["trend"]
    assert (found.warnings, found.followed, found.losses, found.warned, found.lead) == (1, 1, 1, 1, 14)


def test_a_warning_without_a_loss_counts_against_it_once_90_days_have_passed() -> None:
    young = back_test([weeks([90, 40, 90], [0, 0, 0])], ["trend"])["trend"]
    assert (young.warnings, young.followed) == (0, 0)
    old = back_test([weeks([90, 40] + [90] * 14, [0] * 16)], ["trend"])["trend"]
    assert (old.warnings, old.followed) == (1, 0)


def test_a_loss_that_nobody_warned_of_is_missed() -> None:
    found = back_test([weeks([90, 90, 90], [0, -50, -50])], ["trend"])[WHOLE]
    assert (found.losses, found.warned, found.lead) == (1, 0, None)


def test_a_measure_warns_at_50_and_the_whole_score_below_60() -> None:
    found = back_test([weeks([90, 59] + [90] * 14, [0] * 16)], ["trend"])
    assert (found["trend"].warnings, found[WHOLE].warnings) == (0, 1)
