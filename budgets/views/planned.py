"""Planned activities of an account: told by the customer or the vendor, seen by both."""

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from budgets.actions.planned import cancel_activity, plan_activity
from budgets.forms.planned import PlannedForm
from budgets.models import PlannedActivity
from consumption_cs.lib.periods import day_of, zone_of

MOST = 100


@require_http_methods(["GET", "HEAD", "POST"])
@requires("forecast.view")
def planned(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """What is planned and what was, with a form for those who may add to it."""
    viewer, account = viewer_of(request), account_of(request)
    may_edit = can(viewer, "planned.edit")
    if request.method == "POST" and not may_edit:
        raise PermissionDenied("Your role reads planned activities; it does not add them.")
    form = PlannedForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            plan = plan_activity(viewer, account, form.new_plan())
        except ValidationError as error:
            form.add_error(None, error.messages[0])
        else:
            messages.success(request, f"{plan.name} is planned. The forecast counts it within minutes.")
            return redirect("budgets:planned", account.pk)
    today = day_of(timezone.now(), zone_of(account.timezone))
    plans = PlannedActivity.objects.visible_to(viewer).filter(account=account, cancelled_at=None)
    rows = [(plan, plan.ends_on - timedelta(days=1)) for plan in plans.order_by("-starts_on", "-pk")[:MOST]]
    context = {
        "account": account,
        "ahead": [row for row in rows[::-1] if row[0].ends_on > today],
        "past": [row for row in rows if row[0].ends_on <= today],
        "form": form,
        "may_edit": may_edit,
    }
    return render(request, "budgets/planned.html", context, status=422 if form.errors else 200)


@require_POST
@requires("planned.edit")
def planned_cancel(request: HttpRequest, account_id: UUID, plan_id: UUID) -> HttpResponse:
    """Take back what is planned. Customers take back only what they told themselves."""
    viewer, account = viewer_of(request), account_of(request)
    plans = PlannedActivity.objects.visible_to(viewer).filter(account=account, cancelled_at=None, pk=plan_id)
    plan = (plans.filter(by_customer=True) if viewer.is_portal else plans).first()
    if plan is None:
        raise Http404
    cancel_activity(viewer, plan, timezone.now())
    messages.success(request, f"{plan.name} is taken back.")
    return redirect("budgets:planned", account.pk)
