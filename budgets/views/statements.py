"""Statements of an account: one for each billing period, opening to closing, to the cent."""

from datetime import date
from uuid import UUID

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import requires
from budgets.exports.statements import statement_csv
from budgets.reports.statements import BillingMonth, Statement, periods_of, statement
from consumption_cs.lib.tenancy import Viewer
from usage.models import BillingPeriod
from usage.reports.freshness import data_through
from usage.views.overview import download

PAGE_SIZE = 12  # a year of monthly periods


@require_safe
@requires("money.view")
def account_statements(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The account's periods, newest first, each with what it comes to."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    page = Paginator(periods_of(viewer, account, now), PAGE_SIZE).get_page(request.GET.get("page"))
    lines = [statement(viewer, account, period) for period in page]
    closed = {row.starts_on: row for row in BillingPeriod.objects.visible_to(viewer).filter(account=account)}
    context = {
        "account": account,
        "lines": [(one, closed.get(one.period.starts_on)) for one in lines],
        "page": page,
        "freshness": data_through(viewer, now),
    }
    return render(request, "budgets/statements.html", context)


@require_safe
@requires("money.view")
def account_statement(request: HttpRequest, account_id: UUID, starts_on: str) -> HttpResponse:
    """One period: commits from opening to closing, use by meter, adjustments, overage and what is due."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    periods = periods_of(viewer, account, now)
    found = _statement(viewer, account, periods, starts_on)
    at = next(index for index, period in enumerate(periods) if period == found.period)
    context = {
        "account": account,
        "statement": found,
        "closed": BillingPeriod.objects.visible_to(viewer)
        .filter(account=account, starts_on=found.period.starts_on)
        .first(),
        "later": periods[at - 1] if at else None,
        "earlier": periods[at + 1] if at + 1 < len(periods) else None,
        "freshness": data_through(viewer, now),
    }
    return render(request, "budgets/statement.html", context)


@require_safe
@requires("money.view")
def account_statement_csv(request: HttpRequest, account_id: UUID, starts_on: str) -> HttpResponse:
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    found = _statement(viewer, account, periods_of(viewer, account, now), starts_on)
    return download(statement_csv(account, found), f"{account.key}-statement-{found.period.starts_on}.csv")


def _statement(viewer: Viewer, account: Account, periods: list[BillingMonth], starts_on: str) -> Statement:
    try:
        day = date.fromisoformat(starts_on)
    except ValueError as error:
        raise Http404 from error
    for period in periods:
        if period.starts_on == day:
            return statement(viewer, account, period)
    raise Http404
