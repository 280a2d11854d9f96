"""Reports are asked for, made in slices that any worker can follow, mailed, and removed after a month."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.actions.audit import audit
from accounts.models import Account, Organization
from budgets.actions.report_mails import mail_finished
from budgets.models import LedgerEntry, Report
from budgets.reports import report_kinds
from budgets.reports.accounts_then import Then
from budgets.reports.document import Document, Row, cell_from, text_of
from consumption_cs.lib.tenancy import Viewer, act_as

logger = logging.getLogger(__name__)

SECONDS = 15.0  # one task; then the next is queued
SLICE = 500  # accounts in one transaction
SLICE_SECONDS = 10.0  # or fewer: what is done is kept, and the page shows how far it is
SILENT = timedelta(seconds=60)  # without a heartbeat: its worker is gone
KEPT = timedelta(days=30)
SMALL_LEDGER = 15_000  # entries: written in less than two seconds
TRIES = 3  # without coming further
FAILED = (
    "The report could not be made, although it was tried 3 times. Try again; if it fails once more, "
    "tell whoever runs this server."
)

Render = Callable[[Document, str], bytes]
State = Report.State


class ReportError(Exception):
    """A report that cannot be asked for; the message says what to do."""


def ask_report(
    viewer: Viewer, account: Account | None, kind: str, format: str, as_of: datetime, now: datetime
) -> Report:
    """Store what is wanted, of one account or of the viewer's whole organization. Raises ReportError in words."""
    if as_of > now:
        raise ReportError("The as-of cannot be in the future: nothing is booked then yet.")
    check_kind(viewer, account, kind)
    with transaction.atomic():
        report: Report = Report.objects.create(
            organization_id=viewer.organization_id,
            account=account,
            kind=kind,
            format=format,
            as_of=as_of,
            requested_by_id=viewer.user_id,
        )
        audit(viewer, "report.created", report, f"{report.get_kind_display()} ({format})", {"as_of": f"{as_of}"})
    return report


def check_kind(viewer: Viewer, account: Account | None, kind: str) -> None:
    """Raise ReportError unless the viewer can have this report of the account, or of the organization."""
    if viewer.is_portal and (account is None or account.pk != viewer.account_id):
        raise ReportError("Choose your own account.")
    if kind not in dict(report_kinds.choices(account is not None)):
        raise ReportError("This report is made of all accounts: ask for it under Reports of the organization.")


def is_small(viewer: Viewer, report: Report) -> bool:
    """Return whether it is made while the reader waits."""
    if report.account_id is None:
        return False
    rows = LedgerEntry.objects.visible_to(viewer).filter(account=report.account_id)
    return len(rows.order_by().values_list("pk")[: SMALL_LEDGER + 1]) <= SMALL_LEDGER


def make_now(report: Report, now: datetime, render: Render) -> None:
    """Make a small report inside the request's transaction."""
    viewer = Viewer(report.organization_id, report.account_id)
    organization = Organization.objects.get(pk=report.organization_id)
    _finish(
        report, report_kinds.document(viewer, organization, report.account, report.kind, report.as_of), now, render
    )


def waiting(organization_id: UUID, now: datetime) -> list[UUID]:
    """Return the reports that nobody works on."""
    with act_as(Viewer(organization_id)) as viewer:
        open_ones = Report.objects.visible_to(viewer).filter(state__in=[State.WAITING, State.RUNNING])
        silent = Q(heartbeat_at=None) | Q(heartbeat_at__lt=now - SILENT)
        return list(open_ones.filter(silent).order_by("created_at").values_list("pk", flat=True))


def work(
    organization_id: UUID, report_id: UUID, clock: Callable[[], datetime], render: Render, seconds: float = SECONDS
) -> bool:
    """Take a report as far as the time allows; return whether there is more to do.

    Any number of workers may try: the one that holds the row works. Killed at any moment, it goes on after the last
    slice of accounts; one that never comes further is given up after TRIES.
    """
    start = time.monotonic()
    if _claim(organization_id, report_id, clock()):
        while _step(organization_id, report_id, clock, render):
            if time.monotonic() - start > seconds:
                return True
    mail_finished(organization_id, clock())
    return False


def _claim(organization_id: UUID, report_id: UUID, now: datetime) -> bool:
    """Count a try before it starts, so that one that kills its worker counts too; the third was the last."""
    with act_as(Viewer(organization_id)) as viewer:
        report = _locked(viewer, report_id)
        if report is None:
            return False
        if report.tries >= TRIES:
            _give_up(report, now)
            return False
        report.tries, report.state, report.heartbeat_at = report.tries + 1, State.RUNNING, now
        report.save(update_fields=["tries", "state", "heartbeat_at"])
        return True


def _locked(viewer: Viewer, report_id: UUID) -> Report | None:
    rows = Report.objects.visible_to(viewer).filter(pk=report_id, state__in=[State.WAITING, State.RUNNING])
    found: Report | None = rows.select_for_update(skip_locked=True, no_key=True).first()
    return found


def _give_up(report: Report, now: datetime) -> None:
    report.state, report.error, report.content, report.done = State.FAILED, FAILED, None, 0
    report.heartbeat_at = now
    report.save()


def _step(organization_id: UUID, report_id: UUID, clock: Callable[[], datetime], render: Render) -> bool:
    with act_as(Viewer(organization_id)) as viewer:
        report = _locked(viewer, report_id)
        if report is None:
            return False
        now = clock()
        try:
            with transaction.atomic():
                _slice(viewer, report, now, render)
        except Exception:  # whatever it is, the report is tried again when its heartbeat is old
            logger.exception("report.failed report=%s try=%s", report_id, report.tries)
            if report.tries >= TRIES:
                _give_up(Report.objects.get(organization_id=organization_id, pk=report_id), now)
            return False
        return report.state == State.RUNNING


def retry_report(viewer: Viewer, report: Report) -> bool:
    """Start a report over that was given up; return whether it was one."""
    with transaction.atomic():
        rows = Report.objects.visible_to(viewer).filter(pk=report.pk, state=State.FAILED)
        if not rows.update(state=State.WAITING, tries=0, done=0, error="", heartbeat_at=None, mailed_at=None):
            return False
        audit(viewer, "report.retried", report, f"{report.get_kind_display()} ({report.format})")
    return True


def _slice(viewer: Viewer, report: Report, now: datetime, render: Render) -> None:
    """Add the lines of the next accounts; after the last, write the file."""
    organization = Organization.objects.get(pk=report.organization_id)
    if report.account_id is not None or report.kind not in report_kinds.BY_ACCOUNT:
        own = Viewer(report.organization_id, report.account_id)
        found = report_kinds.document(own, organization, report.account, report.kind, report.as_of)
        _finish(report, found, now, render)
    else:
        _next_accounts(viewer, organization, report, now, render)


def _next_accounts(viewer: Viewer, organization: Organization, report: Report, now: datetime, render: Render) -> None:
    columns, rows_of = report_kinds.BY_ACCOUNT[report.kind]
    accounts = Account.objects.visible_to(viewer).filter(created_at__lte=report.as_of).order_by("pk")
    held: list[list[str | None]] = json.loads(bytes(report.content)) if report.content else []
    then, start = Then(viewer, report.as_of), time.monotonic()
    report.total = accounts.count()
    for account in accounts[report.done : report.done + SLICE]:
        rows_here = rows_of(viewer, then.of(account), report.as_of)
        held += [[None if cell is None else text_of(cell) for cell in row] for row in rows_here]
        report.done += 1
        if time.monotonic() - start > SLICE_SECONDS:
            break
    report.state, report.heartbeat_at, report.tries = State.RUNNING, now, 1
    if report.done < report.total:
        report.content = json.dumps(held).encode()
        report.save()
        return
    rows: Sequence[Row] = [
        [cell_from(column.kind, cell) for column, cell in zip(columns, row, strict=True)] for row in held
    ]
    rows = sorted(rows, key=report_kinds.in_order)
    _finish(report, report_kinds.organization_document(organization, report.kind, rows, report.as_of), now, render)


def _finish(report: Report, document: Document, now: datetime, render: Render) -> None:
    report.content = render(document, report.format)
    report.sha256 = document.check_code
    name = report.account.key if report.account else "all-accounts"
    report.file_name = f"{name}-{report.kind.replace('_', '-')}-{report.as_of:%Y-%m-%d-%H%M}.{report.format}"
    report.state, report.ready_at, report.heartbeat_at = State.READY, now, now
    report.save()


def prune_reports(organization_id: UUID, now: datetime) -> int:
    """Remove files older than 30 days; asked for again as of the same moment they come out the same."""
    with act_as(Viewer(organization_id)) as viewer:
        gone, _ = Report.objects.visible_to(viewer).filter(created_at__lt=now - KEPT).delete()
    return gone
