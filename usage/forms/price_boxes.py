"""The inputs of a price: what each model asks for, how the boxes are named, and the boxes that stored terms fill."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from usage.calc.price_terms import Terms

_DECIMALS = re.compile(r"\d+\.\d+", re.ASCII)
CHOICES = {
    "unit": "Price per unit",
    "graduated": "Graduated: each tier prices its own part",
    "volume": "Volume: the tier reached prices everything",
    "package": "Packages: each started one is paid",
    "percentage": "Percentage of the value",
    "graduated_percentage": "Graduated percentage",
}
MATRIX = "matrix"
TIERED = {"graduated": "unit", "volume": "unit", "graduated_percentage": "percent"}


class Named(NamedTuple):
    """A box of a model: its name here, its name in the terms, and words."""

    name: str
    term: str
    label: str
    hint: str = ""
    required: bool = False


BOXES: dict[str, list[Named]] = {
    "unit": [Named("unit", "unit", "Price per unit", "Up to 12 decimals: 0.000125. It is never rounded.", True)],
    "package": [
        Named("size", "size", "Units in a package", "A started package is paid whole.", True),
        Named("package_price", "price", "Price per package", "", True),
        Named("package_free", "free_units", "Free units before the first"),
    ],
    "percentage": [
        Named("percent", "percent", "Percent of the value", "2.5 for two and a half percent.", True),
        Named("fixed", "fixed_per_event", "Fee per event"),
        Named("free_events", "free_events", "Free events a billing period"),
        Named("free_value", "free_units", "Free value a billing period"),
        Named("min_event", "min_per_event", "At least, per event"),
        Named("max_event", "max_per_event", "At most, per event"),
    ],
}
AROUND = [
    Named("free_units", "free_units", "Free units", "A billing period, before anything is paid."),
    Named("discount", "percent_discount", "Discount in percent", "Off the whole amount, 0 to 100."),
    Named("min_spend", "min_spend", "Minimum spend", "What a billing period costs at least."),
    Named("max_spend", "max_spend", "Maximum spend", "What a billing period costs at most."),
]
ROUNDINGS = {"": "Not rounded", "ceil": "Rounded up", "floor": "Rounded down", "half_up": "Rounded to the nearest"}
OPERATIONS = {"": "As it is metered", "divide": "Divided by", "multiply": "Multiplied by"}


@dataclass(frozen=True, slots=True)
class Box:
    """One input as the page shows it."""

    name: str
    label: str
    value: str
    error: str
    hint: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class TierRow:
    """A tier as a row of inputs."""

    index: int
    up_to: Box
    each: Box
    flat: Box


@dataclass(slots=True)
class Part:
    """A price, or that of one cell: which inputs its model has, and what is wrong with them."""

    prefix: str
    model: str
    boxes: list[Box]
    tiers: list[TierRow]
    around: list[Box]
    operation: str
    factor: Box
    rounding: str
    error: str
    each: str  # what a tier's price is called
    has_more: bool  # whether the settings around the model are in use


@dataclass(slots=True)
class CellRow:
    """A cell of a price by dimension: its values, and what it costs."""

    index: int
    values: list[Box]
    part: Part


def each_of(model: str) -> str:
    return "Percent of the value" if model == "graduated_percentage" else "Price per unit"


def index_in(name: str, rows: str) -> tuple[int | None, str]:
    """The number of the row that a box is in, and the rest of its name."""
    if not name.startswith(f"{rows}-"):
        return None, ""
    index, dash, tail = name[len(rows) + 1 :].partition("-")
    return (int(index), dash + tail) if index.isdecimal() and len(index) < 4 else (None, "")


def rows_in(data: Mapping[str, str], rows: str) -> int:
    found = [index for index, _ in (index_in(name, rows) for name in data) if index is not None]
    return min(max(found, default=-1) + 1, 200)


def boxes_of(terms: Terms, dimensions: Sequence[str]) -> dict[str, str]:
    """Return the boxes that a price fills, by name; `dimensions` are the meter's."""
    matrix = terms.get("matrix")
    if not isinstance(matrix, Mapping):
        return _plain_boxes(terms)
    numbers = [dimensions.index(name) for name in matrix["dimensions"] if name in dimensions]
    data = {"model": MATRIX} | {f"by-{j}": "on" for j in numbers}
    for index, cell in enumerate(matrix["cells"]):
        data |= _plain_boxes(cell["terms"], f"c-{index}-")
        data |= {f"c-{index}-v-{j}": str(value) for j, value in zip(numbers, cell["values"], strict=False)}
    rest = matrix.get("otherwise")
    return data | ({"rest_on": "on"} | _plain_boxes(rest, "rest-") if rest else {})


def _plain_boxes(terms: Terms, prefix: str = "") -> dict[str, str]:
    model, params = str(terms.get("model", "unit")), terms.get("params", {})
    given: dict[str, Any] = dict(params) if isinstance(params, Mapping) else {}
    if model == "multiplier":
        model, given = "unit", given | {"unit": given.get("factor")}
    model = "percentage" if model == "percentage_per_event" else model
    data: dict[str, Any] = {"model": model}
    data |= {box.name: given.get(box.term) for box in BOXES.get(model, [])}
    free = [Decimal(str(terms[name])) for name in ("free_units", "usage_discount") if terms.get(name)]
    data |= {box.name: terms.get(box.term) for box in AROUND} | {"free_units": sum(free) if free else None}
    convert = given.get("convert")
    if isinstance(convert, Mapping):
        data |= {"op": convert.get("op"), "factor": convert.get("factor"), "round": convert.get("round")}
    for index, tier in enumerate(given.get("tiers", []) if model in TIERED else []):
        row = {"up_to": tier.get("up_to") or "", "each": tier.get(TIERED[model]), "flat": tier.get("flat")}
        data |= {f"t-{index}-{name}": value for name, value in row.items()}
    return {prefix + name: _plain(value) for name, value in data.items() if value is not None}


def _plain(value: object) -> str:
    """A number as one would type it: 0.012 rather than 0.012000000000."""
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return text.rstrip("0").rstrip(".") if _DECIMALS.fullmatch(text) else text
