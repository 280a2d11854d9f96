"""A report on paper: typst sets the pages, the chart is drawn by us."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import typst

from budgets.exports.pdf_packing import packed
from budgets.exports.report_chart import chart_svg
from budgets.reports.document import Cell, Column, Document, Row, Table, text_of
from consumption_cs.lib.display import money_text, percent_text, quantity_text

_TEMPLATE = Path(__file__).with_name("report.typ").read_bytes()


def report_pdf(document: Document) -> bytes:
    """Return the PDF. Its date is the as-of, its fonts are typst's own, so the same document gives the same bytes."""
    told = {
        "title": document.title,
        "organization": document.organization,
        "account": document.account or "All accounts",
        "said": document.said,
        "as_of": f"{document.as_of:%Y-%m-%d %H:%M:%S} UTC",
        "date": [document.as_of.year, document.as_of.month, document.as_of.day],
        "zone": document.zone,
        "code": document.check_code,
        "facts": [list(fact) for fact in document.facts],
        "tables": [_table(table) for table in document.tables],
    }
    made: bytes = typst.compile(
        _TEMPLATE,
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(told, ensure_ascii=False)},
        timestamp=int(document.as_of.timestamp()),
    )
    return packed(made)


def _table(table: Table) -> dict[str, object]:
    printed = table.rows if table.most_printed is None else table.rows[-table.most_printed :]
    if table.most_printed == 0:
        printed = []
    left_out = len(table.rows) - len(printed)
    note = f"{table.note} All money in {table.currency}." if table.currency else table.note
    if left_out and printed:
        note += f" The last {len(printed)} of {len(table.rows)} rows; the workbook and the CSV have all."
    return {
        "title": table.title,
        "note": note,
        "chart": chart_svg(table) if table.chart and table.rows else "",
        "columns": [column.label for column in table.columns] if printed else [],
        "right": [column.kind not in ("text", "date") for column in table.columns],
        "wide": [column.label in ("Why", "Reason") for column in table.columns],
        "rows": [_row(table, row) for row in printed],
        "totals": [_total(table, currency, sums) for currency, sums in table.totals()] if printed else [],
        "empty": not table.rows,
    }


def _row(table: Table, row: Row) -> list[str]:
    currency = table.currency_of(row)
    return [_printed(column, cell, currency) for column, cell in zip(table.columns, row, strict=True)]


def _total(table: Table, currency: str, sums: dict[int, Decimal]) -> list[str]:
    label = "Total" if table.currency else f"Total {currency}"
    cells = [_printed(column, sums.get(at), currency) if at in sums else "" for at, column in enumerate(table.columns)]
    return [label, *cells[1:]]


def _printed(column: Column, cell: Cell, currency: str) -> str:
    if cell is None:
        return "" if column.kind == "money" else "–"
    if column.kind == "money" and isinstance(cell, Decimal):
        return "–" if cell == 0 else money_text(cell, currency)
    if column.kind == "percent" and isinstance(cell, Decimal):
        return percent_text(cell)
    if column.kind == "number" and isinstance(cell, Decimal):
        return quantity_text(cell)
    if isinstance(cell, date):
        return f"{cell:%Y-%m-%d}"
    return text_of(cell)
