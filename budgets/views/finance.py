"""The frame of the finance pages: their own row of tabs, each shown to those who may open it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, resolve, reverse
from django.views.decorators.http import require_safe

from accounts.http import viewer_of
from accounts.models import Organization
from accounts.permissions import can, requires
from consumption_cs.lib.tenancy import Viewer

PAGES = (
    ("Reconciliation", "budgets:reconciliation"),
    ("Billing periods", "budgets:periods"),
    ("Margin", "budgets:margin"),
    ("Vendor costs", "budgets:costs"),
    ("Credits for spikes", "budgets:forgiveness"),
)


@require_safe
@requires("reconciliation.view", staff=True)
def finance(request: HttpRequest) -> HttpResponse:
    """Where the tab of the top bar leads."""
    return redirect("budgets:reconciliation")


def finance_page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render a finance page with its tabs."""
    return render(request, template, context | {"finance_tabs": _tabs(request)}, status=status)


def organization_of(viewer: Viewer) -> Organization:
    """Return the vendor itself."""
    return Organization.objects.get(pk=viewer.organization_id)


def _tabs(request: HttpRequest) -> list[dict[str, Any]]:
    tabs = []
    for label, name in PAGES:
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        if can(viewer_of(request), resolve(url).func.capability):  # type: ignore[attr-defined]
            tabs.append({"label": label, "url": url, "current": request.path.startswith(url)})
    return tabs
