"""The ledger of an account: every booking with its balance, for staff and the customer alike."""

from datetime import date, timedelta
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import requires
from budgets.exports.ledger import ledger_csv
from budgets.models import Commit, LedgerEntry
from budgets.reports.adjusted import adjusted_days
from budgets.reports.balances import commits_of
from budgets.reports.ledger import CursorError, LedgerFilters, entries
from budgets.reports.ongoing import ongoing_lines
from usage.models import Meter
from usage.reports.freshness import data_through
from usage.views.overview import download

OVERAGE = "overage"  # stands for "no commit" in the filter


@require_safe
@requires("money.view")
def account_ledger(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """A page of the ledger, newest first, with today's use that is not booked yet on top."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    filters = _filters(request)
    cursor = request.GET.get("after", "")
    try:
        page = entries(viewer, account, filters, cursor)
    except CursorError as error:
        raise Http404 from error
    balance = commits_of(viewer, account, now)
    shows_today = not cursor and filters.current_only and filters == LedgerFilters()
    context = {
        "account": account,
        "page": page,
        "filters": filters,
        "balance": balance,
        "holding": [row for row in balance.commits if row.ongoing],
        "ongoing": ongoing_lines(viewer, account) if shows_today else None,
        "adjusted": adjusted_days(viewer, account, [line.day for line in page.lines]),
        "commits": Commit.objects.visible_to(viewer).filter(account=account).order_by("effective_on", "name"),
        "meters": Meter.objects.visible_to(viewer).order_by("name"),
        "kinds": LedgerEntry.Kind.choices,
        "to_day": filters.to_day - timedelta(days=1) if filters.to_day else None,
        "is_narrowed": filters != LedgerFilters() and filters != LedgerFilters(current_only=False),
        "is_first": not cursor,
        "freshness": data_through(viewer, now),
    }
    return render(request, "budgets/ledger.html", context)


@require_safe
@requires("money.view")
def account_ledger_csv(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """All entries that the filters let through."""
    viewer, account = viewer_of(request), account_of(request)
    return download(ledger_csv(viewer, account, _filters(request)), f"{account.key}-ledger.csv")


def _filters(request: HttpRequest) -> LedgerFilters:
    """Read the filters; one that cannot be read narrows nothing."""
    asked = request.GET
    commit = asked.get("commit", "")
    last = _day(asked.get("to", ""))
    return LedgerFilters(
        commit=_id(commit),
        kind=asked.get("kind", "") if asked.get("kind") in LedgerEntry.Kind.values else "",
        meter=_id(asked.get("meter", "")),
        from_day=_day(asked.get("from", "")),
        to_day=last + timedelta(days=1) if last else None,
        current_only=asked.get("reversed") != "1",
        overage_only=commit == OVERAGE,
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1900 <= day.year <= 2200 else None
