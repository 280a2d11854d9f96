"""Billing periods: what has ended and can be closed, and what was closed, by whom."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.http import viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from budgets.actions.closing import ClosingError, close_by_hand
from budgets.reports.ended_periods import closed_periods, ended_periods, with_amounts
from budgets.views.finance import finance_page, organization_of
from consumption_cs.lib.display import counted
from consumption_cs.lib.periods import DAY
from consumption_cs.lib.tenancy import Viewer

LINES_SHOWN = 50
MOST_AT_ONCE = 100
MOST_ERRORS = 5


@require_safe
@requires("reconciliation.view", staff=True)
def periods(request: HttpRequest) -> HttpResponse:
    """What waits to be closed, or, with `show=closed`, what was."""
    viewer, now = viewer_of(request), timezone.now()
    words = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    organization = organization_of(viewer)
    ended = ended_periods(viewer, now, organization.close_after_days, words)
    closed = closed_periods(viewer, words)
    shows_closed = request.GET.get("show") == "closed"
    page = Paginator(closed if shows_closed else ended, LINES_SHOWN).get_page(request.GET.get("page"))
    shown: list[Any] = list(page.object_list)
    rows = [(row, row.ends_on - DAY) for row in shown] if shows_closed else []
    if not shows_closed:
        with_amounts(viewer, shown)
    here = request.path
    context = {
        "page": page,
        "rows": rows,
        "ended": ended,
        "shows_closed": shows_closed,
        "words": words,
        "after_days": organization.close_after_days,
        "may_close": can(viewer, "period.close"),
        "may_set": can(viewer, "organization.edit"),
        "views": [
            {"label": "To close", "url": here, "count": len(ended), "current": not shows_closed},
            {"label": "Closed", "url": f"{here}?show=closed", "count": closed.count(), "current": shows_closed},
        ],
    }
    return finance_page(request, "budgets/periods.html", context)


@require_POST
@requires("period.close", staff=True)
def periods_close(request: HttpRequest) -> HttpResponse:
    """Close the chosen periods, each by itself: one that cannot be closed does not hold up the others."""
    viewer, now = viewer_of(request), timezone.now()
    chosen = [_named(value) for value in request.POST.getlist("period")[:MOST_AT_ONCE]]
    wanted = [one for one in chosen if one]
    known = Account.objects.visible_to(viewer).filter(pk__in=[pk for pk, _ in wanted])
    accounts: dict[Any, Account] = {row.pk: row for row in known}
    done = 0
    problems: list[str] = []
    for pk, starts_on in wanted:
        problem = _close(viewer, accounts.get(pk), starts_on, now)
        done, problems = (done, [*problems, problem]) if problem else (done + 1, problems)
    _tell(request, done, problems)
    return redirect("budgets:periods")


def _close(viewer: Viewer, account: Account | None, starts_on: date, now: datetime) -> str:
    """Close one period; return what stood in the way, or nothing."""
    if account is None:
        return "One of the accounts is not there any more."
    try:
        with transaction.atomic():
            close_by_hand(viewer, account, starts_on, now)
    except ClosingError as error:
        return f"{account.name}: {error}"
    return ""


def _tell(request: HttpRequest, done: int, problems: list[str]) -> None:
    if done:
        messages.success(request, f"{counted(done, 'billing period')} closed. Later use becomes an adjustment.")
    for problem in problems[:MOST_ERRORS]:
        messages.error(request, problem)
    if len(problems) > MOST_ERRORS:
        messages.error(request, f"{len(problems) - MOST_ERRORS} more could not be closed.")
    if not done and not problems:
        messages.info(request, "Choose at least one period to close.")


def _named(value: str) -> tuple[UUID, date] | None:
    pk, _, day = value.partition(":")
    try:
        return UUID(pk), date.fromisoformat(day)
    except ValueError:
        return None
