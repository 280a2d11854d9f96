"""How far forecasts can be trusted, for the vendor's staff."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import viewer_of
from accounts.permissions import requires
from budgets.charts.accuracy import coverage_chart
from budgets.reports.forecast_accuracy import accuracy_report


@require_safe
@requires("forecast.view", staff=True)
def accuracy(request: HttpRequest) -> HttpResponse:
    """Error, bias and coverage by horizon and segment, and of the run-out date."""
    found = accuracy_report(viewer_of(request), timezone.now())
    return render(request, "budgets/accuracy.html", {"found": found, "chart": coverage_chart(found)})
