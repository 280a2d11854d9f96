"""Prices at once: one per unit, or many from a CSV file. Each makes and publishes a version of its own."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.http import viewer_of
from accounts.models import Account, Organization
from accounts.permissions import requires
from consumption_cs.lib.csv_files import MAX_BYTES, CsvProblem
from consumption_cs.lib.tenancy import Viewer
from usage.actions.price_import import OPTIONAL, REQUIRED, PriceImport, import_prices, read_prices
from usage.actions.publishing import NewPrice, PriceTaken, add_prices
from usage.actions.shadow import preview_of
from usage.calc.price_text import price_words
from usage.forms import PriceForm, UploadForm
from usage.reports.drafts import rerated_by
from usage.reports.effects import Effect, read_effect
from usage.reports.rate_cards import today_of
from usage.views.drafts import again_words
from usage.views.rate_cards import MOST_CHOICES

PREVIEWED = 200
MOVERS_SHOWN = 5
EXAMPLE = """meter,account,currency,unit_price,effective_on
api.calls,,USD,0.002,2026-01-01
api.calls,northwind,,0.0015,2026-02-01"""


@require_http_methods(["GET", "HEAD", "POST"])
@requires("price.manage", staff=True)
def price_new(request: HttpRequest) -> HttpResponse:
    """Publish one price per unit; what it does is shown first, and what is shown has to be confirmed."""
    viewer, now = viewer_of(request), timezone.now()
    organization = Organization.objects.get(pk=viewer.organization_id)
    start = {
        "meter": request.GET.get("meter"),
        "account": request.GET.get("account"),
        "effective_on": today_of(organization, now),
    }
    if request.GET.get("currency"):
        start["currency"] = request.GET["currency"][:3]
    data = request.POST if request.method == "POST" else None
    form = PriceForm(data, viewer=viewer, organization=organization, initial=start)
    context: dict[str, Any] = {"form": form}
    if data is not None and form.is_valid():
        told = _told(form.new_price)
        if form.cleaned_data["confirmed"] == told:
            return _added(request, viewer, form.new_price)
        form.data = data.copy()
        form.data["confirmed"] = told
        context |= _preview(viewer, form.new_price, now)
    context["accounts"] = Account.objects.visible_to(viewer).order_by("name")[:MOST_CHOICES]
    return render(request, "usage/price_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("price.manage", staff=True)
def price_import(request: HttpRequest) -> HttpResponse:
    """Upload a CSV, look at what it would do, then store all of it or nothing."""
    viewer = viewer_of(request)
    context: dict[str, Any] = {"form": UploadForm(), "required": REQUIRED, "optional": OPTIONAL, "example": EXAMPLE}
    if request.method == "POST":
        content = _uploaded(request)
        if content is None:
            context["form"] = UploadForm(request.POST, request.FILES)
            return render(request, "usage/price_import.html", context, status=422)
        try:
            checked = read_prices(viewer, content)
        except CsvProblem as problem:
            return render(request, "usage/price_import.html", context | {"problem": str(problem)}, status=422)
        if "content" in request.POST and not checked.wrong:
            return _imported(request, viewer, checked)
        shown = (checked.wrong or checked.lines)[:PREVIEWED]
        context |= {"checked": checked, "shown": shown, "content": content.decode("utf-8-sig"), "has_preview": True}
        if checked.new and not checked.wrong:
            context["effects"] = _effects(viewer, checked.new, timezone.now())
    return render(request, "usage/price_import.html", context)


def _told(new: NewPrice) -> str:
    """What a confirmation is for: another price, day or customer needs one of its own."""
    return f"{new.meter.pk} {new.account and new.account.pk} {new.effective_on} {new.price} {new.currency}"


def _preview(viewer: Viewer, new: NewPrice, now: datetime) -> dict[str, Any]:
    return {
        "rerated": rerated_by(viewer, new.meter, new.account, new.currency, new.effective_on),
        "effect": _effects(viewer, [new], now)[0],
        "movers": MOVERS_SHOWN,
    }


def _effects(viewer: Viewer, new: list[NewPrice], now: datetime) -> list[Effect]:
    """What the prices do to the last month, for each currency."""
    currencies = sorted({one.currency for one in new})
    found = [preview_of(viewer, [one for one in new if one.currency == currency], now) for currency in currencies]
    return [read_effect(shadow) for shadow in found]


def _added(request: HttpRequest, viewer: Viewer, new: NewPrice) -> HttpResponse:
    try:
        days = add_prices(viewer, [new])
    except PriceTaken as taken:
        messages.error(request, str(taken))
        return redirect("usage:price_new")
    text = price_words(new.terms, new.currency, new.meter.unit)
    messages.success(request, f"{new.meter.name} costs {text} from {new.effective_on}.{again_words(days)}")
    return redirect("usage:rate_cards")


def _uploaded(request: HttpRequest) -> bytes | None:
    """The file, or its text that came back with the confirmation; read no further than a file may be long."""
    if "content" in request.POST:
        return request.POST["content"].encode()
    file = request.FILES.get("file")
    return file.read(MAX_BYTES + 1) if file else None


def _imported(request: HttpRequest, viewer: Viewer, checked: PriceImport) -> HttpResponse:
    try:
        days = import_prices(viewer, checked)
    except PriceTaken as taken:
        messages.error(request, f"Nothing was imported: {taken}")
        return redirect("usage:price_import")
    count = len(checked.new)
    messages.success(request, f"{count:,} price{'' if count == 1 else 's'} imported.{again_words(days)}")
    return redirect("usage:rate_cards")
