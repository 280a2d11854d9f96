"""Invoices of many closed periods from a CSV file."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from accounts.http import viewer_of
from accounts.permissions import requires
from budgets.actions.invoices import OPTIONAL, REQUIRED, enter_invoices, read_invoices
from budgets.views.costs import uploaded
from budgets.views.finance import finance_page
from consumption_cs.lib.csv_files import CsvProblem
from consumption_cs.lib.display import counted
from usage.forms import UploadForm

PREVIEWED = 200
EXAMPLE = """account,period_start,amount,number,currency
northwind,2026-10-01,8240.00,INV-2026-1041,USD
globex,2026-10-15,1200.50,INV-2026-1042,"""


@require_http_methods(["GET", "HEAD", "POST"])
@requires("period.close", staff=True)
def invoice_import(request: HttpRequest) -> HttpResponse:
    """Upload a CSV, look at what it would enter, then store all of it or nothing."""
    viewer, template = viewer_of(request), "budgets/invoice_import.html"
    context: dict[str, Any] = {"form": UploadForm(), "required": REQUIRED, "optional": OPTIONAL, "example": EXAMPLE}
    if request.method != "POST":
        return finance_page(request, template, context)
    content = uploaded(request)
    if content is None:
        context["form"] = UploadForm(request.POST, request.FILES)
        return finance_page(request, template, context, status=422)
    try:
        checked = read_invoices(viewer, content)
    except CsvProblem as problem:
        return finance_page(request, template, context | {"problem": str(problem)}, status=422)
    if "content" in request.POST and checked.new and not checked.wrong:
        count = enter_invoices(viewer, checked.new)
        messages.success(request, f"{counted(count, 'invoice')} entered.")
        return redirect("budgets:reconciliation")
    shown = (checked.wrong or checked.lines)[:PREVIEWED]
    context |= {"checked": checked, "shown": shown, "content": content.decode("utf-8-sig"), "has_preview": True}
    return finance_page(request, template, context)
