"""The burndown of an account: the same page and numbers for the vendor's staff and the customer."""

from datetime import date
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from budgets.charts.burndown import burndown_chart, moved_chart, period_chart
from budgets.exports.burndown import burndown_csv
from budgets.reports import burndown_words as words
from budgets.reports.burndown import Burndown, burndown
from budgets.reports.ledger import LedgerFilters, entries
from budgets.reports.scenarios import compared, scenarios_of
from usage.views.overview import download

LEDGER_LINES = 6


@require_safe
@requires("forecast.view")
def account_burndown(request: HttpRequest, account_id: object) -> HttpResponse:
    """When the money runs out, how sure that is, and what was known before."""
    seen = _seen(request)
    viewer, account = viewer_of(request), account_of(request)
    asof = f"?asof={seen.asof.isoformat()}" if seen.asof else ""
    text, tone = words.status(seen)
    planner_url = "" if seen.is_pay_as_you_go or seen.allowance else reverse("budgets:planner", args=[account.pk])
    csv_url = reverse("budgets:burndown_csv", args=[account.pk]) + asof
    more = ("Plan a top-up", planner_url) if planner_url else None
    played = compared(seen.run, list(scenarios_of(viewer, account)), seen.approval_days) if planner_url else []
    context = {
        "seen": seen,
        "account": account,
        "status": text,
        "tone": tone,
        "headline": words.headline(seen),
        "lead": words.lead(seen),
        "facts": words.facts(seen),
        "track": _track(seen),
        "chart": period_chart(viewer, seen, csv_url) if seen.is_pay_as_you_go else burndown_chart(seen, csv_url, more),
        "moved": moved_chart(seen),
        "moved_text": words.moved_text(seen),
        "stop": _stop(seen),
        "commits": _commits(seen),
        "ledger": entries(viewer, account, LedgerFilters()).lines[:LEDGER_LINES] if can(viewer, "money.view") else [],
        "played": played,
        "planner_url": planner_url,
        "may_plan": can(viewer, "scenario.edit"),
        "may_report": can(viewer, "report.create"),
        "reports_url": reverse("budgets:account_reports", args=[account.pk]),
    }
    return render(request, "budgets/burndown.html", context)


@require_safe
@requires("forecast.view")
def account_burndown_csv(request: HttpRequest, account_id: object) -> HttpResponse:
    seen = _seen(request)
    name = f"{seen.account.key}-burndown-{(seen.asof or seen.today).isoformat()}.csv"
    return download(burndown_csv(seen), name)


def _seen(request: HttpRequest) -> Burndown:
    return burndown(viewer_of(request), account_of(request), timezone.now(), _asof(request))


def _asof(request: HttpRequest) -> date | None:
    """Return the day in the address; one that cannot be read is as of now."""
    try:
        return date.fromisoformat(request.GET.get("asof", ""))
    except ValueError:
        return None


def _track(seen: Burndown) -> dict[str, object] | None:
    """The term as a bar of days: passed, most likely empty, its range, the end. None without a term."""
    if seen.term is None or seen.run is None or seen.run.remaining is None or seen.allowance:
        return None
    start, end = seen.term
    run, today = seen.run, seen.today
    now = seen.asof or today
    track: dict[str, object] = {
        "used": (now - start).days,
        "total": (end - start).days,
        "used_text": "Today" if seen.asof is None else words.short_day(now, today),
        "used_note": f"day {(now - start).days + 1} of {(end - start).days}",
        "total_text": words.short_day(end, today),
        "total_note": "term ends",
    }
    if seen.is_used_up:
        return track
    for name, day in (("projected", run.exhaust_p50), ("low", run.exhaust_p10), ("high", run.exhaust_p90 or end)):
        if day and run.exhaust_p50:
            track[name] = (day - start).days
    if run.exhaust_p50:
        track |= {"projected_text": words.short_day(run.exhaust_p50, today), "projected_note": "most likely empty"}
    return track


def _stop(seen: Burndown) -> int:
    """Return which stop of the slider is shown."""
    day = seen.run.as_of if seen.run else None
    return seen.stops.index(day) if day in seen.stops else max(len(seen.stops) - 1, 0)


def _commits(seen: Burndown) -> list[dict[str, object]]:
    """The run's commits in drawing order, with their dates as dates; of an allowance only what is there now."""
    rows = seen.run.commits if seen.run else []
    if seen.allowance and seen.run:
        rows = [row for row in rows if (row.get("starts_on") or "") <= seen.run.as_of.isoformat()]
    return [
        {"name": row["name"], "left": Decimal(repr(row["left"])), "expires": _date(row["expires_on"])}
        | {"empty": _date(row["empty_p50"])}
        for row in rows
        if row["left"] > 0 or seen.is_used_up
    ]


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
