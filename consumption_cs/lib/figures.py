"""A chart as people meet it: a headline that states the finding, a legend, the drawing, its numbers, a download."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["bar", "line", "area", "layer", "fan", "level"]
Tone = Literal[
    "main", "weak", "band", "second", "third", "flag", "good", "bad", "ghost", "line", "dash", "second-dash", "ref",
    "clear", "ink",
]  # fmt: skip
Number = Decimal | float | int | None


@dataclass(frozen=True, slots=True)
class Series:
    """One set of bars or one line. `None` in `y` leaves a gap; `hover` overrides the text of each point.

    `x` are days, hours as datetimes on the wall clock of the account (no zone), or names.
    Layers are areas stacked on each other. Two fans in a row are the borders of a band: the second one's name and
    tone are the band's. Bars with a `base` float: they begin there, and `y` is how far they go. A level is a short
    thick line across the place of a bar: a total on an axis that is cut.
    """

    name: str
    x: Sequence[date | str]
    y: Sequence[Number]
    kind: Kind = "bar"
    tone: Tone = "main"
    hover: Sequence[str] = ()
    flagged: Collection[int] = ()
    base: Sequence[Number] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A few words at a point of the chart."""

    x: date | str
    y: Number
    text: str
    tone: Literal["flag", "ink"] = "flag"


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line across the chart, at a value (`y`) or at a moment (`x`), named in the legend or beside it."""

    text: str
    y: Number = None
    x: date | str | None = None
    tone: Literal["ref", "bad"] = "ref"


@dataclass(frozen=True, slots=True)
class Dot:
    """A moment in a lane; `text` is what it says when it is pointed at. A ring is a dot that meant nothing."""

    x: date | str
    text: str
    is_ring: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    """A line of dots above the chart, with its name at the left; `note` stands in it when there are none."""

    name: str
    dots: Sequence[Dot] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The table behind a chart. Cells are finished text; the first of each row is its heading."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Figure:
    """All that the chart component needs. `summary` is what a screen reader says in place of the drawing.

    Texts are plain: charts.js and the template escape them. `from_zero=False` cuts the axis of a line chart near its
    lowest value; bars always start at zero, unless they float and `axis_from` says where it starts. `links` are the
    heights of thin lines from each bar to the next. `ends` writes the last value of each line at its end.
    `names_small` stand under the bars on phones. `more` is the words and the address of a link beside the headline.
    """

    id: str
    headline: str
    summary: str
    series: Sequence[Series]
    numbers: Numbers
    sub: str = ""
    value: Literal["money", "count", "percent"] = "money"
    currency: str = "USD"
    unit: str = ""
    stacked: bool = True
    from_zero: bool = True
    marks: Sequence[Mark] = ()
    rules: Sequence[Rule] = ()
    lanes: Sequence[Lane] = ()
    dot_names: tuple[str, str] = ("", "")  # what a dot and a ring are called
    csv_url: str = ""
    more: tuple[str, str] | None = None
    size: Literal["", "tall", "short"] = ""
    legend_off: bool = False
    axis_from: Number = None
    links: Sequence[Number] = ()
    ends: bool = False
    names_small: Sequence[str] = ()
    numbers_words: str = "Show the numbers"

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Return (swatch class, words) for each series and rule, in drawing order."""
        if self.legend_off:
            return []
        swatches = [(self._swatch(series), series.name) for series in self.series if series.name]
        swatches += [
            (rule.tone, rule.text) for rule in self.rules if rule.y is not None and rule.tone == "ref" and rule.text
        ]
        return swatches + [one for one in zip(("dot", "ring"), self.dot_names, strict=True) if one[1]]

    @property
    def spec(self) -> dict[str, Any]:
        """Return what charts.js draws: JSON-ready; floats are fine here because nobody computes with a picture."""
        return {
            "series": [
                {
                    "name": series.name,
                    "x": [str(x) for x in series.x],
                    "y": [_drawn(y) for y in series.y],
                    "kind": series.kind,
                    "tone": series.tone,
                    "hover": list(series.hover),
                    "flagged": sorted(series.flagged),
                    "base": [_drawn(y) for y in series.base],
                }
                for series in self.series
            ],
            "value": self.value,
            "currency": self.currency,
            "unit": self.unit,
            "stacked": self.stacked,
            "fromZero": self.from_zero,
            "dates": any(isinstance(x, date) for series in self.series for x in series.x[:1]),
            "months": self._has_months,
            "axisFrom": _drawn(self.axis_from),
            "links": [_drawn(y) for y in self.links],
            "ends": self.ends,
            "namesSmall": list(self.names_small),
            "hours": any(isinstance(x, datetime) for series in self.series for x in series.x[:1]),
            "marks": [{"x": str(m.x), "y": _drawn(m.y), "text": m.text, "tone": m.tone} for m in self.marks],
            "rules": [{"x": r.x and str(r.x), "y": _drawn(r.y), "text": r.text, "tone": r.tone} for r in self.rules],
            "lanes": [
                {
                    "name": lane.name,
                    "note": "" if lane.dots else lane.note,
                    "dots": [{"x": str(dot.x), "text": dot.text, "ring": dot.is_ring} for dot in lane.dots],
                }
                for lane in self.lanes
            ],
        }

    @property
    def _has_months(self) -> bool:
        places = {x for series in self.series for x in series.x}
        return len(places) > 1 and all(_is_month(x) for x in places)

    @staticmethod
    def _swatch(series: Series) -> str:
        if series.kind == "level":
            return "level"
        if series.kind == "line":
            return {"main": "line", "second": "second line", "third": "third line"}.get(series.tone, series.tone)
        return series.tone


def _is_month(x: date | str) -> bool:
    return isinstance(x, date) and not isinstance(x, datetime) and x.day == 1


def _drawn(number: Number) -> float | None:
    return None if number is None else float(number)
