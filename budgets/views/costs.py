"""Vendor costs: what a unit of each meter costs the vendor, for whom, from when. Never for a customer."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from budgets.views.finance import finance_page, organization_of
from consumption_cs.lib.csv_files import MAX_BYTES, CsvProblem
from consumption_cs.lib.tenancy import Viewer
from usage.actions.vendor_cost_import import OPTIONAL, REQUIRED, CostImport, import_costs, read_costs
from usage.actions.vendor_costs import CostTaken, add_costs, remove_cost
from usage.calc.price_text import exact_price
from usage.forms import UploadForm
from usage.forms.vendor_costs import VendorCostForm
from usage.models import Meter, VendorCost, Workflow
from usage.reports.rate_cards import today_of
from usage.reports.vendor_costs import cost_list

LINES_SHOWN = 100
PREVIEWED = 200
MOST_CHOICES = 500
EXAMPLE = """meter,account,workflow,currency,unit_cost,effective_on
api.calls,,,USD,0.0008,2026-01-01
api.calls,acme,,USD,0.0006,2026-03-01
api.calls,acme,invoice-ocr,USD,0.0011,2026-03-01"""


@require_safe
@requires("margin.view", staff=True)
def costs(request: HttpRequest) -> HttpResponse:
    """Every meter's costs: in force, ahead and past."""
    viewer = viewer_of(request)
    words = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    with_past = request.GET.get("show") != "now"
    today = today_of(organization_of(viewer), timezone.now())
    found = cost_list(viewer, today, words, with_past=with_past)
    flat = [(one, line) for one in found for line in (*one.lines,) or (None,)]
    context = {
        "page": Paginator(flat, LINES_SHOWN).get_page(request.GET.get("page")),
        "unknown": [one.meter for one in found if not one.is_known and one.meter.is_active],
        "words": words,
        "with_past": with_past,
        "may_manage": can(viewer, "cost.manage"),
        "total": sum(len(one.lines) for one in found),
        "has_meters": bool(found) or bool(words),
    }
    return finance_page(request, "budgets/costs.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("cost.manage", staff=True)
def cost_new(request: HttpRequest) -> HttpResponse:
    """Add a cost; the margins of all days from then on follow at once."""
    viewer, organization = viewer_of(request), organization_of(viewer_of(request))
    data = request.POST if request.method == "POST" else None
    form = VendorCostForm(data, viewer=viewer, organization=organization, initial=_start(request, viewer))
    if data is not None and form.is_valid():
        return _added(request, viewer, form)
    context = {
        "form": form,
        "accounts": Account.objects.visible_to(viewer).order_by("name")[:MOST_CHOICES],
        "workflows": _workflows(viewer, form),
    }
    return finance_page(request, "budgets/cost_form.html", context, status=422 if form.errors else 200)


@require_POST
@requires("cost.manage", staff=True)
def cost_remove(request: HttpRequest, cost_id: UUID) -> HttpResponse:
    """Take a cost back; margins follow at once."""
    viewer = viewer_of(request)
    known = VendorCost.objects.visible_to(viewer).select_related("meter", "account", "workflow")
    cost = known.filter(pk=cost_id).first()
    if cost is None:
        raise Http404
    remove_cost(viewer, cost)
    messages.success(request, f"The cost of {cost.meter.name} from {cost.effective_on} is gone.")
    return redirect("budgets:costs")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("cost.manage", staff=True)
def cost_import(request: HttpRequest) -> HttpResponse:
    """Upload a CSV, look at what it would do, then store all of it or nothing."""
    viewer = viewer_of(request)
    template = "budgets/cost_import.html"
    context: dict[str, Any] = {"form": UploadForm(), "required": REQUIRED, "optional": OPTIONAL, "example": EXAMPLE}
    if request.method != "POST":
        return finance_page(request, template, context)
    content = uploaded(request)
    if content is None:
        context["form"] = UploadForm(request.POST, request.FILES)
        return finance_page(request, template, context, status=422)
    try:
        checked = read_costs(viewer, content)
    except CsvProblem as problem:
        return finance_page(request, template, context | {"problem": str(problem)}, status=422)
    if "content" in request.POST and checked.new and not checked.wrong:
        return _imported(request, viewer, checked)
    shown = (checked.wrong or checked.lines)[:PREVIEWED]
    context |= {"checked": checked, "shown": shown, "content": content.decode("utf-8-sig"), "has_preview": True}
    return finance_page(request, template, context)


def uploaded(request: HttpRequest) -> bytes | None:
    """The file, or its text that came back with the confirmation; read no further than a file may be long."""
    if "content" in request.POST:
        return request.POST["content"].encode()
    file = request.FILES.get("file")
    return file.read(MAX_BYTES + 1) if file else None


def _start(request: HttpRequest, viewer: Viewer) -> dict[str, Any]:
    """What a link that says which cost is missing fills in."""
    get = request.GET.get
    names = {name: get(name) for name in ("meter", "account", "workflow", "currency") if get(name)}
    return {"effective_on": get("from") or today_of(organization_of(viewer), timezone.now())} | names


def _workflows(viewer: Viewer, form: VendorCostForm) -> list[Workflow]:
    key = str(form["account"].value() or "").replace("\x00", "")
    rows = Workflow.objects.visible_to(viewer).filter(account__key=key) if key else Workflow.objects.none()
    return list(rows.order_by("name")[:MOST_CHOICES])


def _added(request: HttpRequest, viewer: Viewer, form: VendorCostForm) -> HttpResponse:
    new = form.new_cost
    try:
        add_costs(viewer, [new])
    except CostTaken as taken:
        messages.error(request, str(taken))
        return redirect("budgets:cost_new")
    meter: Meter = new.meter
    text = exact_price(new.unit_cost, new.currency)
    messages.success(request, f"A {meter.unit} of {meter.name} costs you {text} from {new.effective_on}.")
    return redirect("budgets:costs")


def _imported(request: HttpRequest, viewer: Viewer, checked: CostImport) -> HttpResponse:
    try:
        count = import_costs(viewer, checked)
    except CostTaken as taken:
        messages.error(request, f"Nothing was imported: {taken}")
        return redirect("budgets:cost_import")
    messages.success(request, f"{count:,} cost{'' if count == 1 else 's'} imported. Margins follow at once.")
    return redirect("budgets:costs")
