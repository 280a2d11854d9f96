"""The formats of a report."""

from collections.abc import Callable

from budgets.exports.report_csv import report_csv
from budgets.exports.report_pdf import report_pdf
from budgets.exports.workbook import workbook
from budgets.models import Report
from budgets.reports.document import Document

_WRITERS: dict[str, Callable[[Document], bytes]] = {
    Report.Format.XLSX: workbook,
    Report.Format.CSV: report_csv,
    Report.Format.PDF: report_pdf,
}
CONTENT_TYPES: dict[str, str] = {
    Report.Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Report.Format.CSV: "text/csv; charset=utf-8",
    Report.Format.PDF: "application/pdf",
}


def render(document: Document, format: str) -> bytes:
    """Return the file; the same figures give the same bytes."""
    return _WRITERS[format](document)
