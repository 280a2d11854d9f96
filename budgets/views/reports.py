"""Reports for finance: asked for, followed while they are made, downloaded."""

from datetime import timedelta
from typing import cast
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import requires
from budgets.actions.reports import ReportError, ask_report, is_small, make_now, retry_report
from budgets.exports import report_files
from budgets.forms.reports import ReportForm, SubscriptionForm
from budgets.models import Report
from budgets.reports.report_subscriptions import subscriptions
from budgets.tasks import request_report
from consumption_cs.lib.tenancy import Viewer
from usage.views.overview import download

MOST = 50
OPEN = (Report.State.WAITING, Report.State.RUNNING)
SETTLED = timedelta(minutes=1)  # what is booked at this very moment may not be readable yet


@require_http_methods(["GET", "HEAD", "POST"])
@requires("report.create", staff=True)
def organization_reports(request: HttpRequest) -> HttpResponse:
    """The organization's reports, over all accounts."""
    return _page(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("report.create")
def account_reports(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """One account's reports, the same for staff and customer."""
    return _page(request, account_of(request))


@require_safe
@requires("report.create", staff=True)
def organization_report_file(request: HttpRequest, report_id: UUID) -> HttpResponse:
    return _file(_reports(viewer_of(request), None), report_id)


@require_safe
@requires("report.create")
def report_file(request: HttpRequest, account_id: UUID, report_id: UUID) -> HttpResponse:
    return _file(_reports(viewer_of(request), account_of(request)), report_id)


@require_POST
@requires("report.create", staff=True)
def organization_report_retry(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """Start a report of all accounts over that was given up."""
    return _retry(request, None, report_id)


@require_POST
@requires("report.create")
def report_retry(request: HttpRequest, account_id: UUID, report_id: UUID) -> HttpResponse:
    """Start one account's report over that was given up."""
    return _retry(request, account_of(request), report_id)


def _page(request: HttpRequest, account: Account | None) -> HttpResponse:
    viewer = viewer_of(request)
    form = ReportForm(request.POST if request.method == "POST" else None, of_account=account is not None)
    if request.method == "POST" and form.is_valid():
        try:
            _ask(request, viewer, account, form)
        except ReportError as error:
            form.add_error("as_of", str(error))
        else:
            return redirect(request.path)
    return shown(request, account, form, SubscriptionForm(of_account=account is not None))


def shown(request: HttpRequest, account: Account | None, form: ReportForm, monthly: SubscriptionForm) -> HttpResponse:
    """Return the page with both forms as they are; while reports are being made it asks for its rows alone."""
    viewer = viewer_of(request)
    rows = list(_reports(viewer, account).defer("content").order_by("-created_at", "-pk")[:MOST])
    context = {
        "account": account,
        "reports": rows,
        "working": any(row.state in OPEN for row in rows),
        "form": form,
        "monthly": monthly,
        "subscriptions": subscriptions(viewer, account),
        "person": viewer.user_id,
    }
    polled = request.headers.get("HX-Request") and request.method != "POST"
    template = "budgets/_report_rows.html" if polled else "budgets/reports.html"
    return render(request, template, context, status=422 if form.errors or monthly.errors else 200)


def _retry(request: HttpRequest, account: Account | None, report_id: UUID) -> HttpResponse:
    viewer = viewer_of(request)
    report = get_object_or_404(_reports(viewer, account).defer("content"), pk=report_id)
    if retry_report(viewer, report):
        request_report(viewer.organization_id, report.pk)
        messages.success(request, "The report is being made once more. A mail tells you when it is ready.")
    return redirect("budgets:account_reports", account.pk) if account else redirect("budgets:reports")


def _ask(request: HttpRequest, viewer: Viewer, account: Account | None, form: ReportForm) -> None:
    now = timezone.now()
    data = form.cleaned_data
    as_of = data["as_of"] or (now - SETTLED).replace(second=0, microsecond=0)
    report = ask_report(viewer, account, data["kind"], data["format"], as_of, now - SETTLED)
    if is_small(viewer, report):
        make_now(report, now, report_files.render)
        messages.success(request, "The report is ready.")
    else:
        request_report(viewer.organization_id, report.pk)
        messages.success(request, "The report is being made. You can leave: a mail tells you when it is ready.")


def _reports(viewer: Viewer, account: Account | None) -> "QuerySet[Report]":
    return cast("QuerySet[Report]", Report.objects.visible_to(viewer).filter(account=account))


def _file(reports: "QuerySet[Report]", report_id: UUID) -> HttpResponse:
    report = reports.filter(pk=report_id, state=Report.State.READY).first()
    if report is None or report.content is None:
        raise Http404
    answer = download(bytes(report.content), report.file_name)
    answer["Content-Type"] = report_files.CONTENT_TYPES[report.format]
    return answer
