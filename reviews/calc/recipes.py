"""Health recipes as data: the one an organization begins with, reading and checking an edited one. Pure.

A body is {"measures": [{"name", "label", "metric", "weight", "stale_days", "bands": [{"low", "high", "score"}]}],
"forced_reds": [names of FORCED_REDS]}. Numbers are decimals as text; a band holds from `low` to just below `high`.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from reviews.calc.health import Band, Input, Measure, Recipe
from reviews.calc.metrics import DEFINITIONS

ZERO, HUNDRED = Decimal(0), Decimal(100)
MOST_MEASURES, MOST_BANDS = 20, 10
SILENT_DAYS = 7
STALE_USE_DAYS = 60
JUST_ABOVE = Decimal("0.0001")  # the last place that metrics are kept with

FORCED_REDS = {
    "exhausted": "The commit is used up and there is no new one",
    "payment_failed": "A payment failed",
    "sentiment_red": "They were last negative",
    "silent": f"No use for {SILENT_DAYS} days or more, where use on most days is normal",
}


class RecipeError(ValueError):
    """The recipe cannot be used; `problems` say what to do, each a sentence."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def _bands(*bands: tuple[str | None, str | None, str]) -> list[dict[str, str | None]]:
    return [{"low": low, "high": high, "score": score} for low, high, score in bands]


def _measure(name: str, label: str, metric: str, weight: int, bands: list[dict[str, str | None]]) -> dict[str, Any]:
    stale = None if name == "engagement" else STALE_USE_DAYS
    return {"name": name, "label": label, "metric": metric, "weight": str(weight), "stale_days": stale, "bands": bands}


# Section 3 of the product. Where its ends meet, the lower end belongs to the band.
DEFAULT: dict[str, Any] = {
    "measures": [
        _measure("pacing", "Commit pacing", "pacing", 25, _bands(
            ("0.85", "1.15", "100"), ("0.70", "0.85", "60"), ("1.15", "1.35", "60"), ("0.50", "0.70", "30"),
            ("1.35", "1.60", "30"), (None, None, "0"),
        )),
        _measure("trend", "Usage trend", "change_28", 20, _bands(
            ("-5", None, "100"), ("-20", "-5", "50"), (None, "-20", "0"),
        )),
        _measure("breadth", "Breadth", "breadth", 15, _bands(
            ("100", None, "100"), ("70", "100", "70"), ("40", "70", "40"), (None, "40", "0"),
        )),
        _measure("reliability", "Reliability", "reliability_gap", 15, _bands(
            (None, "0.0001", "100"), ("0.0001", "2.0001", "60"), ("2.0001", None, "0"),
        )),
        _measure("predictability", "Predictability", "in_band_percent", 10, _bands(
            ("75", None, "100"), ("50", "75", "60"), (None, "50", "0"),
        )),
        _measure("waste", "Waste", "waste_percent", 5, _bands(
            (None, "5", "100"), ("5", "15", "50"), ("15", None, "0"),
        )),
        _measure("engagement", "Engagement", "engagement", 10, _bands(
            ("75", None, "100"), ("50", "75", "60"), ("25", "50", "30"), (None, "25", "0"),
        )),
    ],
    "forced_reds": list(FORCED_REDS),
}  # fmt: skip


def labels_of(body: Mapping[str, Any]) -> dict[str, str]:
    """Return what each measure is called on pages."""
    return {one["name"]: one.get("label") or one["name"] for one in body.get("measures", ())}


def band_words(band: Mapping[str, Any], unit: str = "") -> str:
    """Return a band's values in words: "above 0%, up to 2%". An end of 0.0001 more than it needs is "just above"."""
    low, above = _said(band.get("low"), unit)
    high, up_to = _said(band.get("high"), unit)
    if not low and not high:
        return "anything else"
    if not low:
        return f"{high} or less" if up_to else f"below {high}"
    if not high:
        return f"above {low}" if above else f"{low} or more"
    if above:
        return f"above {low}, up to {high}" if up_to else f"above {low}, below {high}"
    return f"{low} to {high}" if up_to else f"{low} to below {high}"


def _said(end: str | None, unit: str) -> tuple[str, bool]:
    """Return an end in words, and whether it lies just above what the words say; "" for an open end."""
    if end is None:
        return "", False
    number = Decimal(end)
    level = number - JUST_ABOVE
    is_above = number != round(number, 2) and level == round(level, 2)
    text = f"{(round(level, 2) if is_above else number).normalize():f}".replace("-", "−")
    return f"{text}%" if unit == "percent" else text, is_above


def recipe_from(body: Any) -> Recipe:
    """Return the recipe that a body describes; raise RecipeError with everything that is wrong with it."""
    problems: list[str] = []
    rows = body.get("measures") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_MEASURES:
        raise RecipeError([f"A recipe has one to {MOST_MEASURES} measures."])
    measures = [_read(row, problems) for row in rows]
    names = [one.name for one in measures if one]
    problems += [f"“{name}” is there twice." for name in sorted({name for name in names if names.count(name) > 1})]
    if sum((one.weight for one in measures if one), ZERO) <= 0 and not problems:
        problems.append("At least one measure needs a weight above 0.")
    reds = body.get("forced_reds", [])
    if not isinstance(reds, list) or any(name not in FORCED_REDS for name in reds):
        problems.append(f"Forced reds are some of {', '.join(FORCED_REDS)}.")
    if problems:
        raise RecipeError(problems)
    return Recipe(tuple(one for one in measures if one), tuple(reds))


def _read(row: Any, problems: list[str]) -> Measure | None:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"]:
        problems.append("Every measure needs a name.")
        return None
    called, before = row.get("label") or row["name"], len(problems)
    definition = DEFINITIONS.get(str(row.get("metric")))
    if definition is None:
        problems.append(f"{called}: “{row.get('metric')}” is no metric.")
    elif definition.is_internal:
        problems.append(f"{called}: {definition.label.lower()} cannot count, since customers may be shown the score.")
    weight = _number(row.get("weight"))
    if weight is None or not ZERO <= weight <= 1000:
        problems.append(f"{called}: the weight is a number from 0 to 1,000.")
    stale = row.get("stale_days")
    if stale is not None and (not isinstance(stale, int) or isinstance(stale, bool) or not 1 <= stale <= 365):
        problems.append(f"{called}: a value is stale after 1 to 365 days, or never.")
    bands = _read_bands(row.get("bands"), called, problems)
    if len(problems) > before or weight is None:
        return None
    return Measure(row["name"], str(row["metric"]), weight, bands, stale)


def _read_bands(rows: Any, called: str, problems: list[str]) -> tuple[Band, ...]:
    if (
        not isinstance(rows, list)
        or not 1 <= len(rows) <= MOST_BANDS
        or not all(isinstance(row, dict) for row in rows)
    ):
        problems.append(f"{called}: needs one to {MOST_BANDS} bands.")
        return ()
    found = []
    for row in rows:
        ends = [row.get(end) for end in ("low", "high")]
        numbers = [_number(end) for end in ends]
        if any(end is not None and number is None for end, number in zip(ends, numbers, strict=True)):
            problems.append(f"{called}: a band's ends are numbers, or left open.")
            continue
        low, high = numbers
        if low is not None and high is not None and low >= high:
            problems.append(f"{called}: the band from {low} to {high} must end above its start.")
        score = _number(row.get("score"))
        if score is None or not ZERO <= score <= HUNDRED:
            problems.append(f"{called}: a band scores 0 to 100.")
            continue
        found.append(Band(low, high, score))
    return tuple(found)


def _number(value: Any) -> Decimal | None:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < Decimal("1e12") else None


def inputs_of(recipe: Recipe, numbers: Mapping[str, Decimal | None], reasons: Mapping[str, str]) -> dict[str, Input]:
    """Return what each metric of the recipe has to say; how old it is, is how long ago the last event was."""
    lag = numbers.get("lag_hours")
    age = int(lag / 24) if lag is not None else 0
    return {one.metric: Input(numbers.get(one.metric), reasons.get(one.metric, ""), age) for one in recipe.measures}


def facts_of(numbers: Mapping[str, Decimal | None]) -> list[str]:
    """Return which of FORCED_REDS hold by the metrics of a day."""
    granted, left = numbers.get("commit_granted"), numbers.get("commit_left")
    silent = numbers.get("silent_days")
    found = {
        "exhausted": granted is not None and granted > 0 and left is not None and left <= 0,
        "payment_failed": numbers.get("payment_failed") == 1,
        "sentiment_red": numbers.get("sentiment") == 0,
        "silent": silent is not None and silent >= SILENT_DAYS,
    }
    return [name for name, holds in found.items() if holds]
