"""Prices from a CSV file: read and checked as a whole, shown before anything is stored, stored all or not at all."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from consumption_cs.lib.csv_files import CsvRow, read_rows
from consumption_cs.lib.tenancy import Viewer
from usage.actions.import_lines import CheckedFile, ImportLine, Named, day_of, refuse_twins
from usage.actions.publishing import NewPrice, add_prices
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import Price
from usage.reports.rate_cards import said, taken_words

REQUIRED = ("meter", "unit_price", "effective_on")
OPTIONAL = ("account", "currency")
_Series = tuple[object, object, str, date]


PriceImport = CheckedFile[NewPrice]


def read_prices(viewer: Viewer, content: bytes) -> PriceImport:
    """Check a file against what is stored; raises CsvProblem when it cannot be read at all. Changes nothing."""
    rows = read_rows(content, required=REQUIRED, optional=OPTIONAL)
    known = _Known(viewer, rows)
    lines = [_checked(row, known) for row in rows]
    _compare(lines, known)
    return PriceImport(lines)


def import_prices(viewer: Viewer, checked: PriceImport) -> int:
    """Publish every new price of a file without errors; return how many days will be rated again."""
    if checked.wrong:
        raise ValueError("A file with errors is not imported.")
    return add_prices(viewer, checked.new)


class _Known(Named):
    """What the rows may name, and the prices in force."""

    def __init__(self, viewer: Viewer, rows: Sequence[CsvRow]) -> None:
        super().__init__(viewer, rows)
        stored = Price.objects.visible_to(viewer).filter(in_force=True).select_related("meter")
        self.prices: dict[_Series, Price] = {
            (one.meter_id, one.account_id, one.currency, one.effective_on): one for one in stored
        }


def _checked(row: CsvRow, known: _Known) -> ImportLine[NewPrice]:
    line: ImportLine[NewPrice] = ImportLine(row.line, row.cells)
    meter = known.meter_of(line)
    account = known.account_of(line)
    currency = known.currency_of(line, account, lambda other: f", so its price cannot be in {other}.")
    unit_price = _price_of(row, line)
    effective_on = day_of(line)
    if meter and unit_price is not None and effective_on and not line.errors:
        line.new = NewPrice(meter, account, currency, unit_price, effective_on)
    return line


def _price_of(row: CsvRow, line: ImportLine[NewPrice]) -> Decimal | None:
    try:
        return read_unit_price(row.cells["unit_price"])
    except BadPrice as bad:
        line.errors.append(str(bad))
        return None


def _compare(lines: list[ImportLine[NewPrice]], known: _Known) -> None:
    """A row that says what is stored already is done; one that says otherwise is an error, as are two of a kind."""
    refuse_twins(lines, _series, "a price for the same meter, account, currency and day")
    for line in lines:
        if line.new is None:
            continue
        new = line.new
        stored = known.prices.get(_series(new))
        line.is_there = stored is not None and stored.unit_price == new.price
        if stored is not None and not line.is_there:
            taken = taken_words(new.meter, new.account, new.currency, new.effective_on)
            line.errors.append(f"{taken} It is {said(stored).text}: choose another day, or withdraw its version.")


def _series(new: NewPrice) -> _Series:
    return (new.meter.pk, new.account.pk if new.account else None, new.currency, new.effective_on)
