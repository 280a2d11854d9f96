"""Reconciliation: does everything add up, period by period, and does the invoice agree."""

import logging
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, require, requires
from budgets.actions.invoices import enter_invoices
from budgets.exports.finance import reconciliation_csv
from budgets.forms.invoices import InvoiceForm
from budgets.models import LedgerCheck
from budgets.reports.reconciled_days import days_of, meters_of
from budgets.reports.reconciliation import Line, checks, line_of, lines_of_month, with_accepted
from budgets.tasks import verify_ledger
from budgets.views.finance import finance_page, organization_of
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from usage.reports.rate_cards import today_of

logger = logging.getLogger(__name__)

LINES_SHOWN = 25
MONTHS_BACK = 36
STOP_POLLING = 286  # htmx: show this and ask no more
SHOWN = {
    "": "All periods",
    "differs": "Only differences",
    "open": "Not closed",
    "no-invoice": "Closed without an invoice",
}
TOLERANCES = {
    "0": "Exact to the cent",
    "0.001": "0.1% is fine",
    "0.005": "0.5% is fine",
    "0.01": "1% is fine",
    "0.05": "5% is fine",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader chose: the month in which periods start, words, which of them, what an invoice may differ."""

    month: date
    words: str
    shown: str
    tolerance: str

    def lets(self, line: Line) -> bool:
        """Whether the line fits the choice."""
        name = f"{line.account.name} {line.account.key}".lower()
        fits = {
            "": True,
            "differs": line.is_exact is False or line.is_off(Decimal(self.tolerance)),
            "open": line.row is None,
            "no-invoice": line.row is not None and line.invoiced is None,
        }
        return fits[self.shown] and all(word in name for word in self.words.lower().split())


@require_safe
@requires("reconciliation.view", staff=True)
def reconciliation(request: HttpRequest) -> HttpResponse:
    """The periods that start in a month, each with its chain and its invoice."""
    viewer, now = viewer_of(request), timezone.now()
    asked = _asked(request, viewer, now)
    everything = lines_of_month(viewer, asked.month, now)
    lines = [line for line in everything if asked.lets(line)]
    page = Paginator(lines, LINES_SHOWN).get_page(request.GET.get("page"))
    tolerance = Decimal(asked.tolerance)
    today = today_of(organization_of(viewer), now)
    context = _check_context(viewer) | {
        "asked": asked,
        "page": page,
        "rows": [(line, line.is_off(tolerance)) for line in with_accepted(viewer, list(page.object_list))],
        "lines": lines,
        "everything": everything,
        "off": [line for line in everything if line.is_off(tolerance)],
        "broken": [line for line in everything if line.is_exact is False],
        "choices": [add_months(today.replace(day=1), -back) for back in range(MONTHS_BACK)],
        "shown": SHOWN.items(),
        "tolerances": TOLERANCES.items(),
        "may_enter": can(viewer, "period.close"),
    }
    return finance_page(request, "budgets/reconciliation.html", context)


@require_safe
@requires("reconciliation.view", staff=True)
def reconciliation_list_csv(request: HttpRequest) -> HttpResponse:
    """The same as a file, all pages of it."""
    viewer, now = viewer_of(request), timezone.now()
    asked = _asked(request, viewer, now)
    lines = [line for line in lines_of_month(viewer, asked.month, now) if asked.lets(line)]
    headers = {"Content-Disposition": f'attachment; filename="reconciliation-{asked.month:%Y-%m}.csv"'}
    return HttpResponse(reconciliation_csv(lines), content_type="text/csv; charset=utf-8", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("reconciliation.view", staff=True)
def reconciliation_period(request: HttpRequest, account_id: UUID, starts_on: str) -> HttpResponse:
    """One period: the chain, by meter and by day down to its events, and its invoice."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    day = _day(starts_on)
    line = line_of(viewer, account, day, now) if day else None
    if line is None:
        raise Http404
    if request.method == "POST":
        require(viewer, "period.close")
        if line.row is None:
            messages.error(request, "Close the period first: an invoice is compared with a frozen amount.")
            return redirect("budgets:reconciliation_period", account.pk, starts_on)
    may_enter = line.row is not None and can(viewer, "period.close")
    form = InvoiceForm(request.POST or None, period=line.row) if may_enter and line.row else None
    if request.method == "POST" and form and form.is_valid():
        enter_invoices(viewer, [form.invoice])
        messages.success(request, "The invoice is saved." if form.invoice.amount is not None else "It is taken back.")
        return redirect("budgets:reconciliation_period", account.pk, starts_on)
    context = _check_context(viewer) | {
        "line": line,
        "of": account,
        "checks": checks(line),
        "form": form,
        "meters": meters_of(viewer, account, line.span),
        "days": days_of(viewer, account, line.span),
    }
    return finance_page(request, "budgets/reconciliation_period.html", context, 422 if form and form.errors else 200)


@require_POST
@requires("reconciliation.view", staff=True)
def check_now(request: HttpRequest) -> HttpResponse:
    """Have the ledger checked in the background."""
    now = timezone.now()
    organization_id = str(viewer_of(request).organization_id)
    transaction.on_commit(lambda: _send(organization_id), robust=True)
    return render(request, "budgets/_check_running.html", {"since": now.isoformat()})


@require_safe
@requires("reconciliation.view", staff=True)
def check_state(request: HttpRequest) -> HttpResponse:
    """Asked every two seconds while a check runs; its result ends the asking."""
    viewer = viewer_of(request)
    since = _moment(request.GET.get("since"))
    context = _check_context(viewer)
    done = context["check"] and since and context["check"].checked_at >= since
    if done:
        return render(request, "budgets/_check.html", context, status=STOP_POLLING)
    waited = int((timezone.now() - since).total_seconds()) if since else 0
    return render(request, "budgets/_check_running.html", {"since": request.GET.get("since", ""), "waited": waited})


def _send(organization_id: str) -> None:
    """A broker that is away leaves the check to the night, which the page says after a while."""
    try:
        verify_ledger.apply_async((organization_id,), retry=False)
    except verify_ledger.OperationalError:
        logger.warning("ledger_check.not_sent organization=%s", organization_id)


def _check_context(viewer: Viewer) -> dict[str, Any]:
    return {"check": LedgerCheck.objects.visible_to(viewer).order_by("-checked_at").first()}


def _asked(request: HttpRequest, viewer: Viewer, now: datetime) -> Asked:
    get = request.GET.get
    month = _day(f"{get('month')}-01") or today_of(organization_of(viewer), now).replace(day=1)
    shown, tolerance = get("show") or "", get("tolerance") or "0.005"
    return Asked(
        month,
        (get("q") or "").replace("\x00", "").strip()[:200],
        shown if shown in SHOWN else "",
        tolerance if tolerance in TOLERANCES else "0.005",
    )


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2098 else None


def _moment(text: str | None) -> datetime | None:
    try:
        found = parse_datetime(text or "")
    except ValueError:
        return None
    return found if found and found.tzinfo else None
