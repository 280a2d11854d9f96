"""Workbooks open in LibreOffice without an error on any sheet, and its own sums are ours."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from accounts.models import Account, Organization
from budgets.actions.forecast import make_runs
from budgets.exports.report_files import render
from budgets.models import ForecastScore
from budgets.reports import report_kinds
from budgets.reports.document import Document, Row, Table
from budgets.reports.forecasts import latest_run
from consumption_cs.lib.tenancy import enter
from tests.budgets.ledger_factories import draw, make_commit, make_contract, rate
from tests.factories import make_account, make_meter, make_organization, staff_of
from tests.spreadsheets import NO_OFFICE, computed, office
from usage.models import AccountDay, Meter

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(office() is None, reason=NO_OFFICE)]
NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)
TODAY = NOW.date()
_ERROR = re.compile(r"#(NAME|REF|VALUE|DIV/0|N/A|NUM)[!?]?|Err:\d+")


@pytest.fixture
def organization() -> Organization:
    """Three customers in three currencies, one of which has no cents, with names that try to be formulas."""
    organization = make_organization()
    meter = make_meter(organization)
    for number, currency in enumerate(("USD", "EUR", "JPY"), start=1):
        _customer(make_account(organization, f"=Customer {number}", currency=currency), meter, number)
    make_runs(organization.pk, NOW)
    enter(staff_of(organization))
    for account in Account.objects.all():
        run = latest_run(staff_of(organization), account)
        assert run is not None
        ForecastScore.objects.create(
            organization=organization, account=account, run=run, days=30, as_of=TODAY, p10=90, p50=100, p90=110,
            actual=105, scored_at=NOW,
        )  # fmt: skip
    return organization


def _customer(account: Account, meter: Meter, number: int) -> None:
    make_contract(account, starts_on=TODAY - timedelta(days=30), ends_on=TODAY + timedelta(days=200))
    make_commit(account, f"{number}00", name='=HYPERLINK("x")', effective_on=TODAY - timedelta(days=20))
    make_commit(account, "50", name="+1", effective_on=TODAY - timedelta(days=9))
    for ago in (1, 2, 3):
        rate(account, meter, TODAY - timedelta(days=ago), "10" if account.currency == "JPY" else "10.07")
    draw(account, TODAY - timedelta(days=20), NOW)
    AccountDay.objects.bulk_create(
        AccountDay(
            organization_id=account.organization_id, account=account, day=TODAY - timedelta(days=ago),
            currency=account.currency, spend=Decimal(3), events=1, last_event_at=NOW,
        )
        for ago in range(4, 60)
    )  # fmt: skip


def _documents(organization: Organization) -> dict[str, Document]:
    viewer = staff_of(organization)
    accounts = list(Account.objects.order_by("pk"))
    found = {}
    for kind in ("burndown", "roll_forward", "exposure"):
        found[f"one_{kind}"] = report_kinds.document(viewer, organization, accounts[0], kind, LATER)
        rows: Sequence[Row] = [
            row for account in accounts for row in report_kinds.BY_ACCOUNT[kind][1](viewer, account, LATER)
        ]
        rows = sorted(rows, key=report_kinds.in_order)
        found[f"all_{kind}"] = report_kinds.organization_document(organization, kind, rows, LATER)
    return found | {"all_accuracy": report_kinds.document(viewer, organization, None, "accuracy", LATER)}


def test_every_sheet_adds_up_in_libreoffice_as_it_does_here(organization: Organization, tmp_path: Path) -> None:
    documents = _documents(organization)
    opened = computed({name: render(document, "xlsx") for name, document in documents.items()}, tmp_path)
    compared = 0
    for name, document in documents.items():
        assert set(opened[name]) == {"Report", *(table.name for table in document.tables)}
        for sheet, lines in opened[name].items():
            assert not [cell for line in lines for cell in line if _ERROR.search(cell)], f"{name} {sheet}"
        for table in document.tables:
            compared += _same(table, opened[name][table.name][4:], f"{name} {table.name}")
    assert compared > 300


def _same(table: Table, lines: list[list[str]], where: str) -> int:
    """Compare every figure below the head, and every total; return how many."""
    compared = 0
    for row, line in zip(table.rows, lines, strict=False):
        for at, column in enumerate(table.columns):
            expected = row[at]
            if column.kind == "money" and isinstance(expected, Decimal):
                assert _exact(line[at]) == expected, f"{where} {column.label}"
                compared += 1
            elif column.kind == "text":
                assert line[at] == (expected or ""), f"{where} {column.label}"
    totals = table.totals()
    assert len(lines) == len(table.rows) + len(totals), where
    for (currency, sums), line in zip(totals, lines[len(table.rows) :], strict=True):
        assert line[0].startswith("Total"), where
        for at, amount in sums.items():
            assert _exact(line[at]) == amount, f"{where} total {currency} {table.columns[at].label}"
            compared += 1
    return compared


def _exact(cell: str) -> Decimal:
    """A spreadsheet computes in floats: what it shows to the cent is what counts."""
    return round(Decimal(cell), 6)
