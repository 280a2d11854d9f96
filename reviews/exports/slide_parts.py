"""What slides are made of: titles, words, tables and native charts in the product's colors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION, XL_TICK_LABEL_POSITION
from pptx.enum.shapes import MSO_SHAPE
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.oxml.ns import qn
from pptx.util import Inches, Length, Pt

FONT = "Arial"
INK, INK2, HAIR, PANEL = "101423", "475066", "DFE3E9", "F3F4F7"
MAIN, WEAK, FLAG = "5B50EC", "C3BFFB", "C4730A"
TONES = {"good": "0B7A4B", "warn": "8F5400", "bad": "B3202C", "info": MAIN}
WIDTH, HEIGHT, EDGE = 13.333, 7.5, 0.6  # inches
_TITLE_ONLY = 5
_NO_STYLE = "{2D5ABB26-0587-4C30-8999-92F81FD0307C}"


@dataclass(frozen=True)
class Words:
    """A run of text: its size in points, its color, bold or not."""

    text: str
    size: float = 14
    color: str = INK
    bold: bool = False


@dataclass(frozen=True)
class Place:
    """A rectangle of a slide, in inches."""

    x: float
    y: float
    wide: float
    high: float

    def lengths(self) -> tuple[Length, Length, Length, Length]:
        """Return left, top, width and height in the units of the file."""
        return Inches(self.x), Inches(self.y), Inches(self.wide), Inches(self.high)


@dataclass(frozen=True)
class Series:
    """One series of a chart; `labels` stand at its points when they are not its plain numbers, `colors` point by
    point; no color at all is a series that only lifts the next one."""

    name: str
    values: Sequence[float | None]
    color: str = ""
    labels: Sequence[str] = ()
    colors: Sequence[str] = ()


def rgb(color: str) -> RGBColor:
    """Return a color of six hexadecimal digits."""
    return RGBColor.from_string(color)


def add_slide(deck: Any, title: str, sub: str = "", size: float = 26) -> Any:
    """Add a slide with a title that is its title in the outline too, and a line under it."""
    slide = deck.slides.add_slide(deck.slide_layouts[_TITLE_ONLY])
    box = slide.shapes.title
    box.left, box.top, box.width, box.height = Place(EDGE, 0.42, WIDTH - 2 * EDGE, 0.95).lengths()
    _write(box.text_frame, [[Words(title, size, bold=True)]], anchor=MSO_ANCHOR.BOTTOM)
    if sub:
        add_text(slide, Place(EDGE, 1.4, WIDTH - 2 * EDGE, 0.4), [[Words(sub, 13, INK2)]])
    return slide


def add_text(slide: Any, place: Place, lines: Sequence[Sequence[Words]], right: bool = False) -> None:
    """Add paragraphs of runs."""
    _write(slide.shapes.add_textbox(*place.lengths()).text_frame, lines, right=right)


def add_panel(slide: Any, place: Place, lines: Sequence[Sequence[Words]], color: str = PANEL) -> None:
    """Add paragraphs on a filled ground."""
    shape = slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, *place.lengths())
    shape.fill.solid()
    shape.fill.fore_color.rgb = rgb(color)
    shape.line.fill.background()
    shape.shadow.inherit = False
    _write(shape.text_frame, lines, anchor=MSO_ANCHOR.MIDDLE, inset=0.15)


def _write(
    frame: Any, lines: Sequence[Sequence[Words]], right: bool = False, anchor: Any = MSO_ANCHOR.TOP, inset: float = 0
) -> None:
    frame.word_wrap = True
    frame.vertical_anchor = anchor
    frame.margin_left = frame.margin_right = Inches(inset)
    frame.margin_top = frame.margin_bottom = Inches(inset / 2)
    for number, line in enumerate(lines):
        paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
        paragraph.alignment = PP_ALIGN.RIGHT if right else PP_ALIGN.LEFT
        for words in line:
            run = paragraph.add_run()
            run.text = words.text
            run.font.name, run.font.size, run.font.bold = FONT, Pt(words.size), words.bold
            run.font.color.rgb = rgb(words.color)


def add_table(
    slide: Any, place: Place, head: Sequence[str], rows: Sequence[Sequence[Words]], widths: Sequence[float],
    right: Sequence[int] = (), size: float = 11,
) -> None:  # fmt: skip
    """Add a table with hairlines between its rows; `right` are the columns of numbers."""
    frame = slide.shapes.add_table(len(rows) + 1, len(head), *place.lengths())
    table = frame.table
    frame._element.graphic.graphicData.tbl.tblPr.find(qn("a:tableStyleId")).text = _NO_STYLE
    table.horz_banding = False
    for at, share in enumerate(widths):
        table.columns[at].width = Inches(place.wide * share / sum(widths))
    height = place.high / (len(rows) + 1)
    for number, row in enumerate([[Words(name, size - 1, INK2) for name in head], *rows]):
        table.rows[number].height = Inches(min(height, 0.42) if number == 0 else min(height, 0.62))
        for at, words in enumerate(row):
            cell = table.cell(number, at)
            _write(cell.text_frame, [[words]], right=at in right)
            cell.vertical_anchor = MSO_ANCHOR.MIDDLE
            cell.margin_left = cell.margin_right = Inches(0.06)
            cell.margin_top = cell.margin_bottom = Inches(0.03)
            _hairline(cell)


def _hairline(cell: Any) -> None:
    properties = cell._tc.get_or_add_tcPr()
    line = properties.makeelement(qn("a:lnB"), {"w": "6350", "cap": "flat"})
    fill = line.makeelement(qn("a:solidFill"), {})
    fill.append(fill.makeelement(qn("a:srgbClr"), {"val": HAIR}))
    line.append(fill)
    properties.insert(0, line)


def add_chart(
    slide: Any, place: Place, told: str, categories: Sequence[str], series: Sequence[Series],
    kind: str = "columns", low: float | None = None, high: float | None = None, form: str = "#,##0", gap: int = 60,
) -> None:  # fmt: skip
    """Add a native chart whose numbers can be edited; `told` is what a screen reader says. Kinds: columns, stack,
    bars, lines."""
    kinds = {
        "columns": XL_CHART_TYPE.COLUMN_CLUSTERED, "stack": XL_CHART_TYPE.COLUMN_STACKED,
        "bars": XL_CHART_TYPE.BAR_CLUSTERED, "lines": XL_CHART_TYPE.LINE,
    }  # fmt: skip
    data = CategoryChartData(number_format=form)
    data.categories = list(categories)
    for one in series:
        data.add_series(one.name, one.values)
    frame = slide.shapes.add_chart(kinds[kind], *place.lengths(), data)
    frame._element.nvGraphicFramePr.cNvPr.set("descr", told)
    chart = frame.chart
    chart.font.name, chart.font.size = FONT, Pt(11)
    chart.font.color.rgb = rgb(INK2)
    chart.has_title = False
    named = [one for one in series if one.color or one.colors]
    chart.has_legend = len(named) > 1 and len(named) == len(series)
    if chart.has_legend:
        chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
    _axes(chart, kind, low, high, form)
    if all(one.labels for one in series):  # every bar says its number: a scale would say it twice
        chart.value_axis.has_major_gridlines = False
        chart.value_axis._element.find(qn("c:delete")).set("val", "1")
    plot = chart.plots[0]
    if kind != "lines":
        plot.gap_width, plot.overlap = gap, 100 if kind == "stack" else -8
    for drawn, one in zip(plot.series, series, strict=True):
        _paint(drawn, one, kind)


def _axes(chart: Any, kind: str, low: float | None, high: float | None, form: str) -> None:
    values, names = chart.value_axis, chart.category_axis
    values.minimum_scale, values.maximum_scale = low, high
    values.major_gridlines.format.line.color.rgb = rgb(HAIR)
    values.format.line.fill.background()
    values.tick_labels.number_format, values.tick_labels.number_format_is_linked = form, False
    names.format.line.color.rgb = rgb(HAIR)
    names.has_major_gridlines = False
    names.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    if kind == "bars":  # the first at the top, the scale at the foot
        names.reverse_order = True
        values._element.find(qn("c:crosses")).set("val", "max")


def _paint(drawn: Any, one: Series, kind: str) -> None:
    if kind == "lines":
        drawn.smooth = False
        drawn.format.line.color.rgb, drawn.format.line.width = rgb(one.color or INK2), Pt(2.25)
        return
    if not one.color and not one.colors:
        drawn.format.fill.background()
        return
    drawn.invert_if_negative = False
    drawn.format.fill.solid()
    drawn.format.fill.fore_color.rgb = rgb(one.color or MAIN)
    for at, color in enumerate(one.colors):
        fill = drawn.points[at].format.fill
        fill.solid()
        fill.fore_color.rgb = rgb(color)
    for at, label in enumerate(one.labels):
        if label:
            frame = drawn.points[at].data_label.text_frame
            frame.text = label
            font = frame.paragraphs[0].runs[0].font
            font.name, font.size, font.bold = FONT, Pt(11), True
            font.color.rgb = rgb(INK)
