"""Health: a score out of 100 from measures with weights, explained in points. Metric 31 of the product. Pure Decimal.

Margin is never a measure: customers may be shown the score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from consumption_cs.lib.money import exactly, round_lines

ZERO, HUNDRED = Decimal(0), Decimal(100)
RED_AT_MOST = Decimal(39)
ENOUGH_WEIGHT = Decimal("0.5")  # of all weight must have a value, or there is no score
YOUNG_DAYS = 30


@dataclass(frozen=True, slots=True)
class Band:
    """Values of [`low`, `high`) score `score`; None is open on that side."""

    low: Decimal | None
    high: Decimal | None
    score: Decimal

    def holds(self, value: Decimal) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)


@dataclass(frozen=True, slots=True)
class Measure:
    """One part of the recipe: a metric, its weight against the others, and what its values score.

    The first band that holds counts; a value in none scores 0. `stale_days`: a value older than that is not known.
    """

    name: str
    metric: str
    weight: Decimal
    bands: tuple[Band, ...]
    stale_days: int | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """The measures, and the conditions that make an account red whatever it scores, as names of facts."""

    measures: tuple[Measure, ...]
    forced_reds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Input:
    """A metric's value for one account; None with the `reason`. `age_days`: how old it is."""

    value: Decimal | None
    reason: str = ""
    age_days: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """One measure's share: `points` earned of at most `weight` (both of 100, after leaving out what is not known).

    `points` None: not known, for `reason`, and its weight went to the others.
    """

    measure: str
    weight: Decimal
    points: Decimal | None
    value: Decimal | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """`score` 0 to 100, None for `reason`. The points of the parts, rounded, add up to the rounded score exactly.

    `forced`: which conditions made it red; the score is then 39 at most, and `unforced` what the parts add up to.
    """

    score: Decimal | None
    parts: tuple[Part, ...]
    reason: str = ""
    forced: tuple[str, ...] = ()
    unforced: Decimal | None = None
    lost: Mapping[str, Decimal] = field(default_factory=dict)


@exactly
def health(
    recipe: Recipe, inputs: Mapping[str, Input], facts: Sequence[str] = (), *, age_days: int = YOUNG_DAYS
) -> Health:
    """Return the score: the sum of weight × score over the known measures, divided by their weight.

    Weights normalise themselves, so that 5 and 10 mean the same as 50 and 100. Not scored: in the first 30 days, and
    when less than half of the weight has a value. `facts` are the conditions that hold now.
    """
    known = {one.name: found for one in recipe.measures if (found := _known(one, inputs)).value is not None}
    all_weight = sum((one.weight for one in recipe.measures), ZERO)
    weight = sum((one.weight for one in recipe.measures if one.name in known), ZERO)
    reason = _why_not(age_days, weight, all_weight)
    if reason:
        return Health(None, tuple(_unknown(one, inputs) for one in recipe.measures), reason)
    scores = {one.name: _score(one, known[one.name]) for one in recipe.measures if one.name in known}
    exact = [one.weight * scores[one.name] / weight for one in recipe.measures if one.name in known]
    points = dict(zip(known, round_lines(exact, 0), strict=True))
    parts = tuple(
        Part(one.name, one.weight * HUNDRED / weight, points[one.name], known[one.name].value)
        if one.name in known
        else _unknown(one, inputs)
        for one in recipe.measures
    )
    total = sum(points.values(), ZERO)
    forced = tuple(name for name in recipe.forced_reds if name in facts)
    lost = {part.measure: part.points - part.weight for part in parts if part.points is not None}
    return Health(min(total, RED_AT_MOST) if forced else total, parts, "", forced, total, lost)


def measure_scores(recipe: Recipe, inputs: Mapping[str, Input]) -> dict[str, Decimal | None]:
    """Return what each measure scores by its own bands, 0 to 100, before any weight; None: not known."""
    known = {one.name: _known(one, inputs) for one in recipe.measures}
    return {
        one.name: None if known[one.name].value is None else _score(one, known[one.name]) for one in recipe.measures
    }


@exactly
def moved(before: Health, after: Health) -> dict[str, Decimal]:
    """Return by how many points each measure changed; together exactly the change of the unforced score.

    A measure that is known only once counts from or to zero: what its weight did to the others is in theirs.
    """
    old = {part.measure: part.points or ZERO for part in before.parts}
    new = {part.measure: part.points or ZERO for part in after.parts}
    return {name: new.get(name, ZERO) - old.get(name, ZERO) for name in {**old, **new}}


def _known(measure: Measure, inputs: Mapping[str, Input]) -> Input:
    found = inputs.get(measure.metric, Input(None, "not measured"))
    if measure.stale_days is not None and found.age_days > measure.stale_days:
        return Input(None, f"older than {measure.stale_days} days")
    return found


def _unknown(measure: Measure, inputs: Mapping[str, Input]) -> Part:
    found = _known(measure, inputs)
    return Part(measure.name, measure.weight, None, found.value, found.reason)


def _why_not(age_days: int, weight: Decimal, all_weight: Decimal) -> str:
    if age_days < YOUNG_DAYS:
        return f"Not scored yet: {age_days} of {YOUNG_DAYS} days."
    if all_weight <= 0 or weight < all_weight * ENOUGH_WEIGHT:
        return "Not scored: less than half of what counts is known."
    return ""


def _score(measure: Measure, found: Input) -> Decimal:
    value = found.value
    assert value is not None  # noqa: S101 - for the type checker: only known measures are scored
    return next((band.score for band in measure.bands if band.holds(value)), ZERO)
