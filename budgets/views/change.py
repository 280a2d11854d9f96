"""Why a month, a week or an invoice differs from the one before."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import requires
from budgets.exports.cause import cause_csv
from budgets.reports.change import KINDS, Compared, change, compared, headline
from usage.reports.freshness import data_through
from usage.views.overview import download


def _found(request: HttpRequest) -> tuple[Compared, dict[str, Any]]:
    viewer, account = viewer_of(request), account_of(request)
    asked = compared(viewer, account, request.GET.get("of", ""), request.GET.get("end", ""), timezone.now())
    return asked, change(viewer, account, asked)


@require_safe
@requires("money.view")
def account_change(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The exact split of the difference, who carries it, and whether it looks like growth."""
    asked, card = _found(request)
    context = {
        "account": account_of(request),
        "asked": asked,
        "card": card,
        "headline": headline(card, asked),
        "kinds": KINDS.items(),
        "freshness": data_through(viewer_of(request), timezone.now()),
    }
    return render(request, "budgets/change.html", context)


@require_safe
@requires("money.view")
def account_change_csv(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The parts and the table as a file."""
    asked, card = _found(request)
    return download(cause_csv(card), f"{account_of(request).key}-change-{asked.of}-{asked.last}.csv")
