"""Onboarding: from a key to the first billable event, who waits and for what, and how long cohorts take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import viewer_of
from accounts.permissions import requires
from consumption_cs.lib.display import counted, percent_text
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.onboarding import FirstValue, cohort_curve, median_days
from reviews.charts.onboarding import cohort_figure, range_text
from reviews.exports.onboarding import curve_csv, onboarding_csv
from reviews.reports.onboarding import STATES, STEPS, TONES, Start, starts
from reviews.views.headlines import pieces
from usage.reports.freshness import data_through
from usage.views.overview import download

PAGE_SIZE = 25
SHOWN = {"": "Who waits", "stalled": "Stalled", "all": "All accounts"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader chose: words, whose accounts, the month in which contracts began, and which accounts."""

    words: str
    owner: str
    month: str
    shown: str


@require_safe
@requires("book.view", staff=True)
def onboarding(request: HttpRequest) -> HttpResponse:
    """The funnel, the cohort's curve, and the accounts that wait, those that stalled first."""
    viewer, now, asked = viewer_of(request), timezone.now(), _asked(request)
    everybody = starts(viewer, now)
    group = _cohort(everybody, asked, viewer)
    lines = _shown(group, asked)
    firsts = _firsts(group)
    target = everybody[0].target if everybody else 0
    query = request.GET.urlencode()
    curve_url = reverse("reviews:onboarding_curve") + (f"?{query}" if query else "")
    page = Paginator(lines, PAGE_SIZE).get_page(request.GET.get("page"))
    stalled = [one for one in group if one.is_stalled and not one.has_not_begun]
    context = {
        "asked": asked,
        "everybody": everybody,
        "stalled": stalled,
        "waiting": [one for one in group if one.state in ("stalled", "soon", "waiting")],
        "headline": pieces(_headline(group, stalled, target)),
        "lead": _lead(group, firsts),
        "facts": _facts(firsts, target),
        "funnel": _funnel(group),
        "chart": cohort_figure(firsts, target, curve_url),
        "page": page,
        "rows": [(one, STATES[one.state], TONES.get(one.state, "none")) for one in page.object_list],
        "lines": lines,
        "choices": SHOWN.items(),
        "months": _months(everybody),
        "owners": _owners(everybody),
        "freshness": data_through(viewer, now),
    }
    return render(request, "reviews/onboarding.html", context)


@require_safe
@requires("book.view", staff=True)
def onboarding_file(request: HttpRequest) -> HttpResponse:
    """The accounts that the page shows, without pages."""
    viewer, now, asked = viewer_of(request), timezone.now(), _asked(request)
    lines = _shown(_cohort(starts(viewer, now), asked, viewer), asked)
    return download(onboarding_csv(lines), f"onboarding-{now:%Y-%m-%d}.csv")


@require_safe
@requires("book.view", staff=True)
def onboarding_curve(request: HttpRequest) -> HttpResponse:
    """The cohort's curve as a file."""
    viewer, now, asked = viewer_of(request), timezone.now(), _asked(request)
    return download(curve_csv(_firsts(_cohort(starts(viewer, now), asked, viewer))), f"cohort-{now:%Y-%m-%d}.csv")


def _asked(request: HttpRequest) -> Asked:
    get = request.GET.get
    owner, month, shown = get("owner") or "", get("month") or "", get("show") or ""
    return Asked(
        (get("q") or "").replace("\x00", "").strip()[:200],
        owner if owner in ("me", "none") or _is_id(owner) else "",
        month if _is_month(month) else "",
        shown if shown in SHOWN else "",
    )


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _is_month(text: str) -> bool:
    try:
        date.fromisoformat(f"{text}-01")
    except ValueError:
        return False
    return True


def _cohort(everybody: Iterable[Start], asked: Asked, viewer: Viewer) -> list[Start]:
    """The accounts that the figures are about: the curve and the funnel follow the filters, not the list's choice."""
    words = asked.words.lower().split()
    return [
        one
        for one in everybody
        if all(word in f"{one.account.name} {one.account.key}".lower() for word in words)
        and _is_owned(one, asked.owner, viewer)
        and (not asked.month or (one.contract_on is not None and f"{one.contract_on:%Y-%m}" == asked.month))
    ]


def _is_owned(one: Start, owner: str, viewer: Viewer) -> bool:
    owners = {pk for pk in (one.account.csm_id, one.account.field_cto_id) if pk}
    if owner == "me":
        return viewer.user_id in owners
    if owner == "none":
        return not owners
    return not owner or owner in map(str, owners)


def _shown(group: Sequence[Start], asked: Asked) -> list[Start]:
    if asked.shown == "all":
        return list(group)
    if asked.shown == "stalled":
        return [one for one in group if one.state == "stalled"]
    return [one for one in group if one.is_waiting]


def _firsts(group: Iterable[Start]) -> list[FirstValue]:
    """What the curve is made of: contracts that have begun, or use before they did."""
    return [one.first for one in group if one.first is not None and not one.has_not_begun]


def _headline(group: Sequence[Start], stalled: Sequence[Start], target: int) -> str:
    waiting = [one for one in group if one.state in ("stalled", "soon", "waiting")]
    if not group:
        return "No account fits."
    if not waiting:
        return "Nobody waits for a first billable event."
    if stalled:
        verb = "has" if len(stalled) == 1 else "have"
        return f"{counted(len(stalled), 'account')} {verb} stalled: no billable event within {target} days."
    return f"{counted(len(waiting), 'account')} {'waits' if len(waiting) == 1 else 'wait'} for a first billable event."


def _lead(group: Sequence[Start], firsts: Sequence[FirstValue]) -> str:
    longest = next((one for one in group if one.state in ("stalled", "soon", "waiting")), None)
    told = ""
    if longest is not None:
        told = f"{longest.account.name} has waited for {counted(longest.waiting or 0, 'day')}. {longest.why} "
    early = sum(one.days is not None and one.days < 0 for one in firsts)
    if early:
        verb = "counts" if early == 1 else "count"
        told += f"{counted(early, 'account')} used it before the contract began and {verb} as day 0."
    return told.strip()


def _facts(firsts: Sequence[FirstValue], target: int) -> list[dict[str, Any]]:
    if not firsts:
        return []
    median = median_days(firsts)
    reached = [step for step in cohort_curve(firsts) if step.day <= target]
    share = 1 - reached[-1].waiting if reached else 0.0
    note = f"95% range {range_text(reached[-1], 0)}" if reached and reached[-1].waiting else "nobody else waits"
    note = note if reached else "nobody has begun yet"
    waiting = sum(one.days is None for one in firsts)
    return [
        {"label": "Median time to first billable event", "value": counted(median, "day")}
        if median is not None
        else {"label": "Median time to first billable event", "value": "more than half still wait", "none": True},
        {
            "label": f"Begun by day {target}",
            "value": percent_text(share, places=0),
            "note": note,
        },
        {"label": "Target", "value": counted(target, "day"), "note": "from the start of the contract"},
        {"label": "In the cohort", "value": counted(len(firsts), "account"), "note": f"{waiting} still wait"},
    ]


def _funnel(group: Sequence[Start]) -> list[dict[str, Any]]:
    """How many reached each step, and how many of them stay there."""
    counts = [sum(one.step >= number for one in group) for number in range(1, len(STEPS) + 1)]
    whole = len(group)
    return [
        {
            "name": name,
            "count": count,
            "share": count / whole if whole else 0,
            "stay": sum(one.step == number for one in group) if number < len(STEPS) else 0,
        }
        for number, (name, count) in enumerate(zip(STEPS, counts, strict=True), 1)
    ]


def _months(everybody: Iterable[Start]) -> list[tuple[str, str]]:
    found = sorted({one.contract_on.replace(day=1) for one in everybody if one.contract_on}, reverse=True)
    return [(f"{month:%Y-%m}", f"{month:%B %Y}") for month in found]


def _owners(everybody: Iterable[Start]) -> list[tuple[str, str]]:
    people = {one for start in everybody for one in (start.account.csm, start.account.field_cto) if one}
    return sorted(((str(one.pk), one.name or one.email) for one in people), key=lambda one: one[1].lower())
