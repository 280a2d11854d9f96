"""Exposure: overage and breakage that are expected, by account and month, until each term ends."""

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np

from accounts.models import Account, Organization
from budgets.calc.run_out import Layers, run_out
from budgets.calc.usage_windows import Floats
from budgets.models import ForecastRun
from budgets.reports.burndown_report import run_as_of
from budgets.reports.document import Cell, Column, Document, Row, Table, cents
from budgets.reports.forecasts import situation
from consumption_cs.lib.display import counted
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
    if stands is None:
        return []
    layers = Layers(stands.left[None], stands.starts[None], stands.ends[None])
    found: list[tuple[date, Floats, Floats]] = []
    over_before = lapsed_before = np.zeros(len(stands.spend))
    first, day = run.as_of.replace(day=1), 0
    while day < stands.term:
        following = add_months(first, 1)
        day = min((following - run.as_of).days, stands.term)
        drawn = run_out(stands.spend[None, :, :day], layers, np.array([day]))
        # What is left at the end of a month that is not the term's has not lapsed.
        held = np.zeros(1) if day == stands.term else drawn.balance[0, :, -1]
        lapsed = drawn.unused[0] - held
        found.append((first, (drawn.overage[0] - over_before) * stands.overage_factor, lapsed - lapsed_before))
        over_before, lapsed_before, first = drawn.overage[0], lapsed, following
    return found


def account_document(viewer: Viewer, organization: Organization, account: Account, as_of: datetime) -> Document:
    """Return the account's exposure."""
    return _document(organization, account.name, account.timezone, account_rows(viewer, account, as_of), as_of)


def organization_document(organization: Organization, rows: Sequence[Row], as_of: datetime) -> Document:
    """Return the exposure of all accounts from their rows."""
    return _document(organization, "", organization.timezone, rows, as_of)


def _document(organization: Organization, account: str, zone: str, rows: Sequence[Row], as_of: datetime) -> Document:
    note = "8 in 10 outcomes lie between low and high. Overage at the overage rate; breakage is what lapses unused."
    table = Table("Months", "By month, until the terms end", note, COLUMNS, rows)
    said = f"Expected overage and breakage in {counted(len({row[3] for row in rows}), 'month')} ahead."
    return Document("exposure", "Exposure", organization.name, account, as_of, zone, said, (), [table])
