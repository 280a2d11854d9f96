"""One local day of an account: how its amount came to be, down to the events and on to what was drawn for it."""

from datetime import date
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from budgets.reports.ledger import LedgerFilters, LedgerLine, entries
from consumption_cs.lib.periods import DAY
from consumption_cs.lib.tenancy import Viewer
from usage.reports.periods import today_of
from usage.reports.rated_day import RatedLine, adjustments_on, explain, rated_lines, total_of

DRAWS_SHOWN = 100


@require_safe
@requires("money.view")
def rated(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Quantities, price, tiers and rounding of a day, one meter (and cell) at a time."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    today = today_of(account, now)
    day = _day(request.GET.get("day")) or today
    lines = rated_lines(viewer, account, day)
    adjustments = adjustments_on(viewer, account, day)
    chosen = _chosen(lines, request.GET.get("meter"), request.GET.get("cell"))
    filters = LedgerFilters(from_day=day, to_day=day + DAY)
    draws = _draws(entries(viewer, account, filters, page_size=DRAWS_SHOWN).lines, chosen)
    context = {
        "day": day,
        "today": today,
        "earlier": day - DAY,
        "later": day + DAY if day < today else None,
        "lines": lines,
        "adjustments": adjustments,
        "total": total_of(lines, adjustments),
        "unpriced": any(line.row.amount is None for line in lines),
        "chosen": chosen,
        "explained": explain(viewer, account, chosen) if chosen else None,
        "draws": draws,
        "may_see_events": _may_see_events(viewer),
    }
    return render(request, "budgets/rated.html", context)


def _may_see_events(viewer: Viewer) -> bool:
    return can(viewer, "event.view")


def _chosen(lines: list[RatedLine], meter: str | None, cell: str | None) -> RatedLine | None:
    """The line that the address names, else the greatest."""
    for line in lines:
        if str(line.row.meter_id) == meter and (cell is None or line.row.cell == cell):
            return line
    return lines[0] if lines else None


def _draws(lines: tuple[LedgerLine, ...], chosen: RatedLine | None) -> list[LedgerLine]:
    """What was drawn or is owed for the chosen meter on that day."""
    return [line for line in lines if chosen and line.meter_id == chosen.row.meter_id]


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2099 else None
