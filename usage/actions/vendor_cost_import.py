"""Vendor costs from a CSV file: read and checked as a whole, shown before anything is stored, then all or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from accounts.models import Account, Organization
from consumption_cs.lib.csv_files import CsvRow, read_rows
from consumption_cs.lib.money import MoneyError, checked_currency
from consumption_cs.lib.tenancy import Viewer
from usage.actions.vendor_costs import NewCost, add_costs, taken_words
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import Meter, VendorCost, Workflow

REQUIRED = ("meter", "unit_cost", "effective_on")
OPTIONAL = ("account", "workflow", "currency")


@dataclass(slots=True)
class ImportLine:
    """One row of the file: what it would add, or what is wrong with it. `is_there` means nothing to do."""

    line: int
    cells: dict[str, str]
    errors: list[str] = field(default_factory=list)
    new: NewCost | None = None
    is_there: bool = False

    @property
    def currency(self) -> str:
        """The currency that the row means, or as far as it says."""
        return self.new.currency if self.new else self.cells.get("currency", "")


@dataclass(frozen=True, slots=True)
class CostImport:
    """A whole file, checked."""

    lines: list[ImportLine]

    @property
    def wrong(self) -> list[ImportLine]:
        return [line for line in self.lines if line.errors]

    @property
    def new(self) -> list[NewCost]:
        return [line.new for line in self.lines if line.new and not line.errors and not line.is_there]


def read_costs(viewer: Viewer, content: bytes) -> CostImport:
    """Check a file against what is stored; raises CsvProblem when it cannot be read at all. Changes nothing."""
    rows = read_rows(content, required=REQUIRED, optional=OPTIONAL)
    known = _Known(viewer, rows)
    lines = [_checked(row, known) for row in rows]
    _refuse_twins(lines, known)
    return CostImport(lines)


def import_costs(viewer: Viewer, checked: CostImport) -> int:
    """Store every new cost of a file without errors; return how many. Raises CostTaken."""
    if checked.wrong:
        raise ValueError("A file with errors is not imported.")
    return len(add_costs(viewer, checked.new))


class _Known:
    """The meters, accounts, workflows and costs that the rows may mean."""

    def __init__(self, viewer: Viewer, rows: Sequence[CsvRow]) -> None:
        names = {row.cells.get("account", "") for row in rows}
        flows = {row.cells.get("workflow", "") for row in rows} - {""}
        self.meters = {meter.key: meter for meter in Meter.objects.visible_to(viewer)}
        self.accounts = {one.key: one for one in Account.objects.visible_to(viewer).filter(key__in=names)}
        named = Workflow.objects.visible_to(viewer).filter(account__key__in=names, key__in=flows)
        self.workflows = {(one.account_id, one.key): one for one in named}
        self.currency = Organization.objects.get(pk=viewer.organization_id).currency
        self.costs: dict[tuple[object, ...], Decimal] = {
            (one.meter_id, one.account_id, one.workflow_id, one.currency, one.effective_on): one.unit_cost
            for one in VendorCost.objects.visible_to(viewer)
        }


def _checked(row: CsvRow, known: _Known) -> ImportLine:
    line = ImportLine(row.line, row.cells)
    meter = known.meters.get(row.cells["meter"])
    if meter is None:
        line.errors.append(f"No meter has the key “{row.cells['meter'][:60]}”.")
    account = _account_of(row, known, line)
    workflow = _workflow_of(row, known, account, line)
    currency = _currency_of(row, known, account, line)
    unit_cost = _cost_of(row, line)
    effective_on = _day_of(row, line)
    if meter and unit_cost is not None and effective_on and not line.errors:
        line.new = NewCost(meter, account, workflow, currency, unit_cost, effective_on)
    return line


def _account_of(row: CsvRow, known: _Known, line: ImportLine) -> Account | None:
    key = row.cells.get("account", "")
    if key and key not in known.accounts:
        line.errors.append(f"No account has the key “{key[:60]}”.")
    return known.accounts.get(key) if key else None


def _workflow_of(row: CsvRow, known: _Known, account: Account | None, line: ImportLine) -> Workflow | None:
    key = row.cells.get("workflow", "")
    if not key:
        return None
    if not row.cells.get("account"):
        line.errors.append("A workflow belongs to an account: name the account too.")
        return None
    found = known.workflows.get((account.pk, key)) if account else None
    if account and found is None:
        line.errors.append(f"{account.name} has no workflow with the key “{key[:60]}”.")
    return found


def _currency_of(row: CsvRow, known: _Known, account: Account | None, line: ImportLine) -> str:
    home = account.currency if account else known.currency
    currency = row.cells.get("currency", "") or home
    try:
        checked_currency(currency)
    except MoneyError:
        line.errors.append(f"“{currency[:10]}” is not a currency: use three capital letters, such as {home}.")
        return home
    if account and currency != account.currency:
        line.errors.append(f"{account.name} pays in {account.currency}: give its cost in {account.currency} too.")
    return currency


def _cost_of(row: CsvRow, line: ImportLine) -> Decimal | None:
    try:
        return read_unit_price(row.cells["unit_cost"])
    except BadPrice as bad:
        line.errors.append(str(bad).replace("price", "cost"))
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
    seen: dict[tuple[object, ...], int] = {}
    for line in lines:
        if line.new is None:
            continue
        series = line.new.series
        if series in seen:
            line.errors.append(f"Line {seen[series]} has a cost for the same meter, customer, currency and day.")
        seen.setdefault(series, line.line)
        stored = known.costs.get(series)
        line.is_there = stored == line.new.unit_cost
        if stored is not None and not line.is_there:
            line.errors.append(f"{taken_words(line.new)} It is {stored.normalize():f}; remove it first.")
