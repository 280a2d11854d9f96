"""Finance downloads: files that add up, come out the same for the same as-of, and belong to one account."""

import io
import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any

import openpyxl
import pytest
from django.db import transaction
from django.test import Client

from accounts.models import Account, Membership, Organization, Role
from budgets.actions import reports
from budgets.actions.forecast import make_runs
from budgets.actions.reports import work
from budgets.exports import workbook
from budgets.exports.report_files import render
from budgets.models import ForecastRun, LedgerEntry, Report
from budgets.reports import report_kinds
from consumption_cs.lib.tenancy import Viewer, enter
from tests.budgets.ledger_factories import draw, make_commit, make_contract, rate
from tests.factories import make_account, make_member, make_meter, make_organization, signed_in, staff_of
from usage.models import AccountDay

pytestmark = pytest.mark.django_db
NOW = datetime.now(timezone.utc)
TODAY = NOW.date()


@pytest.fixture
def organization() -> Organization:
    return make_organization()


@pytest.fixture
def account(organization: Organization) -> Account:
    """A commit of 1,000, of which three days drew 10.01 each; its name is a formula."""
    account = make_account(organization, name="=1+1")
    make_contract(account, starts_on=TODAY - timedelta(days=30), ends_on=TODAY + timedelta(days=200))
    make_commit(account, "1000", name="=SUM(A1)", effective_on=TODAY - timedelta(days=9))
    meter = make_meter(organization)
    for ago in (1, 2, 3):
        rate(account, meter, TODAY - timedelta(days=ago), "10.01")
    draw(account, TODAY - timedelta(days=9), NOW)
    make_runs(account.organization_id, NOW - timedelta(minutes=1))
    enter(staff_of(account))
    return account


def ask(client: Client, account: Account, format: str) -> Report:
    answer = client.post(f"/accounts/{account.pk}/reports/", {"kind": "burndown", "format": format})
    assert answer.status_code == 302, answer.content.decode()
    enter(staff_of(account))
    found: Report = Report.objects.order_by("-pk")[0]
    return found


def later(account: Account) -> datetime:
    """A moment by which this test's transaction has booked."""
    return LedgerEntry.objects.filter(account=account).latest("booked_at").booked_at + timedelta(seconds=1)


def made(account: Account, format: str, as_of: datetime) -> bytes:
    return render(report_kinds.document(staff_of(account), account.organization, account, "burndown", as_of), format)


class TestOtherKinds:
    @pytest.mark.parametrize("format", ["xlsx", "csv", "pdf"])
    @pytest.mark.parametrize("kind", ["roll_forward", "exposure"])
    def test_every_kind_comes_in_every_format_and_the_same_twice(
        self, account: Account, kind: str, format: str
    ) -> None:
        as_of = later(account)
        files = [
            render(report_kinds.document(staff_of(account), account.organization, account, kind, as_of), format)
            for _ in range(2)
        ]
        assert files[0] == files[1]

    def test_a_roll_forward_chains_from_closing_to_opening(self, account: Account) -> None:
        table = report_kinds.document(
            staff_of(account), account.organization, account, "roll_forward", later(account)
        ).tables[0]
        at = {name: table.at(name) for name in ("Opening", "Closing", "From")}
        rows = sorted(table.rows, key=lambda row: str(row[at["From"]]))
        assert rows[-1][at["Closing"]] == Decimal("969.97")
        for before, after in pairwise(rows):
            assert before[at["Closing"]] == after[at["Opening"]]

    def test_exposure_by_month_adds_up_to_what_the_forecast_expects(self, account: Account) -> None:
        AccountDay.objects.bulk_create(
            AccountDay(
                organization_id=account.organization_id, account=account, day=TODAY - timedelta(days=ago),
                currency="USD", spend=Decimal(3), events=1, last_event_at=NOW,
            )
            for ago in range(4, 60)
        )  # fmt: skip
        make_runs(account.organization_id, NOW)
        enter(staff_of(account))
        found = report_kinds.document(staff_of(account), account.organization, account, "exposure", later(account))
        table = found.tables[0]
        run = ForecastRun.objects.filter(account=account).latest("made_at")
        assert run.unused_mean is not None
        breakage = sum(Decimal(str(row[table.at("Breakage, expected")])) for row in table.rows)
        assert abs(breakage - run.unused_mean) < 1
        assert len(table.rows) >= 6


class TestFiles:
    @pytest.mark.parametrize("format", ["xlsx", "csv", "pdf"])
    def test_the_same_as_of_gives_the_same_bytes_whatever_was_booked_since(
        self, account: Account, format: str
    ) -> None:
        first = made(account, format, later(account))
        entry = LedgerEntry.objects.filter(account=account)[0]
        LedgerEntry.objects.create(
            organization_id=account.organization_id, account=account, commit=entry.commit, kind="drawn",
            day=TODAY - timedelta(days=1), amount=-5, booked_at=later(account) + timedelta(hours=1),
        )  # fmt: skip
        assert made(account, format, entry.booked_at + timedelta(seconds=1)) == first

    def test_the_workbook_adds_up_with_formulas_and_their_values(self, account: Account) -> None:
        content = made(account, "xlsx", later(account))
        values = openpyxl.load_workbook(io.BytesIO(content), data_only=True)["Commits"]
        formulas = openpyxl.load_workbook(io.BytesIO(content))["Commits"]
        left = [cell.value for cell in values[4]].index("Left") + 1
        assert values.cell(5, left).value == pytest.approx(969.97)
        assert values.cell(6, left).value == pytest.approx(969.97)
        assert formulas.cell(5, left).value.startswith("=SUM(")
        assert formulas.cell(6, left).value.startswith("=SUM(")
        assert sum(values.cell(5, at).value for at in range(5, left)) == pytest.approx(969.97)

    def test_names_are_text_and_no_formula(self, account: Account) -> None:
        sheet = openpyxl.load_workbook(io.BytesIO(made(account, "xlsx", later(account))))["Commits"]
        assert (sheet["A5"].value, sheet["A5"].data_type) == ("=SUM(A1)", "s")
        assert b"'=SUM(A1)" in made(account, "csv", later(account))

    def test_the_ledger_of_the_workbook_comes_to_what_is_left(self, account: Account) -> None:
        sheet = openpyxl.load_workbook(io.BytesIO(made(account, "xlsx", later(account))), data_only=True)["Ledger"]
        assert sheet.cell(sheet.max_row, 5).value == pytest.approx(969.97)


class TestPages:
    @pytest.mark.parametrize("format", ["xlsx", "csv", "pdf"])
    def test_both_sides_make_and_download_a_report(
        self, organization: Organization, account: Account, format: str
    ) -> None:
        for member in (make_member(organization, Role.FINANCE), make_member(account, Role.PORTAL_FINANCE)):
            client = signed_in(member)
            report = ask(client, account, format)
            assert report.state == "ready"
            page = client.get(f"/accounts/{account.pk}/reports/").content.decode()
            assert report.sha256[:12] in page
            assert client.get(f"/accounts/{account.pk}/reports/{report.pk}/file").content == bytes(
                report.content or b""
            )

    def test_another_account_cannot_be_reached_by_its_reports_id(
        self, organization: Organization, account: Account
    ) -> None:
        report = ask(signed_in(make_member(account)), account, "csv")
        enter(staff_of(account))
        other = make_account(organization, "Other")
        stranger = signed_in(make_member(other))
        assert stranger.get(f"/accounts/{other.pk}/reports/{report.pk}/file").status_code == 404
        assert stranger.get(f"/accounts/{account.pk}/reports/{report.pk}/file").status_code == 404
        assert stranger.get("/reports/").status_code == 403

    def test_the_future_is_refused_in_words(self, account: Account) -> None:
        client = signed_in(make_member(account))
        ahead = f"{NOW + timedelta(days=3):%Y-%m-%dT%H:%M}"
        answer = client.post(f"/accounts/{account.pk}/reports/", {"kind": "burndown", "format": "csv", "as_of": ahead})
        assert answer.status_code == 422
        assert "cannot be in the future" in answer.content.decode()


class TestWorker:
    def test_a_report_of_all_accounts_is_made_in_slices_and_mailed(
        self, organization: Organization, account: Account, monkeypatch: pytest.MonkeyPatch, mailoutbox: list[object],
        django_capture_on_commit_callbacks: object,
    ) -> None:  # fmt: skip
        make_account(organization, "Second")
        monkeypatch.setattr(reports, "SLICE", 1)
        member = make_member(organization, Role.FINANCE)
        enter(staff_of(account))
        report = Report.objects.create(
            organization=organization, kind="burndown", format="xlsx", as_of=later(account) + timedelta(hours=1),
            requested_by=member.user,
        )  # fmt: skip
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
            assert work(organization.pk, report.pk, lambda: NOW, render) is False
        enter(staff_of(account))
        report.refresh_from_db()
        assert (report.state, report.done, report.total) == ("ready", 2, 2), report.error
        sheet = openpyxl.load_workbook(io.BytesIO(bytes(report.content or b"")), data_only=True)["Accounts"]
        left = [cell.value for cell in sheet[4]].index("Left") + 1
        assert Decimal(str(sheet.cell(sheet.max_row, left).value)) == Decimal("969.97")
        assert "is ready" in mailoutbox[0].subject  # type: ignore[attr-defined]


class _Killed(BaseException):
    """What a kill -9 looks like from inside: nothing catches it, and the transaction is gone."""


def waiting_report(organization: Organization, member: Membership | None = None) -> Report:
    enter(staff_of(organization))
    made: Report = Report.objects.create(
        organization=organization,
        kind="roll_forward",
        format="csv",
        as_of=NOW + timedelta(hours=1),
        requested_by=member.user if member else None,
    )
    return made


def killed(*_: object) -> bytes:
    raise _Killed


def broken(*_: object) -> bytes:
    raise RuntimeError("canary of the machine's inside")


class TestFailure:
    def attempt(self, organization: Organization, report: Report, now: datetime, maker: Any) -> Report:
        """One worker's turn at `now`, if the report is up for it."""
        if report.pk in reports.waiting(organization.pk, now):
            with suppress(_Killed):
                work(organization.pk, report.pk, lambda: now, maker)
        enter(staff_of(organization))
        report.refresh_from_db()
        return report

    def test_a_report_whose_worker_died_is_picked_up_when_it_has_been_silent(self, organization: Organization) -> None:
        make_account(organization)
        report = waiting_report(organization)
        assert self.attempt(organization, report, NOW, killed).state == "running"
        assert self.attempt(organization, report, NOW + timedelta(seconds=30), render).state == "running"
        assert self.attempt(organization, report, NOW + timedelta(seconds=61), render).state == "ready"

    def test_after_a_kill_it_goes_on_after_the_last_slice(
        self, organization: Organization, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reports, "SLICE", 1)
        for number in range(3):
            make_account(organization, f"Customer {number}")
        report = waiting_report(organization)
        assert work(organization.pk, report.pk, lambda: NOW, killed, seconds=0) is True
        assert self.attempt(organization, report, NOW + timedelta(seconds=1), render).done == 1
        seen: list[str] = []

        def counting(viewer: Viewer, account: Account, as_of: datetime) -> list[Any]:
            seen.append(account.name)
            return []

        columns = report_kinds.BY_ACCOUNT["roll_forward"][0]
        monkeypatch.setitem(report_kinds.BY_ACCOUNT, "roll_forward", (columns, counting))
        done = self.attempt(organization, report, NOW + timedelta(minutes=2), render)
        assert (done.state, done.done, sorted(seen)) == ("ready", 3, ["Customer 1", "Customer 2"])

    @pytest.mark.parametrize("maker", [killed, broken])
    def test_what_never_works_ends_in_words_and_can_be_tried_again(
        self, organization: Organization, maker: Any, mailoutbox: list[Any], django_capture_on_commit_callbacks: Any
    ) -> None:
        make_account(organization)
        member = make_member(organization, Role.FINANCE)
        report = waiting_report(organization, member)
        with django_capture_on_commit_callbacks(execute=True):
            for minute in range(6):
                self.attempt(organization, report, NOW + timedelta(minutes=2 * minute), maker)
        assert (report.state, report.tries, report.content) == ("failed", 3, None)
        assert "tried 3 times" in report.error
        assert [sent.subject for sent in mailoutbox] == ["Roll-forward of all accounts could not be made"]
        client = signed_in(member)
        page = client.get("/reports/").content.decode()
        assert "Try again" in page
        assert "canary" not in page
        assert client.post(f"/reports/{report.pk}/retry/").status_code == 302
        assert self.attempt(organization, report, NOW + timedelta(hours=1), render).state == "ready"
        assert client.post(f"/reports/{report.pk}/retry/").status_code == 302  # a second click changes nothing
        enter(staff_of(organization))
        report.refresh_from_db()
        assert report.state == "ready"

    def test_only_those_of_ones_own_can_be_tried_again(self, organization: Organization, account: Account) -> None:
        report = waiting_report(organization)
        Report.objects.filter(pk=report.pk).update(state="failed", error="It failed.")
        client = signed_in(make_member(account))
        assert client.post(f"/accounts/{account.pk}/reports/{report.pk}/retry/").status_code == 404
        assert client.post(f"/reports/{report.pk}/retry/").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_a_report_is_made_although_its_worker_is_killed() -> None:
    """A real worker, killed while it writes the file: another one makes it from the row, without the broker's help."""
    with transaction.atomic():
        organization = make_organization()
        make_account(organization)
        report = waiting_report(organization)
    script = (
        "import os, sys, django; django.setup()\n"
        "from datetime import datetime, timezone\n"
        "from uuid import UUID\n"
        "from budgets.actions.reports import work\n"
        "die = lambda *_: os.kill(os.getpid(), 9)\n"
        "work(UUID(sys.argv[1]), UUID(sys.argv[2]), lambda: datetime.now(timezone.utc), die)"
    )
    command = [sys.executable, "-c", script, str(organization.pk), str(report.pk)]
    done = subprocess.run(
        command, env=os.environ | {"DJANGO_SETTINGS_MODULE": "consumption_cs.settings"}, check=False, timeout=60
    )
    assert done.returncode == -9
    after = datetime.now(timezone.utc) + timedelta(seconds=61)
    assert reports.waiting(organization.pk, after) == [report.pk]
    work(organization.pk, report.pk, lambda: after, render)
    with transaction.atomic():
        enter(staff_of(organization))
        report.refresh_from_db()
        assert (report.state, report.tries) == ("ready", 1)


def test_a_workbook_too_large_for_memory_has_the_same_cells_and_the_same_bytes_twice(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cells(content: bytes) -> list[list[Any]]:
        book = openpyxl.load_workbook(io.BytesIO(content))
        return [[cell.value for cell in row] for sheet in book for row in sheet.iter_rows()]

    as_of = later(account)
    small = made(account, "xlsx", as_of)
    monkeypatch.setattr(workbook, "_LARGE", 0)
    large = made(account, "xlsx", as_of)
    assert large != small
    assert cells(large) == cells(small)
    time.sleep(2.1)  # the clock of ZIP files ticks every two seconds
    assert made(account, "xlsx", as_of) == large
