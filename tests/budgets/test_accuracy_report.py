"""The accuracy pack says how far forecasts were off, lists what was judged, and is the same for the same as-of."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from accounts.models import Account, AuditEvent, Organization, Role
from budgets.actions.reports import ReportError, ask_report, work
from budgets.exports.report_files import render
from budgets.models import ForecastRun, ForecastScore, Report
from budgets.reports.accuracy_report import organization_document
from budgets.reports.document import Document
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import Viewer, enter
from tests.factories import make_account, make_member, make_organization, signed_in, staff_of
from usage.actions.accounts import save_account

pytestmark = pytest.mark.django_db
NOW = datetime.now(timezone.utc)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def organization() -> Organization:
    return make_organization()


def score(
    account: Account, ago: int, days: int, p50: float, actual: float, scored_at: datetime = NOW
) -> ForecastScore:
    """A forecast of `ago` days before, with a range of 10 % on each side."""
    enter(staff_of(account))
    run, _ = ForecastRun.objects.get_or_create(
        organization_id=account.organization_id, account=account, as_of=(NOW - timedelta(days=ago)).date(),
        made_at=NOW - timedelta(days=ago), defaults={
            "basis": "model", "inputs_hash": "abcdef0123456789", "currency": account.currency, "spend_p10": [],
            "spend_p50": [], "spend_p90": [],
        },
    )  # fmt: skip
    made: ForecastScore = ForecastScore.objects.create(
        organization_id=account.organization_id, account=account, run=run, days=days, as_of=run.as_of,
        p10=p50 * 0.9, p50=p50, p90=p50 * 1.1, actual=actual, scored_at=scored_at,
    )  # fmt: skip
    return made


def pack(organization: Organization, as_of: datetime = LATER) -> Document:
    enter(Viewer(organization.pk))
    return organization_document(Viewer(organization.pk), organization, as_of)


def test_misses_are_told_by_horizon_and_segment_as_on_the_page(organization: Organization) -> None:
    big = make_account(organization, "Big", segment=Account.Segment.ENTERPRISE)
    small = make_account(organization, "Small", segment=Account.Segment.STARTUP)
    score(big, 40, 30, p50=110, actual=100)
    score(big, 41, 30, p50=95, actual=100)
    score(small, 40, 30, p50=50, actual=100)
    table = pack(organization).tables[0]
    found = {(row[0], row[1]): row[2:] for row in table.rows}
    assert found["All accounts", Decimal(30)][:3] == [Decimal(3), Decimal("0.2167"), Decimal("-0.15")]
    assert found["Enterprise", Decimal(30)] == [
        Decimal(2), Decimal("0.075"), Decimal("0.025"), Decimal("0.075"), Decimal(1),
    ]  # fmt: skip
    assert found["All accounts", Decimal(7)] == [Decimal(0), None, None, None, None]
    assert ("Startup", Decimal(7)) not in found


def test_every_forecast_that_was_judged_is_listed_with_what_happened(organization: Organization) -> None:
    account = make_account(organization, "Northwind")
    score(account, 20, 7, p50=110, actual=100)
    score(account, 20, 0, p50=12, actual=10)
    seen = {table.name: table for table in pack(organization).tables}
    assert [row[-8:] for row in seen["Forecasts"].rows] == [
        [Decimal(7), Decimal("99.00"), Decimal("110.00"), Decimal("121.00"), Decimal("100.00"), Decimal("0.1"),
         "yes", "abcdef012345"]
    ]  # fmt: skip
    (row,) = seen["Dates judged"].rows
    made = (NOW - timedelta(days=20)).date()
    assert row[5:9] == [made + timedelta(days=12), made + timedelta(days=13), made + timedelta(days=10), Decimal(2)]
    assert seen["Dates"].rows[0][1:3] == [Decimal(1), Decimal("2.0")]


def test_what_was_scored_since_and_where_accounts_moved_since_changes_nothing(organization: Organization) -> None:
    account = make_account(organization, "Before", segment=Account.Segment.STARTUP)
    score(account, 40, 30, p50=110, actual=100)
    as_of = NOW + timedelta(minutes=1)
    first = [render(pack(organization, as_of), format) for format in ("xlsx", "csv", "pdf")]
    score(account, 50, 30, p50=10, actual=100, scored_at=LATER)
    account.name, account.segment = "After", Account.Segment.ENTERPRISE
    save_account(staff_of(account), account)
    _an_hour_later(account)
    assert [render(pack(organization, as_of), format) for format in ("xlsx", "csv", "pdf")] == first
    assert "After" in render(pack(organization, LATER + timedelta(hours=2)), "csv").decode()


def _an_hour_later(account: Account) -> None:
    """The audit row of the change once more, an hour later: in a test all rows have the transaction's moment."""
    row = AuditEvent.objects.get(action="account.changed", target_id=str(account.pk))
    row.pk, row.created_at, row._state.adding = uuid7(), LATER, True
    row.save(force_insert=True)


def test_without_a_score_it_says_so_in_every_format(organization: Organization) -> None:
    make_account(organization)
    found = pack(organization)
    assert found.said == "No forecast of 30 days could be judged yet."
    assert all(render(found, format) for format in ("xlsx", "csv", "pdf"))


def test_it_is_made_by_a_worker_for_the_vendors_staff(organization: Organization) -> None:
    score(make_account(organization, "Northwind"), 20, 7, p50=110, actual=100)
    member = make_member(organization, Role.FINANCE)
    client = signed_in(member)
    assert client.post("/reports/", {"kind": "accuracy", "format": "csv"}).status_code == 302
    enter(Viewer(organization.pk))
    report = Report.objects.get(kind="accuracy")
    Report.objects.filter(pk=report.pk).update(as_of=LATER)
    assert work(organization.pk, report.pk, lambda: NOW, render) is False
    enter(Viewer(organization.pk))
    report.refresh_from_db()
    assert report.state == "ready", report.error
    answer = client.get(f"/reports/{report.pk}/file")
    assert b"Northwind" in answer.content


def test_no_customer_gets_it_by_any_way(organization: Organization) -> None:
    account = make_account(organization)
    client = signed_in(make_member(account, Role.PORTAL_OWNER))
    assert "accuracy" not in client.get(f"/accounts/{account.pk}/reports/").content.decode()
    answer = client.post(f"/accounts/{account.pk}/reports/", {"kind": "accuracy", "format": "csv"})
    assert answer.status_code == 422
    assert client.post("/reports/", {"kind": "accuracy", "format": "csv"}).status_code == 403
    enter(staff_of(account))
    assert not Report.objects.exists()
    for viewer in (staff_of(account), Viewer(organization.pk, account.pk)):
        with pytest.raises(ReportError, match="all accounts"):
            ask_report(viewer, account, "accuracy", "csv", NOW, NOW)
