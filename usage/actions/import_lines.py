"""What imports from CSV files share: rows checked one by one, what they name, and rows that say the same thing."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Generic, Protocol, TypeVar

from accounts.models import Account, Organization
from consumption_cs.lib.csv_files import CsvRow
from consumption_cs.lib.money import MoneyError, checked_currency
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter


class InCurrency(Protocol):
    """What a row adds: a price, a cost, an invoice."""

    @property
    def currency(self) -> str: ...


New = TypeVar("New", bound=InCurrency)


@dataclass(slots=True)
class ImportLine(Generic[New]):
    """One row of the file: what it would add, or what is wrong with it. `is_there` means nothing to do."""

    line: int
    cells: dict[str, str]
    errors: list[str] = field(default_factory=list)
    new: New | None = None
    is_there: bool = False

    @property
    def currency(self) -> str:
        """The currency that the row means, or as far as it says."""
        return self.new.currency if self.new else self.cells.get("currency", "")


@dataclass(frozen=True)  # no slots: Python 3.11 cannot make a frozen, slotted instance of a generic's alias
class CheckedFile(Generic[New]):
    """A whole file, checked."""

    lines: list[ImportLine[New]]

    @property
    def wrong(self) -> list[ImportLine[New]]:
        return [line for line in self.lines if line.errors]

    @property
    def new(self) -> list[New]:
        return [line.new for line in self.lines if line.new and not line.errors and not line.is_there]


class Named:
    """The meters and accounts that rows may name, and the organization's currency. Its methods note what is wrong."""

    def __init__(self, viewer: Viewer, rows: Sequence[CsvRow]) -> None:
        names = {row.cells.get("account", "") for row in rows}
        self.meters = {meter.key: meter for meter in Meter.objects.visible_to(viewer)}
        self.accounts = {one.key: one for one in Account.objects.visible_to(viewer).filter(key__in=names)}
        self.currency = Organization.objects.get(pk=viewer.organization_id).currency

    def meter_of(self, line: ImportLine[New]) -> Meter | None:
        meter: Meter | None = self.meters.get(line.cells["meter"])
        if meter is None:
            line.errors.append(f"No meter has the key “{line.cells['meter'][:60]}”.")
        return meter

    def account_of(self, line: ImportLine[New]) -> Account | None:
        key = line.cells.get("account", "")
        if key and key not in self.accounts:
            line.errors.append(f"No account has the key “{key[:60]}”.")
        return self.accounts.get(key) if key else None

    def currency_of(self, line: ImportLine[New], account: Account | None, other: Callable[[str], str]) -> str:
        """Return the row's currency, by default the account's; `other` says what is wrong with one that is not."""
        home = account.currency if account else self.currency
        currency = line.cells.get("currency", "") or home
        try:
            checked_currency(currency)
        except MoneyError:
            line.errors.append(f"“{currency[:10]}” is not a currency: use three capital letters, such as {home}.")
            return home
        if account and currency != account.currency:
            line.errors.append(f"{account.name} pays in {account.currency}{other(currency)}")
        return currency


def day_of(line: ImportLine[New]) -> date | None:
    """Return the row's `effective_on`, of this century, or note what is wrong with it."""
    text = line.cells["effective_on"]
    try:
        day = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        day = None
    if day is None or not 2000 <= day.year <= 2099:
        line.errors.append(f"“{text[:30]}” is not a day: write it as 2026-01-31.")
        return None
    return day


def refuse_twins(lines: Iterable[ImportLine[New]], key_of: Callable[[New], Hashable], what: str) -> None:
    """Note on each row that says `what` an earlier one says already."""
    seen: dict[Hashable, int] = {}
    for line in lines:
        if line.new is None:
            continue
        key = key_of(line.new)
        if key in seen:
            line.errors.append(f"Line {seen[key]} has {what}.")
        seen.setdefault(key, line.line)
