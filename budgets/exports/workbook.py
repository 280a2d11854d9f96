"""A report as a workbook: one sheet a table, formulas that add up with their values, a native chart, no surprises."""

import io
from datetime import date
from decimal import Decimal
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_range

from budgets.reports.document import Cell, Column, Document, Row, Table
from consumption_cs.lib.money import exponent

_LARGE = 20_000  # rows of a sheet from which on they are written to disk one by one
_OPTIONS = {
    "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
}  # fmt: skip
_WIDTHS = {"text": 24, "money": 16, "date": 12, "percent": 11, "number": 12, "exact": 12}
_HEAD = 3  # the row of the column names
_COLORS = {"area": "#C9C5F7", "lines": ("#9AA1B2", "#5146E5", "#9AA1B2")}


def workbook(document: Document) -> bytes:
    """Return the XLSX file. The same document gives the same bytes: its date is the as-of, not the clock."""
    out = io.BytesIO()
    is_large = any(len(table.rows) > _LARGE for table in document.tables)
    book = xlsxwriter.Workbook(out, _OPTIONS | {"constant_memory" if is_large else "in_memory": True})
    made = document.as_of.replace(tzinfo=None, microsecond=0)
    book.set_properties(
        {"title": document.title, "company": document.organization, "created": made, "comments": document.check_code}
    )
    book.set_size(2400, 1600)
    formats = _Formats(book)
    _cover(book, document, formats)
    for table in document.tables:
        _Sheet(book, table, formats).write()
    book.close()
    return out.getvalue()


class _Formats:
    """The formats of a workbook, made once each."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.made: dict[tuple[str, int, bool], Any] = {}
        self.head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self.right = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top", "align": "right"})
        self.title = book.add_format({"bold": True, "font_size": 16})
        self.bold = book.add_format({"bold": True})
        self.quiet = book.add_format({"font_color": "#636C80"})
        self.code = book.add_format({"font_name": "Courier New"})

    def of(self, kind: str, currency: str, strong: bool = False) -> Any:
        """Return the format of a kind of cell; money shows what its currency has."""
        places = exponent(currency) if kind == "money" and currency else 2
        if (kind, places, strong) not in self.made:
            shown = {"date": "yyyy-mm-dd", "percent": "0.0%", "number": "#,##0", "text": "@",
                     "exact": "#,##0.00####"}  # fmt: skip
            shown["money"] = "#,##0" + ("." + "0" * places if places else "")
            options: dict[str, object] = {"num_format": shown[kind]}
            if kind == "date":
                options["align"] = "left"  # under its name
            self.made[kind, places, strong] = self.book.add_format(
                options | ({"bold": True, "top": 1} if strong else {})
            )
        return self.made[kind, places, strong]


def _cover(book: Any, document: Document, formats: _Formats) -> None:
    sheet = book.add_worksheet("Report")
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 80)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.write_string(0, 0, document.title, formats.title)
    sheet.write_string(1, 0, document.said, formats.bold)
    lines = [
        ("Organization", document.organization),
        ("Account", document.account or "All accounts"),
        ("As of", f"{document.as_of:%Y-%m-%d %H:%M:%S} UTC"),
        ("Days are those of", document.zone),
        *document.facts,
        *((f"Sheet {table.name}", table.note) for table in document.tables),
    ]
    for number, (label, text) in enumerate(lines, start=3):
        sheet.write_string(number, 0, label, formats.quiet)
        sheet.write_string(number, 1, text)
    end = len(lines) + 4
    sheet.write_string(end, 0, "Check code of the figures", formats.quiet)
    sheet.write_string(end, 1, document.check_code, formats.code)
    sheet.write_string(
        end + 1, 1, "SHA-256. Another file of the same report and as-of has the same code.", formats.quiet
    )


class _Sheet:
    """One table on a sheet of its own."""

    def __init__(self, book: Any, table: Table, formats: _Formats) -> None:
        self.book, self.table, self.formats = book, table, formats
        self.sheet = book.add_worksheet(table.name)
        self.first, self.last = _HEAD + 1, _HEAD + len(table.rows)

    def write(self) -> None:
        table, sheet = self.table, self.sheet
        sheet.write_string(0, 0, table.title, self.formats.title)
        note = f"{table.note} All money in {table.currency}." if table.currency else table.note
        sheet.write_string(1, 0, note, self.formats.quiet)
        for at, column in enumerate(table.columns):
            is_text = column.kind in ("text", "date")
            sheet.write_string(_HEAD, at, column.label, self.formats.head if is_text else self.formats.right)
            sheet.set_column(at, at, _WIDTHS[column.kind])
        for number, row in enumerate(table.rows, start=self.first):
            for at, column in enumerate(table.columns):
                self._cell(number, at, column, row)
        self._totals()
        sheet.freeze_panes(_HEAD + 1, 1)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(_HEAD)
        if table.chart and table.rows:
            self._chart()

    def _cell(self, number: int, at: int, column: Column, row: Row) -> None:
        style = self.formats.of(column.kind, self.table.currency_of(row))
        cell = row[at]
        if column.adds and isinstance(cell, Decimal):
            first, last = (self.table.at(label) for label in column.adds)
            self.sheet.write_formula(number, at, f"=SUM({xl_range(number, first, number, last)})", style, float(cell))
        else:
            self._plain(number, at, cell, style)

    def _plain(self, number: int, at: int, cell: Cell, style: Any) -> None:
        if isinstance(cell, Decimal):
            self.sheet.write_number(number, at, float(cell), style)
        elif isinstance(cell, date):
            self.sheet.write_datetime(number, at, cell, style)
        elif cell:
            self.sheet.write_string(number, at, str(cell)[:32_000], style)

    def _totals(self) -> None:
        for number, (currency, sums) in enumerate(self.table.totals(), start=self.last + 1):
            label = "Total" if self.table.currency else f"Total {currency}"
            for at, column in enumerate(self.table.columns):
                style = self.formats.of(column.kind, currency, strong=True)
                if at in sums:
                    self.sheet.write_formula(number, at, self._sum(at, currency), style, float(sums[at]))
                else:
                    self.sheet.write_string(number, at, label if at == 0 else "", self.formats.of("text", "", True))

    def _sum(self, at: int, currency: str) -> str:
        cells = xl_range(self.first, at, self.last, at)
        if self.table.currency:
            return f"=SUM({cells})"
        where = self.table.at("Currency")
        return f'=SUMIF({xl_range(self.first, where, self.last, where)},"{currency}",{cells})'

    def _chart(self) -> None:
        told = self.table.chart
        if told is None:
            return
        chart = self.book.add_chart({"type": "column" if told.bars else "area"})
        lines = self.book.add_chart({"type": "line"})
        for label in told.areas:
            chart.add_series(self._series(told.across, label) | {"fill": {"color": _COLORS["area"]}})
        for label, color in zip(told.lines, _COLORS["lines"], strict=False):
            lines.add_series(self._series(told.across, label) | {"line": {"color": color, "width": 1.75}})
        if told.lines:
            chart.combine(lines)
        chart.set_title({"name": told.title, "name_font": {"size": 12}})
        chart.set_x_axis({"date_axis": True, "num_format": "mmm yy", "major_unit": 1, "major_unit_type": "months"})
        grid = {"num_format": "#,##0", "major_gridlines": {"visible": True, "line": {"color": "#E4E7EC"}}}
        chart.set_y_axis(grid | ({"min": 0} if told.bars and self._is_never_below_zero(told.areas) else {}))
        chart.set_legend({"position": "bottom"})
        chart.set_size({"width": 980, "height": 420})
        self.sheet.insert_chart(_HEAD, len(self.table.columns) + 1, chart)

    def _is_never_below_zero(self, labels: tuple[str, ...]) -> bool:
        cells = (row[self.table.at(label)] for row in self.table.rows for label in labels)
        return all(cell >= 0 for cell in cells if isinstance(cell, Decimal))

    def _series(self, across: str, label: str) -> dict[str, object]:
        where, at = self.table.at(across), self.table.at(label)
        return {
            "name": [self.table.name, _HEAD, at],
            "categories": [self.table.name, self.first, where, self.last, where],
            "values": [self.table.name, self.first, at, self.last, at],
        }
