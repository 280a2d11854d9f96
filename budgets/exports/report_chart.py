"""The chart of a report as SVG, in the colours of the pages."""

from datetime import date
from decimal import Decimal
from xml.sax.saxutils import escape

from budgets.reports.document import Chart, Row, Table
from consumption_cs.lib.display import money_short

_WIDTH, _HEIGHT = 760, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 8, 8, 36
_FILL, _LINES, _GRID, _TEXT = "#C9C5F7", ("#9AA1B2", "#5146E5", "#9AA1B2"), "#E4E7EC", "#475066"
_FONT = 'font-family="Libertinus Serif" font-size="9"'


def chart_svg(table: Table) -> str:
    """Return areas and lines over the days of the table, with three levels of money and the first of each month."""
    chart = table.chart
    if chart is None:
        return ""
    at = table.at(chart.across)
    days = [day for row in table.rows if isinstance(day := row[at], date)]
    first, last = min(days), max(days)
    labels = (*chart.areas, *chart.lines)
    most = max((_number(row, table.at(label)) or 0.0 for row in table.rows for label in labels), default=1.0) or 1.0
    grid = _Grid(first, max((last - first).days, 1), most)
    parts = [*grid.lines(table.currency or "USD")]
    for label in chart.areas:
        parts.append(grid.area(_points(table, at, label)))
    for label, color in zip(chart.lines, _LINES, strict=False):
        parts.append(grid.line(_points(table, at, label), color))
    parts += _key(chart)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
    return head + "".join(parts) + "</svg>"


class _Grid:
    """From days and money to places on the paper."""

    def __init__(self, first: date, days: int, most: float) -> None:
        self.first, self.days, self.most = first, days, most * 1.05

    def place(self, day: date, amount: float) -> str:
        return f"{self.across((day - self.first).days):.2f},{self.up(amount):.2f}"

    def across(self, days: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * days / self.days

    def up(self, amount: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * amount / self.most

    def lines(self, currency: str) -> list[str]:
        parts, style = [], f'fill="{_TEXT}" {_FONT}'
        for share in (0, 1 / 3, 2 / 3, 1):
            amount = self.most / 1.05 * share
            y = self.up(amount)
            parts.append(f'<path d="M{_LEFT} {y:.2f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>')
            words = escape(money_short(Decimal(repr(round(amount, 2))), currency))
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 3:.2f}" text-anchor="end" {style}>{words}</text>')
        for day, x in self.months():
            parts.append(f'<text x="{x:.2f}" y="{_HEIGHT - _BOTTOM + 14}" fill="{_TEXT}" {_FONT}>{day:%b %Y}</text>')
            parts.append(f'<path d="M{x:.2f} {_HEIGHT - _BOTTOM}v4" stroke="{_TEXT}"/>')
        return parts

    def months(self) -> list[tuple[date, float]]:
        """First days of months, at most eight, with room for their names."""
        last = self.first.toordinal() + self.days
        firsts = [
            date(month // 12, month % 12 + 1, 1)
            for month in range(self.first.year * 12 + self.first.month, last // 30 + 36)
            if month // 12 <= 9999 and date(month // 12, month % 12 + 1, 1).toordinal() <= last
        ]
        step = -(-len(firsts) // 8) if firsts else 1
        return [
            (day, x) for day in firsts[::step] if (x := self.across((day - self.first).days)) < _WIDTH - _RIGHT - 50
        ]

    def area(self, points: list[tuple[date, float]]) -> str:
        if not points:
            return ""
        path = " ".join(self.place(*point) for point in points)
        start, end = (self.place(points[at][0], 0) for at in (0, -1))
        return f'<polygon points="{start} {path} {end}" fill="{_FILL}"/>'

    def line(self, points: list[tuple[date, float]], color: str) -> str:
        path = " ".join(self.place(*point) for point in points)
        return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.6"/>' if points else ""


def _points(table: Table, across: int, label: str) -> list[tuple[date, float]]:
    at = table.at(label)
    found = []
    for row in table.rows:
        day, amount = row[across], _number(row, at)
        if isinstance(day, date) and amount is not None:
            found.append((day, amount))
    return found


def _number(row: Row, at: int) -> float | None:
    cell = row[at]
    return float(cell) if isinstance(cell, Decimal) else None


def _key(chart: Chart) -> list[str]:
    parts, x, y = [], float(_LEFT), _HEIGHT - 8
    for label, color in [*((one, _FILL) for one in chart.areas), *zip(chart.lines, _LINES, strict=False)]:
        parts.append(f'<rect x="{x:.0f}" y="{y - 8}" width="14" height="8" fill="{color}"/>')
        parts.append(f'<text x="{x + 19:.0f}" y="{y}" fill="{_TEXT}" {_FONT}>{escape(label)}</text>')
        x += 36 + 5.2 * len(label)
    return parts
