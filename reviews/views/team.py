"""The team: whose week is full, on whom money at risk rests, and what people are paid by."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import viewer_of
from accounts.permissions import can, requires
from reviews.actions.team import save_hours, save_terms
from reviews.exports.team import team_csv
from reviews.forms.team import HoursForm, TermsForm
from reviews.reports.incentive_lines import by_person
from reviews.reports.incentives import incentive_ledger, open_disputes
from reviews.reports.team import team as team_seen
from reviews.reports.team import terms_of
from reviews.reports.team_words import facts, headline, lead, status
from usage.actions.accounts import staff_people
from usage.views.overview import download


@require_safe
@requires("capacity.view", staff=True)
def team(request: HttpRequest) -> HttpResponse:
    """Whether the load is fair, who is away, and on how few customers the organization rests."""
    viewer, now = viewer_of(request), timezone.now()
    seen = team_seen(viewer, now)
    text, tone = status(seen)
    ledger, disputes = incentive_ledger(viewer, now), open_disputes(viewer)
    context = {
        "seen": seen,
        "status": text,
        "tone": tone,
        "headline": headline(seen),
        "lead": lead(seen),
        "facts": facts(seen),
        "paid": by_person(ledger),
        "disputes": sum(disputes.values()),
        "disputed": next(iter(disputes), None),
        "today": now.date(),
        "may_edit": can(viewer, "recipe.edit"),
        "may_cover": can(viewer, "book.view"),
    }
    return render(request, "reviews/team.html", context)


@require_safe
@requires("capacity.view", staff=True)
def team_file(request: HttpRequest) -> HttpResponse:
    """The load of each person as a file."""
    now = timezone.now()
    return download(team_csv(team_seen(viewer_of(request), now)), f"team-{now.date().isoformat()}.csv")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("recipe.edit", staff=True)
def team_terms(request: HttpRequest) -> HttpResponse:
    """Say what an account of each tier and an open play ask for, and what retention is aimed at."""
    viewer = viewer_of(request)
    form = TermsForm(request.POST or None, terms=terms_of(viewer))
    if form.is_bound and form.is_valid():
        save_terms(viewer, form.asked)
        messages.success(request, "Kept. Capacity and retention go by it from now on.")
        return redirect("reviews:team")
    return render(request, "reviews/team_terms.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
@requires("recipe.edit", staff=True)
def team_hours(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Say how many hours a week somebody has for their accounts."""
    viewer, form = viewer_of(request), HoursForm(request.POST)
    if not staff_people(viewer).filter(pk=user_id).exists():
        raise Http404
    if not form.is_valid():
        messages.error(request, "Hours a week are 0 to 80, with at most two decimals.")
        return redirect("reviews:team")
    try:
        save_hours(viewer, user_id, form.cleaned_data["hours"])
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    else:
        messages.success(request, "The hours are kept.")
    return redirect("reviews:team")
