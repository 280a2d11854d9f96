"""A report as one CSV file: all its tables under each other, told apart by the first column."""

from collections.abc import Iterator

from budgets.reports.document import Document, text_of
from consumption_cs.lib.csv_files import write_rows


def report_csv(document: Document) -> bytes:
    """Return the file: every line has the columns of all tables, empty where a table has none of that name."""
    labels = list(dict.fromkeys(column.label for table in document.tables for column in table.columns))
    return write_rows(["Table", *labels, "Currency of the table", "As of", "Check code"], _rows(document, labels))


def _rows(document: Document, labels: list[str]) -> Iterator[list[str]]:
    as_of, code = document.as_of.isoformat(), document.check_code
    for table in document.tables:
        for row in table.rows:
            cells = {column.label: text_of(cell) for column, cell in zip(table.columns, row, strict=True)}
            yield [table.name, *(cells.get(label, "") for label in labels), table.currency, as_of, code]
