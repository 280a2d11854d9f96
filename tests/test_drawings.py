"""Figures, small SVG drawings and brand colours."""

import json
import re
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree

import pytest

from consumption_cs.lib import graphics
from consumption_cs.lib.branding import OWN_COLOUR, brand_css, contrast
from consumption_cs.lib.figures import Dot, Figure, Lane, Mark, Numbers, Rule, Series
from consumption_cs.lib.icons import ICONS

DAYS = [date(2026, 11, day) for day in (1, 2, 3)]


def make_figure(**changes: object) -> Figure:
    values: dict[str, object] = {
        "id": "daily",
        "headline": "Spend is steady",
        "summary": "Bars of about $400",
        "series": [Series("Spent", DAYS, [Decimal("400.10"), None, Decimal(410)])],
        "numbers": Numbers(["Day", "Spent"], [["Nov 1", "$400"]]),
    }
    return Figure(**{**values, **changes})  # type: ignore[arg-type]


def test_the_specification_of_a_figure_is_json_with_gaps_where_nothing_is_known() -> None:
    spec = json.loads(json.dumps(make_figure(marks=[Mark(DAYS[0], 400, "Backfill")]).spec))
    assert spec["series"][0]["x"] == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert spec["series"][0]["y"] == [400.1, None, 410.0]
    assert spec["dates"] is True
    assert spec["marks"] == [{"x": "2026-11-01", "y": 400.0, "text": "Backfill", "tone": "flag"}]


def test_the_legend_names_series_and_level_lines() -> None:
    series = [Series("Spent", DAYS, [1, 2, 3]), Series("Rate", DAYS, [1, 2, 3], kind="line")]
    rules = [Rule("$400 a day", y=400), Rule("Today", x=DAYS[0])]
    assert make_figure(series=series, rules=rules).legend == [
        ("main", "Spent"),
        ("line", "Rate"),
        ("ref", "$400 a day"),
    ]
    assert make_figure(legend_off=True).legend == []


def test_a_sparkline_breaks_at_gaps_and_is_not_drawn_from_one_value() -> None:
    path = graphics.sparkline_svg([1, 2, None, 3])
    assert path.count("M") == 2
    assert graphics.sparkline_svg([None, 5]) == ""
    assert "NaN" not in graphics.sparkline_svg([4, 4, 4])


@pytest.mark.parametrize("ratio", [-1, 0, 0.5, 1, 7])
def test_bars_never_leave_their_track(ratio: float) -> None:
    for drawing in (graphics.share_svg(ratio), graphics.pace_svg(ratio, 0.4)):
        widths = [float(width) for width in re.findall(r'width="([\d.]+)%"', drawing)]
        assert all(0 <= width <= 100 for width in widths)


def test_labels_of_drawings_are_escaped() -> None:
    drawing = graphics.interval_svg(0.9, 0.95, 0.98, floor=0.8, label='"><script>')
    assert "<script>" not in drawing
    ElementTree.fromstring(drawing)  # noqa: S314 - our own text


def test_the_headline_bar_leaves_room_beyond_the_total() -> None:
    bar = graphics.hero_bar(8240, projected=11350, total=12000)
    assert (bar.used, bar.projected, bar.total) == ("63.58%", "87.58%", "92.59%")
    assert graphics.hero_bar(0).used == "0.00%"


def test_every_icon_is_well_formed() -> None:
    for shape in ICONS.values():
        ElementTree.fromstring(f"<svg>{shape}</svg>")  # noqa: S314 - our own text


@pytest.mark.parametrize("colour", ["#ffcc00", "#000000", "#ffffff", "#00aa55", "#ff0000", "#777777", "#0000ff"])
def test_every_brand_colour_becomes_readable_shades(colour: str) -> None:
    shades = dict(re.findall(r"--([\w-]+): light-dark\((#\w+, #\w+)\)", brand_css(colour)))
    pairs = {name: value.split(", ") for name, value in shades.items()}
    for theme, surface in enumerate(("#ffffff", "#12151c")):
        assert contrast(pairs["accent-ink"][theme], surface) >= 4.5
        assert contrast(pairs["accent-ink"][theme], pairs["accent-soft"][theme]) >= 4.5
        assert contrast(pairs["accent"][theme], pairs["on-accent"][theme]) >= 4.5
        assert contrast(pairs["chart-1"][theme], surface) >= 3


def test_our_own_colour_changes_nothing_and_anything_else_is_refused() -> None:
    assert ":root" not in brand_css(OWN_COLOUR)
    with pytest.raises(ValueError, match="six hexadecimal digits"):
        brand_css("red; } body { display: none")


def test_lanes_of_dots_are_drawn_above_the_chart_and_named_in_the_legend() -> None:
    lanes = [
        Lane("Pace", [Dot(DAYS[0], "Told"), Dot(DAYS[1], "Planned", is_ring=True)]),
        Lane("Forecast", (), "no alerts"),
    ]
    chart = make_figure(
        lanes=lanes, dot_names=("Useful alert", "False alarm"), rules=[Rule("The limit, $5", y=5, tone="bad")]
    )
    assert [swatch for swatch, _ in chart.legend][-2:] == ["dot", "ring"]
    assert "The limit, $5" not in [words for _, words in chart.legend]  # it is beside its line
    assert [lane["note"] for lane in chart.spec["lanes"]] == ["", "no alerts"]
    assert [dot["ring"] for dot in chart.spec["lanes"][0]["dots"]] == [False, True]


def test_a_waterfall_says_where_its_bars_begin_and_its_axis_does() -> None:
    names = ["Open", "Gained", "Close"]
    bars = [
        Series("Total", names, [100, None, 130], "level"),
        Series("Gained", names, [None, 30, None], base=[None, 100, None]),
    ]
    chart = make_figure(series=bars, axis_from=Decimal(90), links=[Decimal(100), Decimal(130)], names_small=names)
    spec = json.loads(json.dumps(chart.spec))
    assert spec["series"][1]["base"] == [None, 100, None]
    assert (spec["axisFrom"], spec["links"], spec["namesSmall"]) == (90, [100, 130], names)
    assert [swatch for swatch, _ in chart.legend] == ["level", "main"]
    assert make_figure().spec["axisFrom"] is None


def test_lines_of_a_kind_are_told_apart_in_the_legend_and_months_are_named_as_such() -> None:
    months = [date(2026, 9, 1), date(2026, 10, 1)]
    lines = [Series(tone, months, [1, 2], "line", tone) for tone in ("main", "second", "third", "second-dash")]
    chart = make_figure(series=lines, rules=[Rule("Band", y=1), Rule("", y=2)], ends=True)
    assert [swatch for swatch, _ in chart.legend] == ["line", "second line", "third line", "second-dash", "ref"]
    assert (chart.spec["months"], chart.spec["ends"]) == (True, True)
    assert not make_figure().spec["months"]
