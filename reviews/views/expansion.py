"""Expansion: what an account could do next, and the portfolio of all accounts. For the vendor's staff."""

from datetime import date
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from consumption_cs.lib.display import counted, money_text, percent_text
from consumption_cs.lib.periods import day_of, zone_of
from reviews.actions import expansion as acting
from reviews.exports.expansion import expansion_csv
from reviews.forms.expansion import CandidateForm, WeeksForm, quarter_name
from reviews.models import Candidate
from reviews.reports.expansion import Expansion, Portfolio, expansion_of, portfolio
from reviews.reports.expansion_plan import weeks
from reviews.views.headlines import pieces
from usage.views.overview import download

State = Candidate.State
NEXT: dict[str, list[tuple[str, str]]] = {
    State.FOUND: [(State.PROPOSED, "Proposed to them")],
    State.PROPOSED: [(State.AGREED, "They agreed")],
    State.AGREED: [(State.BUILDING, "Being built")],
    State.BUILDING: [],  # the ladder says when it is in production
}


@require_safe
@requires("expansion.view", staff=True)
def expansion(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Candidates of an account by their path to value, what similar accounts run, and pilots that stand still."""
    viewer, account = viewer_of(request), account_of(request)
    seen = expansion_of(viewer, account, timezone.now())
    context = {
        "account": account,
        "seen": seen,
        "rows": [(line, NEXT[line.row.state]) for line in seen.lines],
        "headline": pieces(_headline(seen, account.currency)),
        "may_edit": can(viewer, "expansion.edit"),
    }
    return render(request, "reviews/expansion.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("expansion.edit", staff=True)
def candidate_edit(request: HttpRequest, account_id: UUID, candidate_id: UUID | None = None) -> HttpResponse:
    """Add a candidate or change what is thought of it."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    row = _candidate(request, candidate_id) if candidate_id else None
    today = day_of(now, zone_of(account.timezone))
    form = CandidateForm(viewer, account, today, request.POST or None, initial=_initial(row, request))
    if form.is_bound and form.is_valid():
        try:
            if row is None:
                said = form.cleaned_data
                acting.add_candidate(viewer, account, form.estimate(), said["source"], now, said["workflow"])
            else:
                acting.estimate(viewer, row, form.estimate())
        except ValidationError as problem:
            form.add_error(None, problem)
        else:
            messages.success(request, "The candidate is kept.")
            return redirect("reviews:expansion", account.pk)
    context = {"account": account, "form": form, "row": row}
    return render(request, "reviews/candidate.html", context, status=422 if form.errors else 200)


@require_POST
@requires("expansion.edit", staff=True)
def candidate_accept(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Make a candidate of what similar accounts run."""
    viewer, account = viewer_of(request), account_of(request)
    made = acting.accept_suggestion(viewer, account, request.POST.get("key", ""), timezone.now())
    if made is None:
        messages.error(request, "It is no longer suggested.")
    else:
        messages.success(request, f"“{made.title}” is a candidate. Estimate its value with the customer.")
    return redirect("reviews:expansion", account.pk)


@require_POST
@requires("expansion.edit", staff=True)
def candidate_move(request: HttpRequest, account_id: UUID, candidate_id: UUID) -> HttpResponse:
    """Move a candidate on, or say why not now."""
    account, row = account_of(request), _candidate(request, candidate_id)
    try:
        moved = acting.move(
            viewer_of(request), row, request.POST.get("state", ""), request.POST.get("reason", ""), timezone.now()
        )
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    else:
        messages.success(request, f"“{row.title}”: {moved.get_state_display().lower()}.")
    return redirect("reviews:expansion", account.pk)


@require_POST
@requires("expansion.edit", staff=True)
def candidate_share(request: HttpRequest, account_id: UUID, candidate_id: UUID) -> HttpResponse:
    """Show a candidate to the customer, or keep it internal."""
    account, row = account_of(request), _candidate(request, candidate_id)
    is_shared = request.POST.get("shared") == "yes"
    acting.share(viewer_of(request), row, is_shared)
    messages.success(request, f"“{row.title}” is {'shared' if is_shared else 'internal'} now.")
    return redirect("reviews:expansion", account.pk)


@require_safe
@requires("expansion.view", staff=True)
def portfolio_page(request: HttpRequest) -> HttpResponse:
    """The candidates of all accounts, the quarterly plan against the weeks there are, the funnel and the win rate."""
    viewer, today = viewer_of(request), timezone.now().date()
    seen = portfolio(viewer, *_asked(request))
    context = {
        "seen": seen,
        "headline": pieces(_portfolio_headline(seen)),
        "facts": _facts(seen),
        "quarters": [(quarter_name(one.starts_on), one) for one in seen.quarters],
        "planned": _planned(seen),
        "decided": _decided(seen),
        "funnel": [(State(one.state).label, one) for one in seen.funnel],
        "states": [(state, State(state).label) for state in (*acting.OPEN, State.WON, State.LOST)],
        "sources": Candidate.Source.choices,
        "may_plan": can(viewer, "expansion.plan"),
        "weeks": WeeksForm(viewer, today),
    }
    return render(request, "reviews/portfolio.html", context)


@require_safe
@requires("expansion.view", staff=True)
def portfolio_file(request: HttpRequest) -> HttpResponse:
    """The portfolio as CSV, as filtered."""
    return download(expansion_csv(portfolio(viewer_of(request), *_asked(request)).lines), "expansion.csv")


@require_POST
@requires("expansion.plan", staff=True)
def portfolio_weeks(request: HttpRequest) -> HttpResponse:
    """Say how many weeks somebody has in a quarter."""
    viewer = viewer_of(request)
    form = WeeksForm(viewer, timezone.now().date(), request.POST)
    if form.is_valid():
        said = form.cleaned_data
        acting.set_weeks(viewer, UUID(said["user"]), said["quarter"], said["weeks"])
        messages.success(request, f"{counted(said['weeks'], 'week')} in {quarter_name(said['quarter'])}.")
    else:
        messages.error(request, "Choose somebody, a quarter, and 0 to 13 weeks.")
    return redirect("reviews:portfolio")


def _asked(request: HttpRequest) -> tuple[str, str, str, str]:
    def said(name: str) -> str:
        return request.GET.get(name, "").replace("\x00", "").strip()[:100]

    return said("currency"), said("q"), said("state"), said("source")


def _candidate(request: HttpRequest, candidate_id: UUID) -> Candidate:
    rows = Candidate.objects.visible_to(viewer_of(request)).select_related("account", "workflow")
    found: Candidate = get_object_or_404(rows, account=account_of(request), pk=candidate_id)
    return found


def _initial(row: Candidate | None, request: HttpRequest) -> dict[str, Any]:
    if row is None:
        asked = {name: request.GET.get(name, "")[:200] for name in ("title", "workflow")}
        return {**asked, "source": request.GET.get("source", "requested")}

    def plain(amount: Any) -> str | None:
        return None if amount is None else f"{amount.normalize():f}"

    return {
        "title": row.title, "source": row.source, "workflow": row.workflow_id,
        "value_a_month": plain(row.value_a_month), "evidence": int(row.evidence * 100),
        "effort_weeks": plain(row.effort_weeks), "spend_likely": plain(row.spend_likely),
        "obstacles": "\n".join(row.obstacles), "known": row.known, "cadence": row.cadence,
        "quarter": row.quarter.isoformat() if isinstance(row.quarter, date) else "",
        "owner": str(row.owner_id or ""),
    }  # fmt: skip


def _headline(seen: Expansion, currency: str) -> str:
    best = seen.best
    if best is not None and best.path is not None:
        worth = money_text(best.path, currency, places=0)
        return f"Finish {best.row.title} first: {worth} of value for each week of effort."
    if seen.lines:
        return f"{counted(len(seen.lines), 'candidate')}, none with a value and an effort yet."
    if seen.suggestions:
        return f"{counted(len(seen.suggestions), 'workflow')} that similar accounts run could be next."
    return "No candidate yet."


def _portfolio_headline(seen: Portfolio) -> str:
    if not seen.lines:
        return "No open candidate."
    value = money_text(seen.value, seen.currency, places=0)
    accounts = len({line.row.account_id for line in seen.lines})
    said = f"{counted(len(seen.lines), 'candidate')} in {counted(accounts, 'account')}"
    return f"{said} could bring {value} a month, weighted by evidence."


def _planned(seen: Portfolio) -> str:
    if not seen.quarters:
        return "No quarter is planned"
    over = next((one for one in seen.quarters if one.over), None)
    if over is not None:
        return f"{quarter_name(over.starts_on)} is {weeks(over.over)} over what there is"
    if any(one.problems for one in seen.quarters):
        return "The plan by quarter has open questions"
    return "What is planned fits the weeks there are"


def _decided(seen: Portfolio) -> str:
    if not seen.decided:
        return "No candidate is decided yet"
    sample = ": a small sample" if seen.is_small else ""
    return f"{seen.won} won of {seen.decided} decided{sample}"


def _facts(seen: Portfolio) -> list[dict[str, Any]]:
    rate = f"{percent_text(seen.won / seen.decided, places=0)}" if seen.decided else "None decided yet"
    span = f"{seen.range[0] * 100:.0f} – {seen.range[1] * 100:.0f}%" if seen.range else ""
    over = [(quarter_name(one.starts_on), one.over) for one in seen.quarters if one.over]
    return [
        {"label": "Open candidates", "value": str(len(seen.lines))},
        {"label": "Value a month, weighted", "value": money_text(seen.value, seen.currency or "USD", places=0)},
        {"label": "Win rate", "value": rate,
         "note": f"{seen.won} of {seen.decided}, {span}{', small sample' if seen.is_small else ''}" if span else ""},
        {"label": "Over capacity", "value": over[0][0] if over else "No quarter",
         "note": f"{weeks(over[0][1])} too many" if over else "", "tone": "warn"},
    ]  # fmt: skip
