"""Vendor costs from a CSV file: read and checked as a whole, shown before anything is stored, then all or nothing."""

from collections.abc import Sequence
from decimal import Decimal

from accounts.models import Account
from consumption_cs.lib.csv_files import CsvRow, read_rows
from consumption_cs.lib.tenancy import Viewer
from usage.actions.import_lines import CheckedFile, ImportLine, Named, day_of, refuse_twins
from usage.actions.vendor_costs import NewCost, add_costs, taken_words
from usage.calc.price_text import BadPrice, read_unit_price
from usage.models import VendorCost, Workflow

REQUIRED = ("meter", "unit_cost", "effective_on")
OPTIONAL = ("account", "workflow", "currency")


CostImport = CheckedFile[NewCost]


def read_costs(viewer: Viewer, content: bytes) -> CostImport:
    """Check a file against what is stored; raises CsvProblem when it cannot be read at all. Changes nothing."""
    rows = read_rows(content, required=REQUIRED, optional=OPTIONAL)
    known = _Known(viewer, rows)
    lines = [_checked(row, known) for row in rows]
    _compare(lines, known)
    return CostImport(lines)


def import_costs(viewer: Viewer, checked: CostImport) -> int:
    """Store every new cost of a file without errors; return how many. Raises CostTaken."""
    if checked.wrong:
        raise ValueError("A file with errors is not imported.")
    return len(add_costs(viewer, checked.new))


class _Known(Named):
    """What the rows may name, workflows too, and the costs that are stored."""

    def __init__(self, viewer: Viewer, rows: Sequence[CsvRow]) -> None:
        super().__init__(viewer, rows)
        flows = {row.cells.get("workflow", "") for row in rows} - {""}
        named = Workflow.objects.visible_to(viewer).filter(account__key__in=list(self.accounts), key__in=flows)
        self.workflows = {(one.account_id, one.key): one for one in named}
        self.costs: dict[tuple[object, ...], Decimal] = {
            (one.meter_id, one.account_id, one.workflow_id, one.currency, one.effective_on): one.unit_cost
            for one in VendorCost.objects.visible_to(viewer)
        }


def _checked(row: CsvRow, known: _Known) -> ImportLine[NewCost]:
    line: ImportLine[NewCost] = ImportLine(row.line, row.cells)
    meter = known.meter_of(line)
    account = known.account_of(line)
    workflow = _workflow_of(row, known, account, line)
    home = account.currency if account else known.currency
    currency = known.currency_of(line, account, lambda _: f": give its cost in {home} too.")
    unit_cost = _cost_of(row, line)
    effective_on = day_of(line)
    if meter and unit_cost is not None and effective_on and not line.errors:
        line.new = NewCost(meter, account, workflow, currency, unit_cost, effective_on)
    return line


def _workflow_of(row: CsvRow, known: _Known, account: Account | None, line: ImportLine[NewCost]) -> Workflow | None:
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


def _cost_of(row: CsvRow, line: ImportLine[NewCost]) -> Decimal | None:
    try:
        return read_unit_price(row.cells["unit_cost"])
    except BadPrice as bad:
        line.errors.append(str(bad).replace("price", "cost"))
        return None


def _compare(lines: list[ImportLine[NewCost]], known: _Known) -> None:
    """A row that says what is stored already is done; one that says otherwise is an error, as are two of a kind."""
    refuse_twins(lines, lambda new: new.series, "a cost for the same meter, customer, currency and day")
    for line in lines:
        if line.new is None:
            continue
        stored = known.costs.get(line.new.series)
        line.is_there = stored == line.new.unit_cost
        if stored is not None and not line.is_there:
            line.errors.append(f"{taken_words(line.new)} It is {stored.normalize():f}; remove it first.")
