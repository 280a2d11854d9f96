"""The incentive ledger: what people are paid by in a quarter, and disputes about it."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.http import viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.incentives import answer_dispute, raise_dispute
from reviews.calc.quarters import Quarter
from reviews.charts.incentives import weeks_chart
from reviews.exports.team import ledger_csv
from reviews.forms.incentives import AnswerForm, DisputeForm
from reviews.models import IncentiveDispute
from reviews.reports.incentive_lines import LedgerLine, by_person
from reviews.reports.incentive_words import facts, headline, lead, status
from reviews.reports.incentives import incentive_ledger, may_see_all, open_disputes, quarter_asked, quarters
from usage.views.overview import download


@require_safe
@requires("book.view", staff=True)
def ledger(request: HttpRequest) -> HttpResponse:
    """What people are paid by in a quarter: everybody's for who leads, one's own for others."""
    viewer, now = viewer_of(request), timezone.now()
    quarter = quarter_asked(request.GET.get("quarter", ""), now)
    lines = incentive_ledger(viewer, now, quarter)
    people = by_person(lines)
    asked = {name: request.GET.get(name, "") for name in ("person", "state")}
    shown = [line for line in lines if _fits(line, asked)]
    text, tone = status(lines)
    context = {
        "quarter": quarter,
        "running": quarter == Quarter.of(now.date()),
        "quarters": quarters(now),
        "status": text,
        "tone": tone,
        "headline": headline(lines, quarter),
        "lead": lead(lines, quarter, now),
        "facts": facts(lines),
        "people": people,
        "lines": shown,
        "total": len(lines),
        "open": sum(line.open_dispute is not None for line in lines),
        **asked,
        "elsewhere": [(one, count) for one, count in open_disputes(viewer).items() if one != quarter],
        "sees_all": may_see_all(viewer),
    }
    return render(request, "reviews/incentives.html", context)


def _fits(line: LedgerLine, asked: dict[str, str]) -> bool:
    """Whether a line fits the filters; "" is any."""
    own = line.dispute.step if line.dispute else ""
    return (not asked["person"] or str(line.person.pk) == asked["person"]) and (
        asked["state"] not in IncentiveDispute.Step.values or own == asked["state"]
    )


@require_safe
@requires("book.view", staff=True)
def ledger_file(request: HttpRequest) -> HttpResponse:
    """The ledger of a quarter as a file: each account of each person, what was excused by whom, and disputes."""
    viewer, now = viewer_of(request), timezone.now()
    quarter = quarter_asked(request.GET.get("quarter", ""), now)
    return download(ledger_csv(incentive_ledger(viewer, now, quarter)), f"incentives-{quarter.name}.csv")


@require_safe
@requires("book.view", staff=True)
def line(request: HttpRequest, account_id: UUID, quarter: str) -> HttpResponse:
    """One line: its weeks, what bears on it, and all that was said about it."""
    return _line_page(request, account_id, quarter, DisputeForm(), AnswerForm())


@require_POST
@requires("book.edit", staff=True)
def dispute(request: HttpRequest, account_id: UUID, quarter: str) -> HttpResponse:
    """Dispute a line of one's own."""
    viewer, now = viewer_of(request), timezone.now()
    found = _line(viewer, account_id, quarter)
    form = DisputeForm(request.POST)
    if form.is_valid():
        try:
            raise_dispute(viewer, account_id, found.quarter, form.cleaned_data["reason"], now)
        except ValidationError as problem:
            form.add_error(None, problem)
        else:
            messages.success(request, "It is disputed. Somebody who leads answers, and both stay on the line.")
            return redirect("reviews:incentive_line", account_id, found.quarter.name)
    return _line_page(request, account_id, quarter, form, AnswerForm())


@require_POST
@requires("recipe.edit", staff=True)
def answer(request: HttpRequest, dispute_id: UUID) -> HttpResponse:
    """Accept or decline what somebody disputes."""
    viewer, now = viewer_of(request), timezone.now()
    raised = IncentiveDispute.objects.visible_to(viewer).filter(pk=dispute_id, step="raised").first()
    if raised is None:
        raise Http404
    quarter, form = Quarter(raised.quarter_starts_on), AnswerForm(request.POST)
    if form.is_valid():
        said = form.cleaned_data
        try:
            answer_dispute(viewer, dispute_id, said["note"], now, accept=said["do"] == "accept")
        except ValidationError as problem:
            form.add_error(None, problem)
        else:
            messages.success(request, "Answered. Your note stands on the line and in the file.")
            return redirect("reviews:incentive_line", raised.account_id, quarter.name)
    return _line_page(request, raised.account_id, quarter.name, DisputeForm(), form)


def _line(viewer: Viewer, account_id: UUID, quarter: str) -> LedgerLine:
    """Return the line, or 404 for none that the viewer may see."""
    now, asked = timezone.now(), Quarter.named(quarter)
    if asked not in quarters(now) or not Account.objects.visible_to(viewer).filter(pk=account_id).exists():
        raise Http404
    lines = incentive_ledger(viewer, now, asked, account_id=account_id)
    if not lines:
        raise Http404("Nobody you may look at is paid by this account.")
    return lines[0]


def _line_page(
    request: HttpRequest, account_id: UUID, quarter: str, form: DisputeForm, answered: AnswerForm
) -> HttpResponse:
    viewer = viewer_of(request)
    found = _line(viewer, account_id, quarter)
    is_own, raised = found.person.pk == viewer.user_id, found.open_dispute
    context: dict[str, Any] = {
        "line": found,
        "chart": weeks_chart(found),
        "form": form,
        "answered": answered,
        "may_dispute": is_own and raised is None and can(viewer, "book.edit"),
        "may_answer": not is_own and raised is not None and can(viewer, "recipe.edit"),
        "is_own": is_own,
        "back": f"{reverse('reviews:incentives')}?{urlencode({'quarter': found.quarter.name})}",
    }
    is_wrong = form.errors or answered.errors
    return render(request, "reviews/incentive_line.html", context, status=422 if is_wrong else 200)
