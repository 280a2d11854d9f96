"""A report as figures: titles, tables, and what adds up to what. Files are written from it, and its check code."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from consumption_cs.lib.money import exponent, round_to

Kind = Literal["text", "money", "date", "percent", "number", "exact"]  # exact: a number with its small parts
Cell = str | Decimal | date | None
Row = Sequence[Cell]
ZERO = Decimal(0)
PRINTED = 1_000  # rows of all accounts on paper


@dataclass(frozen=True, slots=True)
class Column:
    """`total`: added up below the table. `adds` first and last label of the columns that this one is the sum of."""

    label: str
    kind: Kind = "text"
    total: bool = False
    adds: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Labels of columns: `areas` and `lines` over `across`, one of the table's date columns; the areas of sums of
    whole months are `bars`."""

    title: str
    across: str
    areas: tuple[str, ...]
    lines: tuple[str, ...]
    bars: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`currency` of all money in it, or, empty, each row names its own in the column Currency: totals are by it."""

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    currency: str = ""
    chart: Chart | None = None
    most_printed: int | None = None  # on paper; files hold all

    def at(self, label: str) -> int:
        """Return the position of a column."""
        return [column.label for column in self.columns].index(label)

    def currency_of(self, row: Row) -> str:
        return self.currency or str(row[self.at("Currency")] if self._has_currency else "") or "USD"

    @property
    def _has_currency(self) -> bool:
        return any(column.label == "Currency" for column in self.columns)

    @property
    def currencies(self) -> list[str]:
        return [self.currency] if self.currency else sorted({self.currency_of(row) for row in self.rows})

    def totals(self) -> list[tuple[str, dict[int, Decimal]]]:
        """Return for each currency the sums by column position; empty when nothing is added up."""
        adding = [at for at, column in enumerate(self.columns) if column.total]
        if not adding or not self.rows:
            return []
        found = []
        for currency in self.currencies:
            rows = [row for row in self.rows if self.currency_of(row) == currency]
            found.append((currency, {at: sum((_decimal(row[at]) for row in rows), ZERO) for at in adding}))
        return found


@dataclass(frozen=True, slots=True)
class Document:
    """A report. `as_of`: what was booked and forecast until then; `said` the finding in one sentence."""

    kind: str
    title: str
    organization: str
    account: str  # empty: the whole organization
    as_of: datetime
    zone: str
    said: str
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = field(default=())

    @property
    def check_code(self) -> str:
        """The SHA-256 of the figures: the same in every format, and for the same as-of at any time."""
        told = [
            self.kind, self.organization, self.account, self.as_of.isoformat(), self.zone, self.said,
            [list(fact) for fact in self.facts],
            [[table.name, table.currency, [column.label for column in table.columns], _plain(table.rows)]
             for table in self.tables],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _plain(rows: Sequence[Row]) -> list[list[str | None]]:
    return [[None if cell is None else text_of(cell) for cell in row] for row in rows]


def text_of(cell: Cell) -> str:
    """Return a cell as text that means the same to every program: plain digits, ISO dates."""
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    return cell.isoformat() if isinstance(cell, date) else str(cell or "")


def cell_from(kind: Kind, text: str | None) -> Cell:
    """Return the cell that `text_of` wrote."""
    if text is None:
        return None
    if kind == "date":
        return date.fromisoformat(text)
    return text if kind == "text" else Decimal(text)


def cents(amount: Decimal | float, currency: str) -> Decimal:
    """Round an amount to what its currency has: files hold what pages show."""
    return round_to(Decimal(repr(amount)) if isinstance(amount, float) else amount, exponent(currency))


def _decimal(cell: Cell) -> Decimal:
    return cell if isinstance(cell, Decimal) else ZERO
