"""The run-out calendar of an organization, and the calendar feed."""

from datetime import date

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.http import viewer_of
from accounts.models import Organization
from accounts.permissions import can, requires
from budgets.actions.feeds import create_feed, revoke_feed, viewer_of_feed
from budgets.exports.run_outs import calendar, run_outs_csv
from budgets.models import CalendarFeed
from budgets.reports.run_outs import STATES, RunOutLine, run_outs
from consumption_cs.lib.periods import day_of, zone_of
from usage.views.overview import download

PAGE_SIZE = 50
_SHOWN_ONCE = "calendar_feed_token"


@require_safe
@requires("forecast.view", staff=True)
def organization_run_outs(request: HttpRequest) -> HttpResponse:
    """All accounts by when approval of a top-up must start."""
    viewer = viewer_of(request)
    lines = _lines(request)
    words, state = _asked(request)
    everything = lines if not (words or state) else run_outs(viewer, _today(request))
    urgent = [line for line in everything if line.state in ("exhausted", "late", "soon")]
    token = request.session.pop(_SHOWN_ONCE, "")
    context = {
        "page": Paginator(lines, PAGE_SIZE).get_page(request.GET.get("page")),
        "lines": lines,
        "urgent": urgent,
        "total": len(everything),
        "words": words,
        "state": state,
        "states": STATES.items(),
        "feed": CalendarFeed.objects.visible_to(viewer)
        .filter(account=None, user_id=viewer.user_id, revoked_at=None)
        .first(),
        "feed_url": settings.SITE_URL + reverse("budgets:feed", args=[token]) if token else "",
        "may_feed": can(viewer, "feed.manage"),
    }
    return render(request, "budgets/run_outs.html", context)


@require_safe
@requires("forecast.view", staff=True)
def organization_run_outs_csv(request: HttpRequest) -> HttpResponse:
    return download(run_outs_csv(_lines(request)), f"run-outs-{_today(request).isoformat()}.csv")


@require_POST
@requires("feed.manage", staff=True)
def feed_new(request: HttpRequest) -> HttpResponse:
    """Make the reader's own secret address; the page that follows shows it once."""
    _, token = create_feed(viewer_of(request), None, timezone.now())
    request.session[_SHOWN_ONCE] = token
    messages.success(request, "Your calendar address is made. It is shown once.")
    return redirect("budgets:run_outs")


@require_POST
@requires("feed.manage", staff=True)
def feed_revoke(request: HttpRequest) -> HttpResponse:
    """End the reader's own addresses."""
    viewer = viewer_of(request)
    for feed in CalendarFeed.objects.visible_to(viewer).filter(user_id=viewer.user_id, account=None, revoked_at=None):
        revoke_feed(viewer, feed, timezone.now())
    messages.success(request, "Your calendar address is revoked: no program can read it any more.")
    return redirect("budgets:run_outs")


@require_safe
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """What a calendar program reads. The address is the credential; an unknown one and a revoked one look alike."""
    now = timezone.now()
    with transaction.atomic():
        found = viewer_of_feed(token, now)
        if found is None:
            raise Http404
        viewer, _ = found
        organization = Organization.objects.get(pk=viewer.organization_id)
        lines = run_outs(viewer, day_of(now, zone_of(organization.timezone)))
        body = calendar(lines, f"Run-out dates of {organization.name}", settings.SITE_URL, now)
    return HttpResponse(
        body,
        content_type="text/calendar; charset=utf-8",
        headers={"Content-Disposition": 'inline; filename="run-outs.ics"', "Cache-Control": "private, no-store"},
    )


def _lines(request: HttpRequest) -> list[RunOutLine]:
    return run_outs(viewer_of(request), _today(request), *_asked(request))


def _asked(request: HttpRequest) -> tuple[str, str]:
    state = request.GET.get("state", "")
    return request.GET.get("q", "").replace("\x00", "").strip()[:200], state if state in STATES else ""


def _today(request: HttpRequest) -> date:
    organization = Organization.objects.get(pk=viewer_of(request).organization_id)
    return day_of(timezone.now(), zone_of(organization.timezone))
