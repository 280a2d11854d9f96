"""The audit log: of the organization for staff, of one account for staff and for its owner."""

from datetime import date
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account, Organization
from accounts.permissions import requires
from accounts.reports_audit import AuditLine, AuditQuery, actions_in, audit_events, audit_lines, people_in
from consumption_cs.lib.csv_files import write_rows
from consumption_cs.lib.periods import zone_of
from consumption_cs.lib.tenancy import Viewer

PAGE_SIZE = 50
MOST_ROWS = 50_000
_CSV_HEADER = ("time", "person", "action", "on", "name", "id", "account", "details")


@require_safe
@requires("audit.view", staff=True)
def audit(request: HttpRequest) -> HttpResponse:
    """Every act in the organization; a customer's people have their own account's log."""
    return _page(request, None)


@require_safe
@requires("audit.view")
def account_audit(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """What was done to one account."""
    return _page(request, account_of(request))


@require_safe
@requires("audit.view", staff=True)
def audit_csv(request: HttpRequest) -> HttpResponse:
    """Download the rows that fit the filters."""
    return _file(request, None)


@require_safe
@requires("audit.view")
def account_audit_csv(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Download one account's rows that fit the filters."""
    return _file(request, account_of(request))


def _page(request: HttpRequest, account: Account | None) -> HttpResponse:
    viewer = viewer_of(request)
    query = _read_query(request, viewer, account)
    page = Paginator(audit_events(viewer, account, query), PAGE_SIZE).get_page(request.GET.get("page"))
    where = {"account_id": account.pk} if account else {}
    context = {
        "page": page,
        "lines": audit_lines(page.object_list),
        "query": query,
        "people": people_in(viewer, account),
        "actions": actions_in(viewer, account),
        "shown_account": account,
        "list_url": reverse("accounts:account_audit" if account else "accounts:audit", kwargs=where),
        "csv_url": reverse("accounts:account_audit_csv" if account else "accounts:audit_csv", kwargs=where),
        "most_rows": MOST_ROWS,
    }
    return render(request, "accounts/audit.html", context)


def _file(request: HttpRequest, account: Account | None) -> HttpResponse:
    viewer = viewer_of(request)
    events = audit_events(viewer, account, _read_query(request, viewer, account))[:MOST_ROWS]
    # Where the vendor's people sit is no business of a customer's.
    header = _CSV_HEADER if viewer.is_portal else (*_CSV_HEADER, "address")
    content = write_rows(header, (_cells(line)[: len(header)] for line in audit_lines(events)))
    name = f"audit-{timezone.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


def _cells(line: AuditLine) -> list[object]:
    event = line.event
    moment = event.created_at.isoformat(timespec="seconds")
    account = event.account.key if event.account else ""
    target = [event.target_type, event.target_name, event.target_id]
    return [moment, event.actor_name, line.action, *target, account, "; ".join(map(str, line.changes)), event.ip]


def _read_query(request: HttpRequest, viewer: Viewer, account: Account | None) -> AuditQuery:
    """Read the address. A date that is none, or a person nobody knows, narrows to nothing or to everything."""
    owner = account or Organization.objects.only("timezone").get(pk=viewer.organization_id)
    get = request.GET.get
    return AuditQuery(
        zone=zone_of(owner.timezone),
        person=_text(get("person")),
        action=_text(get("action")),
        since=_day(get("since")),
        until=_day(get("until")),
    )


def _text(value: str | None) -> str:
    return (value or "").replace("\x00", "").strip()[:200]


def _day(value: str | None) -> date | None:
    try:
        day = date.fromisoformat((value or "")[:10])
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2099 else None
