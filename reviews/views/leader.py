"""What leaders look at: retention, renewals ahead, and why accounts spend less."""

from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from budgets.reports.forecast_accuracy import accuracy_report
from consumption_cs.lib.periods import add_months
from reviews.actions import renewals as acting
from reviews.calc.walk import Walk
from reviews.charts.retention import due_chart, rolling_chart, walk_chart
from reviews.exports.leader import renewals_csv, renewals_ics, retention_csv, rolling_csv, walk_csv
from reviews.forms.leader import EvidenceForm, OpinionForm
from reviews.models import LossEvidence, RenewalCall
from reviews.reports.evidence import evidence
from reviews.reports.plays import play_outcomes
from reviews.reports.renewals import AHEAD_DAYS, KINDS, RenewalLine, renewals
from reviews.reports.retention import RetentionSeen, retention_seen
from reviews.reports.retention_words import (
    facts,
    headline,
    lead,
    loss_bar,
    loss_headline,
    loss_parts,
    loss_rows,
    status,
    ways,
    ways_headline,
)
from usage.views.overview import download

PAGE_SIZE = 50


@require_safe
@requires("retention.view", staff=True)
def retention(request: HttpRequest) -> HttpResponse:
    """How much of the revenue of before is still there, and why the rest is not."""
    viewer, now = viewer_of(request), timezone.now()
    seen = retention_seen(viewer, now, request.GET.get("currency", ""))
    lines = [line for line in renewals(viewer, now) if line.account.currency == seen.currency]
    text, tone = status(seen)
    outcomes = [one for one in play_outcomes(viewer.organization_id, _year_ago(now.date()), now) if one.ended]
    context = {
        "seen": seen,
        "status": text,
        "tone": tone,
        "headline": headline(seen),
        "lead": lead(seen, lines),
        "facts": facts(seen),
        "losses": loss_rows(seen),
        "ways": ways(seen),
        "ways_headline": ways_headline(seen),
        "rolling": rolling_chart(seen, csv_url=f"{reverse('reviews:rolling_csv')}?currency={seen.currency}"),
        "walk": walk_chart(seen, csv_url=f"{reverse('reviews:retention_csv')}?currency={seen.currency}"),
        "loss_headline": loss_headline(seen),
        "loss_parts": loss_parts(seen),
        "loss_bar": loss_bar(seen),
        "loss_points": None if seen.shown.gross_percent is None else 100 - seen.shown.gross_percent,
        "loss_total": sum(seen.shown.loss.values(), Decimal(0)),
        "lines": lines,
        "stake": sum((line.stake for line in lines), Decimal(0)),
        "disagree": [line for line in lines if line.disagrees],
        "disagree_stake": sum((line.stake for line in lines if line.disagrees), Decimal(0)),
        "missing": sum(line.opinion is None for line in lines),
        "due": due_chart(lines, seen.currency),
        "outcomes": outcomes,
        "accuracy": accuracy_report(viewer, now),
        "may_edit": can(viewer, "retention.edit"),
        "ahead": AHEAD_DAYS,
    }
    return render(request, "reviews/retention.html", context)


@require_safe
@requires("retention.view", staff=True)
def walk(request: HttpRequest) -> HttpResponse:
    """The consumption walk between two closed months, account by account."""
    seen = retention_seen(viewer_of(request), timezone.now(), request.GET.get("currency", ""))
    first, last = _month(request.GET.get("from", "")), _month(request.GET.get("to", ""))
    found = seen.walk_between(first, last)
    steps = sorted(found[2].steps, key=lambda step: -abs(step.change)) if found else []
    context = {
        "seen": seen,
        "chart": walk_chart(seen, first, last, csv_url=_walk_url(seen, found) if found else "", more=False),
        "found": found,
        "every": seen.walks[::-1],
        "steps": [(seen.names.get(step.account, "An account"), step) for step in steps],
        "change": found[2].closing - found[2].opening if found else None,
    }
    return render(request, "reviews/walk.html", context)


def _walk_url(seen: RetentionSeen, found: tuple[date, date, Walk]) -> str:
    asked = {"currency": seen.currency, "from": f"{found[0]:%Y-%m}", "to": f"{found[1]:%Y-%m}"}
    return f"{reverse('reviews:retention_csv')}?{urlencode(asked)}"


def _month(text: str) -> date | None:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return None


@require_safe
@requires("retention.view", staff=True)
def retention_file(request: HttpRequest) -> HttpResponse:
    """The walk of every closed month by account, to the cent; or that between two months that are asked for."""
    seen = retention_seen(viewer_of(request), timezone.now(), request.GET.get("currency", ""))
    first, last = _month(request.GET.get("from", "")), _month(request.GET.get("to", ""))
    found = seen.walk_between(first, last) if first and last else None
    if found:
        name = f"walk-{seen.currency}-{found[0]:%Y-%m}-{found[1]:%Y-%m}.csv"
        return download(walk_csv(seen, *found), name)
    return download(retention_csv(seen), f"retention-{seen.currency}-{seen.until.isoformat()}.csv")


@require_safe
@requires("retention.view", staff=True)
def rolling_file(request: HttpRequest) -> HttpResponse:
    """Retention at the end of each month, every way that it is counted."""
    seen = retention_seen(viewer_of(request), timezone.now(), request.GET.get("currency", ""))
    return download(rolling_csv(seen), f"retention-months-{seen.currency}-{seen.until.isoformat()}.csv")


@require_safe
@requires("book.view", staff=True)
def renewal_board(request: HttpRequest) -> HttpResponse:
    """Renewals and run-outs of the next 180 days."""
    viewer, now = viewer_of(request), timezone.now()
    everything = renewals(viewer, now)
    asked = {name: request.GET.get(name, "") for name in ("flag", "owner", "kind", "call")}
    lines = [line for line in everything if _fits(line, asked, viewer.user_id)]
    context = {
        "page": Paginator(lines, PAGE_SIZE).get_page(request.GET.get("page")),
        "total": len(everything),
        "disagree": sum(line.disagrees for line in everything),
        "missing": sum(line.opinion is None for line in everything),
        **asked,
        "rest": urlencode({name: value for name, value in asked.items() if value and name != "flag"}),
        "owners": sorted({line.account.csm for line in everything if line.account.csm}, key=str),
        "kinds": KINDS,
        "calls": RenewalCall.Opinion.choices,
        "ahead": AHEAD_DAYS,
        "may_call": can(viewer, "book.edit"),
    }
    return render(request, "reviews/renewals.html", context)


def _fits(line: RenewalLine, asked: dict[str, str], me: UUID | None) -> bool:
    """Whether a date fits the board's filters; "" is any."""
    owner = str(me) if asked["owner"] == "me" else asked["owner"]
    return (
        (not owner or str(line.account.csm_id) == owner)
        and (asked["kind"] not in KINDS or line.kind == asked["kind"])
        and (asked["call"] not in RenewalCall.Opinion.values or line.call.opinion == asked["call"])
        and (asked["flag"] != "disagree" or line.disagrees)
        and (asked["flag"] != "missing" or line.opinion is None)
    )


@require_safe
@requires("book.view", staff=True)
def renewals_calendar(request: HttpRequest) -> HttpResponse:
    """The dates as a calendar file."""
    now = timezone.now()
    content = renewals_ics(renewals(viewer_of(request), now), request.build_absolute_uri("/"), now)
    headers = {"Content-Disposition": 'attachment; filename="renewals.ics"'}
    return HttpResponse(content, content_type="text/calendar; charset=utf-8", headers=headers)


@require_safe
@requires("book.view", staff=True)
def renewals_file(request: HttpRequest) -> HttpResponse:
    """The dates as a file."""
    now = timezone.now()
    return download(renewals_csv(renewals(viewer_of(request), now)), f"renewals-{now.date().isoformat()}.csv")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("book.edit", staff=True)
def renewal(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Say what becomes of one renewal, beside what the data says and what was said before."""
    viewer, now = viewer_of(request), timezone.now()
    line = _line(request, account_id)
    form = OpinionForm(request.POST or None, initial={"opinion": line.human or line.call.opinion})
    if form.is_bound and form.is_valid():
        said = form.cleaned_data
        try:
            acting.give_opinion(
                viewer, line.account, line.term_ends_on, said["opinion"], said["reason"], now,
                is_final=said["is_final"], automated=line.call.opinion,
            )  # fmt: skip
        except ValidationError as problem:
            form.add_error(None, problem)
        else:
            messages.success(request, f"Your call on {line.account.name} is kept.")
            return redirect("reviews:renewals")
    before = RenewalCall.objects.visible_to(viewer).filter(account=line.account).select_related("by").order_by("-at")
    context = {
        "line": line,
        "form": form,
        "before": before[:20],
        "account": line.account,
        "may_size": can(viewer, "scenario.edit"),
    }
    return render(request, "reviews/renewal.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("retention.view", staff=True)
def evidence_list(request: HttpRequest) -> HttpResponse:
    """Why accounts spend less: what was written down, and what waits for somebody else's approval."""
    viewer = viewer_of(request)
    may_edit = can(viewer, "retention.edit")
    accounts = Account.objects.visible_to(viewer).order_by("name")
    form = EvidenceForm(request.POST if request.method == "POST" and may_edit else None, accounts=accounts)
    if form.is_bound and form.is_valid():
        said = form.cleaned_data
        try:
            acting.add_evidence(
                viewer, said["account"], said["kind"], said["starts_on"], said["ends_on"], said["amount_a_month"],
                said["note"],
            )  # fmt: skip
        except ValidationError as problem:
            form.add_error(None, problem.messages)
        else:
            messages.success(request, "It counts once somebody else approves it.")
            return redirect("reviews:evidence")
    context = {"rows": evidence(viewer), "form": form, "may_edit": may_edit, "me": viewer.user_id}
    return render(request, "reviews/evidence.html", context, status=422 if form.errors else 200)


@require_POST
@requires("retention.edit", staff=True)
def evidence_decide(request: HttpRequest, evidence_id: UUID) -> HttpResponse:
    """Approve what somebody else entered, or take back what is not approved."""
    viewer = viewer_of(request)
    try:
        if request.POST.get("do") == "withdraw":
            acting.withdraw_evidence(viewer, evidence_id)
            messages.success(request, "It is taken back.")
        else:
            acting.approve_evidence(viewer, evidence_id, timezone.now())
            messages.success(request, "Approved: it counts from now on.")
    except LossEvidence.DoesNotExist:
        raise Http404 from None
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    return redirect("reviews:evidence")


def _line(request: HttpRequest, account_id: UUID) -> RenewalLine:
    viewer = viewer_of(request)
    account = get_object_or_404(Account.objects.visible_to(viewer), pk=account_id)
    found = next((line for line in renewals(viewer, timezone.now(), 3660) if line.account.pk == account.pk), None)
    if found is None:
        raise Http404("This account has no term that ends.")
    return found


def _year_ago(today: date) -> datetime:
    first = add_months(today.replace(day=1), -12)
    return datetime(first.year, first.month, 1, tzinfo=UTC)
