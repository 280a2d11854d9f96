"""The brief of an account: what changed, health, commit, what is open, workflows, people; one page that prints."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from budgets.charts.burndown import burndown_chart, period_chart
from reviews.charts.health import weeks_chart
from reviews.reports import brief_words as words
from reviews.reports.brief import Brief, brief, place_of
from reviews.reports.call_sheet import call_sheet
from reviews.views.contacts import people_context
from reviews.views.tasks import tasks_context
from reviews.views.timeline import timeline_context


@require_safe
@requires("book.view", staff=True)
def account_brief(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Everything about one account that a call needs."""
    return render(request, "reviews/brief.html", brief_context(request))


@require_safe
@requires("book.view", staff=True)
def brief_place(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Previous and next of the viewer's book: ranking it takes longer than the brief, so it comes after it."""
    viewer, account = viewer_of(request), account_of(request)
    place = place_of(viewer, account, timezone.now())
    return render(request, "reviews/_brief_place.html", {"place": place, "account": account})


@require_safe
@requires("book.view", staff=True)
def account_call(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """One page to have in hand for a call: what changed, what to ask, what is open, who is who, and room for notes."""
    context = brief_context(request)
    sheet = call_sheet(viewer_of(request), context["brief"], context["people"])
    own = [one for one in context["tasks"] if one.run_url is None]  # steps stand with their plays
    return render(request, "reviews/call_sheet.html", context | {"sheet": sheet, "own_tasks": own})


def brief_context(request: HttpRequest) -> dict[str, Any]:
    """What the page shows."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    found = brief(viewer, account, now)
    status, tone = words.status(found)
    written = timeline_context(viewer, account, now) | tasks_context(viewer, account, now)
    return {
        **written,
        **people_context(viewer, account, now),
        "tasks": written["tasks_open"],
        "brief": found,
        "account": account,
        "status": status,
        "tone": tone,
        "headline": words.headline(found),
        "facts": words.facts(found),
        "changes": words.changes(found),
        "parts": [(part, words.part_words(part, found.found)) for part in found.health.parts],
        "chart": _chart(request, found),
        "weeks": weeks_chart(found.health),
        "contract": words.contract_facts(found),
        "margin": words.margin_facts(found) if can(viewer, "margin.view") else None,
        "may_edit": can(viewer, "book.edit"),
        "now": now,
    }


def _chart(request: HttpRequest, found: Brief) -> Any:
    csv_url = reverse("budgets:burndown_csv", args=[found.account.pk])
    if found.seen.is_pay_as_you_go:
        return period_chart(viewer_of(request), found.seen, csv_url)
    return burndown_chart(found.seen, csv_url, ("Burndown", reverse("budgets:burndown", args=[found.account.pk])))
