"""How good alerts are, for staff: the figures, their definitions and their trend."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import viewer_of
from accounts.permissions import requires
from budgets.calc.alert_quality import Figure, Quality
from budgets.reports.alert_quality import DEFINITIONS, MonthQuality, alert_quality
from consumption_cs.lib.csv_files import write_rows
from consumption_cs.lib.display import counted, percent_text, quantity_text
from usage.views.overview import download


def _shown(name: str, value: Decimal) -> str:
    if name == "Precision":
        return percent_text(value, places=0)
    if name == "Bill shocks":
        return f"{quantity_text(value, places=1)}‰"
    if name == "Alerts a week":
        return quantity_text(value, places=2)
    return f"{quantity_text(value * 60, places=0)} min" if value < 2 else f"{quantity_text(value, places=1)} h"


_CASES = ("invoice", "judged alert", "warning", "acknowledged alert", "alert")


def _cells(found: Quality) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "value": figure.reason if figure.value is None else _shown(label, figure.value),
            "note": "" if figure.value is None else f"of {counted(figure.count, case)}",
            "none": figure.value is None,
        }
        for (label, _), figure, case in zip(DEFINITIONS, found.figures(), _CASES, strict=True)
    ]


@require_safe
@requires("quality.view", staff=True)
def quality(request: HttpRequest) -> HttpResponse:
    """The last six months together, and month by month."""
    found, months = alert_quality(viewer_of(request), timezone.now())
    context = {
        "found": found,
        "facts": _cells(found),
        "definitions": DEFINITIONS,
        "months": [(one, _cells(one.found)) for one in months],
    }
    return render(request, "budgets/alert_quality.html", context)


@require_safe
@requires("quality.view", staff=True)
def quality_csv(request: HttpRequest) -> HttpResponse:
    """The same by month; what is not known is empty."""
    _, months = alert_quality(viewer_of(request), timezone.now())
    return download(write_rows(_HEADER, _rows(months)), "alert-quality.csv")


_COLUMNS = ("bill_shock_per_mille", "precision", "lead_hours", "acknowledge_hours", "alerts_per_account_week")

_HEADER = ("month", *(name for column in _COLUMNS for name in (column, f"{column}_count")))


def _rows(months: list[MonthQuality]) -> Iterator[list[str]]:
    for one in months:
        yield [f"{one.month:%Y-%m}", *(text for figure in one.found.figures() for text in _texts(figure))]


def _texts(figure: Figure) -> tuple[str, str]:
    return ("" if figure.value is None else f"{figure.value:.4f}", str(figure.count))
