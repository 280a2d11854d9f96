"""Meters: which events count, and how."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from consumption_cs.lib.tenancy import Viewer
from usage.actions.meters import MeterTaken, has_counted, save_meter
from usage.forms import FilterFormSet, MeterForm, write_values
from usage.models import Meter
from usage.reports.first_event import sample_of
from usage.reports.meters import meter_list


@require_safe
@requires("meter.view")
def meters(request: HttpRequest) -> HttpResponse:
    """Every meter with what it read lately and an event that it would count."""
    viewer = viewer_of(request)
    subject = _subject(viewer)
    lines = meter_list(viewer, timezone.now().date())
    for line in lines:
        line.sample = sample_of(line.meter, subject)
    return render(request, "usage/meters.html", {"lines": lines, "may_manage": can(viewer, "meter.manage")})


@require_http_methods(["GET", "HEAD", "POST"])
@requires("meter.manage")
def meter_new(request: HttpRequest) -> HttpResponse:
    """Make a meter; `event_type` in the address fills that field."""
    event_type = request.GET.get("event_type", "")[:200]
    name = event_type.replace(".", " ").replace("_", " ").strip().capitalize()[:100]
    start = {"event_type": event_type, "key": event_type, "name": name} if event_type else {}
    return _edit(request, Meter(), start)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("meter.manage")
def meter_edit(request: HttpRequest, meter_id: UUID) -> HttpResponse:
    """Change a meter; what its bills rest on is locked once it has counted events."""
    meter = Meter.objects.visible_to(viewer_of(request)).filter(pk=meter_id).first()
    if meter is None:
        raise Http404
    return _edit(request, meter, {})


def _edit(request: HttpRequest, meter: Meter, start: dict[str, str]) -> HttpResponse:
    viewer = viewer_of(request)
    is_new = meter._state.adding
    is_locked = not is_new and has_counted(viewer, meter)
    data = request.POST if request.method == "POST" else None
    form = MeterForm(data, instance=meter, viewer=viewer, is_locked=is_locked, initial=start)
    rows = [{"name": name, "values": write_values(values)} for name, values in meter.filters.items()]
    filters = FilterFormSet(data, initial=rows, prefix="filters")
    if data is not None and form.is_valid() and filters.is_valid():
        try:
            return _saved(request, viewer, form, filters)
        except MeterTaken as taken:
            form.add_error(None, str(taken))
    context: dict[str, Any] = {
        "form": form,
        "filters": filters,
        "is_locked": is_locked,
        "is_new": is_new,
        "name": "" if is_new else Meter.objects.visible_to(viewer).get(pk=meter.pk).name,
        "sample": "" if is_new or form.errors else sample_of(meter, _subject(viewer)),
    }
    return render(request, "usage/meter_form.html", context, status=422 if data is not None else 200)


def _saved(request: HttpRequest, viewer: Viewer, form: MeterForm, filters: Any) -> HttpResponse:
    meter = form.save(commit=False)
    meter.filters = filters.as_filters()
    save_meter(viewer, meter)
    messages.success(request, f"Meter “{meter.name}” saved. It reads the events that come from now on.")
    return redirect("usage:meters")


def _subject(viewer: Viewer) -> str:
    account = Account.objects.visible_to(viewer).order_by("created_at", "pk").first()
    return account.key if account else "your-account-key"
