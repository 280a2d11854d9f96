"""Exposure: overage and breakage that are expected, by account and month, until each term ends."""

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np

from accounts.models import Account, Organization
from budgets.calc.run_out import Layers, run_out
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastRun
from budgets.reports.burndown_report import run_as_of
from budgets.reports.document import PRINTED, Cell, Column, Document, Row, Table, cents
from budgets.reports.forecasts import situation
from consumption_cs.lib.display import listed, money_text
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer

COLUMNS = (
    Column("Account"), Column("Key"), Column("Currency"), Column("Month", "date"),
    Column("Overage, low", "money"), Column("Overage, expected", "money", total=True),
    Column("Overage, high", "money"), Column("Breakage, low", "money"),
    Column("Breakage, expected", "money", total=True), Column("Breakage, high", "money"),
)  # fmt: skip


def account_rows(viewer: Viewer, account: Account, as_of: datetime) -> list[Row]:
    """Return one row a calendar month ahead; none without a forecast, a commit or a term's end."""
    run = run_as_of(viewer, account, as_of)
    if run is None or run.remaining is None or run.term_ends_on is None:
        return []
    return [
        [account.name, account.key, account.currency, month, *_cells(overage, account), *_cells(lapsed, account)]
        for month, overage, lapsed in _by_month(run)
    ]


def _cells(paths: Floats, account: Account) -> list[Cell]:
    low, high = np.quantile(paths, [0.1, 0.9])
    return [cents(float(amount), account.currency) for amount in (low, paths.mean(), high)]


def _by_month(run: ForecastRun) -> list[tuple[date, Floats, Floats]]:
    """Return each month's first day, overage at the overage rate, and what lapses in it, by path."""
    stands = situation(run)
    if stands is None or stands.term <= 0:
        return []
    firsts, ends = _months(run.as_of, stands.term)
    # Every month is a row of one run: what has come of each path by the month's end.
    every = (len(ends), 1)
    layers = Layers(np.tile(stands.left, every), np.tile(stands.starts, every), np.tile(stands.ends, every))
    spend = np.broadcast_to(stands.spend, (len(ends), *stands.spend.shape))[:, :, : stands.term]
    drawn = run_out(spend, layers, np.array(ends))
    # What is left at the end of a month that is not the term's has not lapsed.
    lapsed = drawn.unused - [drawn.balance[row, :, day - 1] * (day < stands.term) for row, day in enumerate(ends)]
    overage = np.diff(drawn.overage, axis=0, prepend=0.0) * stands.overage_factor
    lapsed = np.diff(lapsed, axis=0, prepend=0.0)
    return list(zip(firsts, overage, lapsed, strict=True))


def _months(as_of: date, term: int) -> tuple[list[date], list[int]]:
    """Return the first day of each calendar month until the term ends, and the days from `as_of` to its end."""
    firsts, ends, first = list[date](), list[int](), as_of.replace(day=1)
    while not ends or ends[-1] < term:
        firsts.append(first)
        first = add_months(first, 1)
        ends.append(min((first - as_of).days, term))
    return firsts, ends


def account_document(viewer: Viewer, organization: Organization, account: Account, as_of: datetime) -> Document:
    """Return the account's exposure."""
    return _document(organization, account.name, account.timezone, account_rows(viewer, account, as_of), as_of)


def organization_document(organization: Organization, rows: Sequence[Row], as_of: datetime) -> Document:
    """Return the exposure of all accounts from their rows."""
    return _document(organization, "", organization.timezone, rows, as_of)


def _document(organization: Organization, account: str, zone: str, rows: Sequence[Row], as_of: datetime) -> Document:
    note = "8 in 10 outcomes lie between low and high. Overage at the overage rate; breakage is what lapses unused."
    table = Table("Months", "By month, until the terms end", note, COLUMNS, rows, most_printed=PRINTED)
    overage, breakage = _sums(table, "Overage"), _sums(table, "Breakage")
    said = f"Expected until the terms end: overage {overage}, breakage {breakage}."
    return Document("exposure", "Exposure", organization.name, account, as_of, zone, said, (), [table])


def _sums(table: Table, of: str) -> str:
    at = table.at(f"{of}, expected")
    sums = [(currency, amounts[at]) for currency, amounts in table.totals()]
    return listed([money_text(amount, currency) for currency, amount in sums if amount]) or "none"
