"""Outcomes of an account, the same page for both sides: staff propose what one is worth, the customer confirms it."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account, Membership
from accounts.permissions import CAPABILITIES, can, requires
from consumption_cs.lib.display import counted, money_text, percent_text, quantity_text
from consumption_cs.lib.periods import add_months, day_of, zone_of
from reviews.actions import outcomes as acting
from reviews.charts.outcomes import MOST, compared, cost_figures
from reviews.exports.outcomes import outcome_months_csv, outcomes_csv
from reviews.forms.outcomes import AnswerForm, TermsForm
from reviews.models import OutcomeTerms
from reviews.reports.outcome_months import outcome_months
from reviews.reports.outcomes import Outcomes, mostly, outcomes_of
from reviews.views.headlines import pieces
from usage.models import Workflow
from usage.reports.freshness import data_through
from usage.views.overview import download

MONTHS = 12


@require_safe
@requires("outcome.view")
def outcomes(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Outcomes, cost and confirmed value of each workflow in a month."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    start, end, months = _month(request, account, now)
    seen = outcomes_of(viewer, account, start, end, now)
    flows = outcome_months(viewer, account, seen.lines, months, day_of(now, zone_of(account.timezone)))
    csv_url = f"{reverse('reviews:outcomes_csv', args=[account.pk])}?by=month"
    context = {
        "account": account,
        "seen": seen,
        "charts": cost_figures(flows, account.currency, csv_url),
        "undrawn": max(len(flows) - MOST, 0),
        "headline": pieces(_headline(seen, account, viewer.is_portal)),
        "lead": f"{_lead(seen, account, viewer.is_portal)} {compared(flows)}".strip(),
        "facts": _facts(seen, account),
        "month": start,
        "months": months,
        "may_propose": viewer.is_staff and can(viewer, "outcome.propose"),
        "may_confirm": viewer.is_portal and can(viewer, "outcome.confirm"),
        "confirmers": _confirmers(request, account) if seen.asked else [],
        "freshness": data_through(viewer, now),
    }
    return render(request, "reviews/outcomes.html", context)


@require_safe
@requires("outcome.view")
def outcomes_file(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The month's lines as CSV; with `?by=month` what outcomes cost in each month."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    start, end, months = _month(request, account, now)
    seen = outcomes_of(viewer, account, start, end, now)
    if request.GET.get("by") == "month":
        flows = outcome_months(viewer, account, seen.lines, months, day_of(now, zone_of(account.timezone)))
        return download(outcome_months_csv(flows, account), f"outcome-costs-{account.key}.csv")
    content = outcomes_csv(seen, account)
    return download(content, f"outcomes-{account.key}-{start:%Y-%m}.csv")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("outcome.view")
def outcome_terms(request: HttpRequest, account_id: UUID, workflow_id: UUID) -> HttpResponse:
    """Propose what an outcome of a workflow is worth; of the customer's own people it is confirmed at once."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    flow = get_object_or_404(
        Workflow.objects.visible_to(viewer).select_related("account"), account=account, pk=workflow_id
    )
    history = _history(viewer, flow)
    may = can(viewer, "outcome.confirm" if viewer.is_portal else "outcome.propose")
    initial = _initial(history[0]) if history else {}
    data = request.POST if request.method == "POST" and may else None
    form = TermsForm(account.currency, data, initial=initial, must_have_value=viewer.is_portal)
    if form.is_bound and form.is_valid():
        act = acting.propose_another if viewer.is_portal else acting.propose
        try:
            act(viewer, flow, form.wanted(), now)
        except ValidationError as problem:
            form.add_error(None, problem)
        else:
            said = "is confirmed and counts from now on" if viewer.is_portal else "waits for the customer’s answer"
            messages.success(request, f"The value of {flow.name} {said}.")
            return redirect("reviews:outcomes", account.pk)
    context = {"account": account, "flow": flow, "form": form, "history": history, "may": may}
    return render(request, "reviews/outcome_terms.html", context, status=422 if form.errors else 200)


@require_POST
@requires("outcome.confirm")
def outcome_answer(request: HttpRequest, account_id: UUID, terms_id: UUID) -> HttpResponse:
    """Confirm or decline a proposal."""
    viewer, account = viewer_of(request), account_of(request)
    terms = get_object_or_404(
        OutcomeTerms.objects.visible_to(viewer).select_related("workflow"), account=account, pk=terms_id
    )
    form = AnswerForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Confirm the value or decline it.")
        return redirect("reviews:outcomes", account.pk)
    said = form.cleaned_data
    try:
        acting.answer(viewer, terms, said["answer"], timezone.now(), title=said["title"], note=said["note"])
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    else:
        words = "confirmed: it counts from now on" if said["answer"] == "confirmed" else "declined, with your reason"
        messages.success(request, f"The value of {terms.workflow.name} is {words}.")
    return redirect("reviews:outcomes", account.pk)


def _month(request: HttpRequest, account: Account, now: datetime) -> tuple[date, date, list[date]]:
    """Return the month asked for and those that may be; the last whole one unless told."""
    this = day_of(now, zone_of(account.timezone)).replace(day=1)
    months = [add_months(this, -ago) for ago in range(MONTHS + 1)]
    try:
        asked = date.fromisoformat(f"{request.GET.get('month', '')}-01")
    except ValueError:
        asked = months[1]
    start = asked if asked in months else months[1]
    return start, add_months(start, 1), months


def _history(viewer: Any, flow: Workflow) -> list[OutcomeTerms]:
    rows = OutcomeTerms.objects.visible_to(viewer).filter(workflow=flow).select_related("proposed_by")
    return list(rows.prefetch_related("answers__by").order_by("-proposed_at", "-pk")[:50])


def _initial(terms: OutcomeTerms) -> dict[str, Any]:
    each = terms.value_each
    return {
        "definition": terms.definition, "lag_days": terms.lag_days, "basis": terms.basis,
        "value_each": f"{each.normalize():f}" if each is not None else None,
    }  # fmt: skip


def _confirmers(request: HttpRequest, account: Account) -> list[str]:
    """Return who at the customer can confirm, so that nobody looks for a button they do not have."""
    able = [role for role, capabilities in CAPABILITIES.items() if "outcome.confirm" in capabilities]
    rows = Membership.objects.visible_to(viewer_of(request)).filter(account=account, role__in=able)
    return sorted(str(row.user.name or row.user.email) for row in rows.select_related("user"))


def _headline(seen: Outcomes, account: Account, is_portal: bool) -> str:
    who = "You" if is_portal else account.name
    if not seen.outcomes:
        return f"No outcome was counted in {seen.start:%B %Y}."
    rate = quantity_text(seen.per_money or Decimal(0), places=0)
    thousand = money_text(Decimal(1000), account.currency, places=0)
    before = ""
    if seen.per_money and seen.per_money_before:
        change = seen.per_money / seen.per_money_before - 1
        before = f", {percent_text(abs(change), places=0)} {'more' if change >= 0 else 'fewer'} than the month before"
    return f"{who} got {rate} outcomes for each {thousand} in {seen.start:%B}{before}."


def _lead(seen: Outcomes, account: Account, is_portal: bool) -> str:
    worth = seen.worth
    said = []
    if worth.ratio is not None:
        value, each = money_text(worth.value, account.currency, places=0), money_text(worth.ratio, account.currency)
        one = money_text(Decimal(1), account.currency, places=0)
        said.append(f"{value} of value is confirmed, {each} for each {one} spent.")
    else:
        said.append("No value is confirmed yet, so nothing is said of a return.")
    if seen.asked:
        who = "your" if is_portal else "the customer’s"
        wait = "waits" if len(seen.asked) == 1 else "wait"
        said.append(f"{counted(len(seen.asked), 'proposal')} {wait} for {who} answer.")
    return " ".join(said)


def _facts(seen: Outcomes, account: Account) -> list[dict[str, Any]]:
    cost = seen.spend / seen.outcomes * 1000 if seen.outcomes else None
    return [
        {"label": "Outcomes", "value": quantity_text(seen.outcomes, places=0)},
        {
            "label": "Cost of 1,000",
            "value": money_text(cost, account.currency) if cost is not None else "No outcomes",
        },
        {"label": "Spend", "value": money_text(seen.spend, account.currency, places=0)},
        {
            "label": "Confirmed value",
            "value": money_text(seen.worth.value, account.currency, places=0)
            if seen.worth.ratio is not None
            else "Not counted yet",
            "note": f"{seen.confirmed} of {len(seen.lines)} workflows",
        },
        _waste_fact(seen, account),
    ]


def _waste_fact(seen: Outcomes, account: Account) -> dict[str, Any]:
    wasted = seen.waste
    if not seen.spend:
        return {"label": "Waste", "value": "Nothing spent", "none": True}
    if wasted is None or wasted.percent is None:
        return {"label": "Waste", "value": "Not told", "note": "no end of an attempt is told", "none": True}
    note = f"{money_text(wasted.total, account.currency, places=0)}, {mostly(wasted)}" if wasted.total else ""
    return {"label": "Waste", "value": percent_text(wasted.percent / 100), "note": note}
