"""CSV as spreadsheets write and read it: strict about its shape on the way in, no formulas on the way out."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_BYTES = 2 * 1024 * 1024
MAX_ROWS = 5_000
MAX_CELL_CHARS = 2_000

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
_FORMULA = "=+-@\t\r\n"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class CsvProblem(ValueError):
    """The file as a whole cannot be read; the message says what to change in it."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row: the line it starts at (the header is line 1) and its cells by column, without spaces around them."""

    line: int
    cells: dict[str, str]


def read_rows(content: bytes, *, required: Sequence[str], optional: Sequence[str] = ()) -> list[CsvRow]:
    """Return the rows of a CSV file in UTF-8, separated by commas, semicolons or tabs.

    The first line names the columns, in any order and any case. Rows without any content are left out. A column
    that is missing, unknown or there twice raises CsvProblem, as does a row with too many cells: guessing would
    put a number under the wrong heading.
    """
    text = _text_of(content)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter_of(text), strict=True)
    try:
        header = _header_of(next(reader, []), required, optional)
        rows: list[CsvRow] = []
        while True:
            line = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                return rows
            if any(cell.strip() for cell in cells):
                rows.append(CsvRow(line, _cells_of(cells, header, line)))
            if len(rows) > MAX_ROWS:
                raise CsvProblem(f"The file has more than {MAX_ROWS:,} rows. Split it and import the parts in turn.")
    except csv.Error as error:
        raise CsvProblem(f"Line {reader.line_num} cannot be read as CSV: {error}.") from error


def write_rows(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a CSV file in UTF-8. No cell can be taken for a formula; None is an empty cell."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
    return out.getvalue().encode()


def safe_cell(value: object) -> str:
    """Return the text of a cell; one that a spreadsheet would run gets an apostrophe in front, numbers excepted."""
    text = "" if value is None else str(value)
    if not text or _NUMBER.fullmatch(text):
        return text
    # Full-width signs count too, and spaces in front do not help: some spreadsheets drop both.
    plain = unicodedata.normalize("NFKC", text)
    return f"'{text}" if plain[0] in _FORMULA or plain.lstrip().startswith(tuple("=+-@")) else text


def _text_of(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise CsvProblem(f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB. Split it and import the parts.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CsvProblem("The file is not UTF-8. Save it as “CSV UTF-8” and try again.") from error
    if not text.strip():
        raise CsvProblem("The file is empty.")
    if _CONTROL.search(text.replace("\r\n", "\n").replace("\r", "\n")):
        raise CsvProblem("The file has control characters in it. Is it really a CSV file?")
    return text


def _delimiter_of(text: str) -> str:
    header = text.lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _header_of(cells: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> list[str]:
    header = [cell.strip().lower().replace(" ", "_") for cell in cells]
    known = [*required, *optional]
    missing = [name for name in required if name not in header]
    if missing:
        raise CsvProblem(f"Missing column: {', '.join(missing)}. The first line must name {', '.join(known)}.")
    for name in header:
        if name not in known:
            raise CsvProblem(f"Unknown column “{name[:60]}”. Known are {', '.join(known)}.")
        if header.count(name) > 1:
            raise CsvProblem(f"The column “{name}” is there twice.")
    return header


def _cells_of(cells: Sequence[str], header: Sequence[str], line: int) -> dict[str, str]:
    if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
        raise CsvProblem(f"Line {line} has {len(cells)} cells, but the first line names {len(header)} columns.")
    if any(len(cell) > MAX_CELL_CHARS for cell in cells):
        raise CsvProblem(f"Line {line} has a cell of more than {MAX_CELL_CHARS:,} characters.")
    return {name: cells[at].strip() if at < len(cells) else "" for at, name in enumerate(header)}
