"""Measuring the detector: what is put into a series, and what counts as found."""

import numpy as np
import pytest

from budgets.calc.seasonal import WARM_UP, Floats
from scripts.fit_anomaly import (
    EXCESS,
    FALSE,
    IN_USE,
    Event,
    Limits,
    Material,
    delay,
    measure,
    seen_from,
    trial_of,
    window,
    with_event,
)

START = WARM_UP + 30 * 24 + 10


def usage_of(hours: int = WARM_UP + 60 * 24) -> Floats:
    t = np.arange(hours)
    return (2 + np.sin(t * np.pi / 12)) * np.random.default_rng(2).gamma(200, 1 / 200, hours)


@pytest.mark.parametrize(
    ("kind", "factor", "hours", "last"), [("spike", 3.0, 5, 3.0), ("step", 1.5, 48, 1.5), ("leak", 0.1, 49, 1.2)]
)
def test_an_event_multiplies_its_hours_only(kind: str, factor: float, hours: int, last: float) -> None:
    usage = usage_of()
    changed = with_event(usage, Event("a", START, kind, factor, hours))
    np.testing.assert_array_equal(changed[:START], usage[:START])
    np.testing.assert_array_equal(changed[START + hours :], usage[START + hours :])
    assert changed[START + hours - 1] == pytest.approx(last * usage[START + hours - 1])


def test_the_window_has_88_days_and_starts_with_a_day() -> None:
    usage = np.arange(9000.0)
    part = window("some series", usage)
    assert len(part) == 88 * 24
    assert part[0] % 24 == 0
    assert len(window("some series", usage[:1000])) == 1000


def test_a_spike_counts_as_found_at_once_and_lets_its_first_hour_through() -> None:
    usage = usage_of()
    clean = seen_from(usage, WARM_UP)
    trial = trial_of(Event("a", START, "spike", 5.0, 4), "kind", usage, clean)
    assert delay(trial, IN_USE) == 1
    material = Material([trial], [("kind", clean)], [])
    figures = measure(material, IN_USE)
    assert figures[FALSE] == 0
    assert figures["x5 spike within 2 h"] == 1
    assert 0 < figures[EXCESS] < 0.5
    deaf = Limits(IN_USE.thresholds * 1000, IN_USE.impacts)
    assert delay(trial, deaf) is None
    assert measure(material, deaf)[EXCESS] == pytest.approx(1.0)


def test_material_is_parted_by_source() -> None:
    seen = np.zeros((10, 24))
    material = Material([], [("a", seen), ("b", seen)], [("b", seen)])
    assert [source for source, _ in material.without(["b"]).whole] == ["a"]
    assert [source for source, _ in material.without(["b"], instead=True).young] == ["b"]
