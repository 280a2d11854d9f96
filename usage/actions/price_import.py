"""Prices from a CSV file: read and checked as a whole, shown before anything is stored, stored all or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from accounts.models import Account, Organization
from consumption_cs.lib.csv_files import CsvRow, read_rows
from consumption_cs.lib.money import MoneyError, checked_currency
from consumption_cs.lib.tenancy import Viewer
from usage.actions.publishing import NewPrice, add_prices
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import Meter, Price
from usage.reports.rate_cards import said, taken_words

REQUIRED = ("meter", "unit_price", "effective_on")
OPTIONAL = ("account", "currency")
_Series = tuple[object, object, str, date]


@dataclass(slots=True)
class ImportLine:
    """One row of the file: what it would add, or what is wrong with it. `is_there` means nothing to do."""

    line: int
    cells: dict[str, str]
    errors: list[str] = field(default_factory=list)
    new: NewPrice | None = None
    is_there: bool = False

    @property
    def currency(self) -> str:
        """The currency that the row means, or as far as it says."""
        return self.new.currency if self.new else self.cells.get("currency", "")


@dataclass(frozen=True, slots=True)
class PriceImport:
    """A whole file, checked."""

    lines: list[ImportLine]

    @property
    def wrong(self) -> list[ImportLine]:
        return [line for line in self.lines if line.errors]

    @property
    def new(self) -> list[NewPrice]:
        return [line.new for line in self.lines if line.new and not line.errors and not line.is_there]


def read_prices(viewer: Viewer, content: bytes) -> PriceImport:
    """Check a file against what is stored; raises CsvProblem when it cannot be read at all. Changes nothing."""
    rows = read_rows(content, required=REQUIRED, optional=OPTIONAL)
    known = _Known(viewer, rows)
    lines = [_checked(row, known) for row in rows]
    _refuse_twins(lines, known)
    return PriceImport(lines)


def import_prices(viewer: Viewer, checked: PriceImport) -> int:
    """Publish every new price of a file without errors; return how many days will be rated again."""
    if checked.wrong:
        raise ValueError("A file with errors is not imported.")
    return add_prices(viewer, checked.new)


class _Known:
    """The meters, accounts and prices that the rows may mean, in three queries."""

    def __init__(self, viewer: Viewer, rows: Sequence[CsvRow]) -> None:
        names = {row.cells.get("account", "") for row in rows}
        self.meters = {meter.key: meter for meter in Meter.objects.visible_to(viewer)}
        self.accounts = {one.key: one for one in Account.objects.visible_to(viewer).filter(key__in=names)}
        self.currency = Organization.objects.get(pk=viewer.organization_id).currency
        stored = Price.objects.visible_to(viewer).filter(in_force=True).select_related("meter")
        self.prices: dict[_Series, Price] = {
            (one.meter_id, one.account_id, one.currency, one.effective_on): one for one in stored
        }


def _checked(row: CsvRow, known: _Known) -> ImportLine:
    line = ImportLine(row.line, row.cells)
    meter = known.meters.get(row.cells["meter"])
    if meter is None:
        line.errors.append(f"No meter has the key “{row.cells['meter'][:60]}”.")
    account = _account_of(row, known, line)
    currency = _currency_of(row, known, account, line)
    unit_price = _price_of(row, line)
    effective_on = _day_of(row, line)
    if meter and unit_price is not None and effective_on and not line.errors:
        line.new = NewPrice(meter, account, currency, unit_price, effective_on)
    return line


def _account_of(row: CsvRow, known: _Known, line: ImportLine) -> Account | None:
    key = row.cells.get("account", "")
    if key and key not in known.accounts:
        line.errors.append(f"No account has the key “{key[:60]}”.")
    return known.accounts.get(key) if key else None


def _currency_of(row: CsvRow, known: _Known, account: Account | None, line: ImportLine) -> str:
    home = account.currency if account else known.currency
    currency = row.cells.get("currency", "") or home
    try:
        checked_currency(currency)
    except MoneyError:
        line.errors.append(f"“{currency[:10]}” is not a currency: use three capital letters, such as {home}.")
        return home
    if account and currency != account.currency:
        line.errors.append(f"{account.name} pays in {account.currency}, so its price cannot be in {currency}.")
    return currency


def _price_of(row: CsvRow, line: ImportLine) -> Decimal | None:
    try:
        return read_unit_price(row.cells["unit_price"])
    except BadPrice as bad:
        line.errors.append(str(bad))
        return None


def _day_of(row: CsvRow, line: ImportLine) -> date | None:
    text = row.cells["effective_on"]
    try:
        day = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        day = None
    if day is None or not 2000 <= day.year <= 2099:
        line.errors.append(f"“{text[:30]}” is not a day: write it as 2026-01-31.")
        return None
    return day


def _refuse_twins(lines: list[ImportLine], known: _Known) -> None:
    """A row that says what is stored already is done; one that says otherwise is an error, as are two of a kind."""
    seen: dict[_Series, int] = {}
    for line in lines:
        if line.new is None:
            continue
        new = line.new
        series = (new.meter.pk, new.account.pk if new.account else None, new.currency, new.effective_on)
        if series in seen:
            line.errors.append(f"Line {seen[series]} has a price for the same meter, account, currency and day.")
        seen.setdefault(series, line.line)
        stored = known.prices.get(series)
        line.is_there = stored is not None and stored.unit_price == new.price
        if stored is not None and not line.is_there:
            taken = taken_words(new.meter, new.account, new.currency, new.effective_on)
            line.errors.append(f"{taken} It is {said(stored).text}: choose another day, or withdraw its version.")
