"""Read the audit log: who did what, when, from where."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.exports import AUDIT_ROWS, audit_csv
from accounts.forms import AuditForm
from accounts.http import viewer_of
from accounts.models import Account
from accounts.permissions import requires
from accounts.reports import AuditFilter, act_text, audit_choices, audit_events

PAGE = 50


@require_safe
@requires("audit.view", staff=True)
def audit(request: HttpRequest) -> HttpResponse:
    return _page(request, None)


@require_safe
@requires("audit.view")
def account_audit(request: HttpRequest, account_id: UUID) -> HttpResponse:
    return _page(request, request.account)  # type: ignore[attr-defined]


@require_safe
@requires("audit.view", staff=True)
def download(request: HttpRequest) -> HttpResponse:
    return _csv(request, None)


@require_safe
@requires("audit.view")
def account_download(request: HttpRequest, account_id: UUID) -> HttpResponse:
    return _csv(request, request.account)  # type: ignore[attr-defined]


def _wanted(request: HttpRequest) -> AuditFilter:
    form = AuditForm(request.GET)
    form.is_valid()
    return form.wanted(timezone.get_current_timezone_name())


def _page(request: HttpRequest, account: Account | None) -> HttpResponse:
    viewer, wanted = viewer_of(request), _wanted(request)
    page = Paginator(audit_events(viewer, account, wanted), PAGE).get_page(request.GET.get("page"))
    for event in page:
        event.words = act_text(event.action)
    context = {
        "shown_account": account,
        "page": page,
        "wanted": wanted,
        "narrows": bool(wanted.person or wanted.action or wanted.first or wanted.last),
        "rows_at_most": AUDIT_ROWS,
    }
    return render(request, "accounts/audit.html", context | audit_choices(viewer, account))


def _csv(request: HttpRequest, account: Account | None) -> HttpResponse:
    content = audit_csv(audit_events(viewer_of(request), account, _wanted(request))[:AUDIT_ROWS])
    headers = {"Content-Disposition": 'attachment; filename="audit-log.csv"'}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)
