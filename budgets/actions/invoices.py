"""What the vendor's invoices said for closed billing periods: by hand, or many from a CSV file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import transaction

from accounts.actions.audit import audit_many
from accounts.models import Account
from consumption_cs.lib.csv_files import CsvRow, read_rows
from consumption_cs.lib.money import exponent, round_to
from consumption_cs.lib.tenancy import Viewer
from usage.actions.import_lines import CheckedFile, ImportLine, refuse_twins
from usage.models import BillingPeriod

REQUIRED = ("account", "period_start", "amount")
OPTIONAL = ("number", "currency")
_AMOUNT = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]+))?", re.ASCII)


class BadAmount(ValueError):
    """A text that is no amount of money; the message is for the person who typed it."""


@dataclass(frozen=True, slots=True)
class Invoice:
    """What an invoice said for one closed period, in its currency; `amount` None takes back what was entered."""

    period: BillingPeriod
    amount: Decimal | None
    number: str

    @property
    def currency(self) -> str:
        return str(self.period.currency)


InvoiceLine = ImportLine[Invoice]
InvoiceImport = CheckedFile[Invoice]


def enter_invoices(viewer: Viewer, invoices: Sequence[Invoice]) -> int:
    """Store what the invoices said, all or none, each with an audit row; return how many."""
    acts = []
    with transaction.atomic():
        for one in invoices:
            period = BillingPeriod.objects.visible_to(viewer).select_for_update(of=("self",)).get(pk=one.period.pk)
            was = period.invoiced
            period.invoiced, period.invoice_number = one.amount, one.number
            period.save(update_fields=["invoiced", "invoice_number"])
            amounts = {"from": _told(was, period.currency), "to": _told(one.amount, period.currency)}
            details = {"number": one.number, "currency": period.currency, "amount": amounts}
            acts.append(("period.invoiced", period, str(period), details))
        audit_many(viewer, acts)
    return len(acts)


def _told(amount: Decimal | None, currency: str) -> str:
    return "" if amount is None else f"{round_to(amount, exponent(currency)):f}"


def read_amount(text: str, currency: str) -> Decimal:
    """Return the amount of money that `text` says: digits with at most the currency's decimals. Raises BadAmount."""
    match = _AMOUNT.fullmatch(text.strip()[:100])
    if match is None:
        hint = " Use a point for the decimals and no thousands." if "," in text else ""
        raise BadAmount(f"“{text.strip()[:40]}” is not an amount: write digits, such as 1234.50.{hint}")
    decimals, most = (match[2] or "").rstrip("0"), exponent(currency)
    if len(decimals) > most:
        raise BadAmount(f"An amount in {currency} has at most {most} decimals; this one has {len(decimals)}.")
    return Decimal(f"{match[1]}.{decimals or 0}")


def read_invoices(viewer: Viewer, content: bytes) -> InvoiceImport:
    """Check a file against the closed periods; raises CsvProblem when it cannot be read at all. Changes nothing."""
    rows = read_rows(content, required=REQUIRED, optional=OPTIONAL)
    keys = {row.cells["account"] for row in rows}
    accounts = {one.key: one for one in Account.objects.visible_to(viewer).filter(key__in=keys)}
    closed = BillingPeriod.objects.visible_to(viewer).filter(account__key__in=keys).select_related("account")
    periods = {(period.account.key, period.starts_on): period for period in closed}
    lines = [_checked(row, accounts, periods) for row in rows]
    refuse_twins(lines, lambda new: new.period.pk, "an invoice for the same account and period")
    return InvoiceImport(lines)


def _checked(row: CsvRow, accounts: dict[str, Account], periods: dict[tuple[str, date], BillingPeriod]) -> InvoiceLine:
    line: InvoiceLine = ImportLine(row.line, row.cells)
    account, starts_on = accounts.get(row.cells["account"]), _day_of(row, line)
    if account is None:
        line.errors.append(f"No account has the key “{row.cells['account'][:60]}”.")
    if account is None or starts_on is None:
        return line
    period = periods.get((account.key, starts_on))
    if period is None:
        words = f"{account.name} has no closed billing period that starts on {starts_on}."
        line.errors.append(f"{words} Close it first, or correct the day.")
        return line
    if row.cells.get("currency", period.currency) not in ("", period.currency):
        line.errors.append(f"{account.name} is invoiced in {period.currency}, not in {row.cells['currency'][:10]}.")
    try:
        amount = read_amount(row.cells["amount"], period.currency)
    except BadAmount as bad:
        line.errors.append(str(bad))
        return line
    number = row.cells.get("number", "")
    if len(number) > 100:
        line.errors.append("An invoice number has at most 100 characters.")
    line.new = Invoice(period, amount, number)
    line.is_there = (period.invoiced, period.invoice_number) == (amount, number)
    return line


def _day_of(row: CsvRow, line: InvoiceLine) -> date | None:
    text = row.cells["period_start"]
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
    except ValueError:
        pass
    line.errors.append(f"“{text[:30]}” is not a day: write the period’s first day as 2026-01-31.")
    return None
