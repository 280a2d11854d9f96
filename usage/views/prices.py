"""Prices: what each meter's unit costs, for whom, from when."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import viewer_of
from accounts.models import Account, Organization
from accounts.permissions import can, requires
from consumption_cs.lib.csv_files import MAX_BYTES, CsvProblem
from consumption_cs.lib.tenancy import Viewer
from usage.actions.price_import import OPTIONAL, REQUIRED, PriceImport, import_prices, read_prices
from usage.actions.prices import PriceTaken, add_prices, remove_price
from usage.forms import PriceForm, UploadForm
from usage.models import Price
from usage.reports.prices import Rerated, exact_price, price_list, rerated_by, today_of

LINES_SHOWN = 100
PREVIEWED = 200
EXAMPLE = """meter,account,currency,unit_price,effective_on
api.calls,,USD,0.002,2026-01-01
api.calls,acme,USD,0.0015,2026-03-01"""
MOST_CHOICES = 500


@require_safe
@requires("price.view")
def prices(request: HttpRequest) -> HttpResponse:
    """Every meter's prices: in force, ahead and past."""
    viewer = viewer_of(request)
    words = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    with_past = request.GET.get("show") != "now"
    today = today_of(_organization(viewer), timezone.now())
    found = price_list(viewer, today, words, with_past=with_past)
    flat = [(one, line) for one in found for line in (*one.lines,) or (None,)]
    page = Paginator(flat, LINES_SHOWN).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "unpriced": [one.meter for one in found if not one.is_priced and one.meter.is_active],
        "words": words,
        "with_past": with_past,
        "may_manage": can(viewer, "price.manage"),
        "total": sum(len(one.lines) for one in found),
        "has_meters": bool(found) or bool(words),
    }
    return render(request, "usage/prices.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("price.manage")
def price_new(request: HttpRequest) -> HttpResponse:
    """Add a price; one from a day in the past first says which days it rates again."""
    viewer, organization = viewer_of(request), _organization(viewer_of(request))
    today = today_of(organization, timezone.now())
    start = {"meter": request.GET.get("meter"), "account": request.GET.get("account"), "effective_on": today}
    data = request.POST if request.method == "POST" else None
    form = PriceForm(data, viewer=viewer, organization=organization, initial=start)
    rerated: Rerated | None = None
    if data is not None and form.is_valid():
        new = form.new_price
        rerated = rerated_by(viewer, new.meter, new.account, new.currency, new.effective_on)
        told = f"{new.meter.pk} {new.account and new.account.pk} {new.effective_on} {new.unit_price} {new.currency}"
        if not rerated.days or form.cleaned_data["confirmed"] == told:
            return _added(request, viewer, form)
        form.data = data.copy()
        form.data["confirmed"] = told
    context = {
        "form": form,
        "rerated": rerated,
        "accounts": Account.objects.visible_to(viewer).order_by("name")[:MOST_CHOICES],
        "today": today,
    }
    return render(request, "usage/price_form.html", context, status=422 if form.errors else 200)


def _added(request: HttpRequest, viewer: Viewer, form: PriceForm) -> HttpResponse:
    new = form.new_price
    try:
        days = add_prices(viewer, [new])
    except PriceTaken as taken:
        messages.error(request, str(taken))
        return redirect("usage:price_new")
    text = exact_price(new.unit_price, new.currency)
    messages.success(
        request, f"{new.meter.name} costs {text} a {new.meter.unit} from {new.effective_on}.{_again(days)}"
    )
    return redirect("usage:prices")


@require_POST
@requires("price.manage")
def price_remove(request: HttpRequest, price_id: UUID) -> HttpResponse:
    """Take a price back; what it rated is rated again without it."""
    viewer = viewer_of(request)
    price = Price.objects.visible_to(viewer).select_related("meter", "account").filter(pk=price_id).first()
    if price is None:
        raise Http404
    days = remove_price(viewer, price)
    messages.success(request, f"The price of {price.meter.name} from {price.effective_on} is gone.{_again(days)}")
    return redirect("usage:prices")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("price.manage")
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
    return render(request, "usage/price_import.html", context)


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
    messages.success(request, f"{count:,} price{'' if count == 1 else 's'} imported.{_again(days)}")
    return redirect("usage:prices")


def _again(days: int) -> str:
    if not days:
        return ""
    return f" {days:,} account day{' is' if days == 1 else 's are'} being rated again; pages follow in seconds."


def _organization(viewer: Viewer) -> Organization:
    return Organization.objects.get(pk=viewer.organization_id)
