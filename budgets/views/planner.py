"""The top-up planner: scenarios side by side, and the size of the next commit."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms import formset_factory
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from budgets.actions import scenarios as actions
from budgets.charts.right_sizing import size_chart
from budgets.forms.planner import ScenarioForm, StepForm, TermsForm
from budgets.models import ApprovalTerms, Commit, Scenario
from budgets.reports.burndown import APPROVAL_DAYS
from budgets.reports.forecasts import latest_run
from budgets.reports.right_sizing import right_sizing
from budgets.reports.scenarios import compared, scenarios_of
from consumption_cs.lib.tenancy import Viewer

STEPS = 3
Steps = formset_factory(StepForm, extra=STEPS, max_num=STEPS, absolute_max=STEPS)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("forecast.view")
def planner(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Scenarios compared; a new one is added below."""
    viewer, account = viewer_of(request), account_of(request)
    may_edit = can(viewer, "scenario.edit")
    if request.method == "POST" and not may_edit:
        raise PermissionDenied("Your role reads scenarios; it does not make them.")
    data = request.POST if request.method == "POST" else None
    form, steps = ScenarioForm(data), Steps(data, prefix="step")
    if data is not None and _saved(request, viewer, account, form, steps):
        return redirect("budgets:planner", account.pk)
    run = latest_run(viewer, account)
    terms = _terms(viewer, account)
    context = {
        "account": account,
        "run": run,
        "played": compared(run, list(scenarios_of(viewer, account)), terms.approval_days if terms else APPROVAL_DAYS),
        "form": form,
        "steps": steps,
        "may_edit": may_edit,
        "is_open": data is not None,
    }
    return render(request, "budgets/planner.html", context, status=422 if data is not None else 200)


def _saved(request: HttpRequest, viewer: Viewer, account: Account, form: ScenarioForm, steps: Any) -> bool:
    if not (form.is_valid() & steps.is_valid()):
        return False
    wanted = [step for one in steps if (step := one.step(_largest(viewer, account)))]
    if not wanted:
        form.add_error(None, "Choose at least one step: what would be different?")
        return False
    try:
        shared = form.cleaned_data["is_shared"]
        scenario = actions.create_scenario(viewer, account, form.cleaned_data["name"], wanted, shared=shared)
    except actions.TooMany as error:
        form.add_error(None, str(error))
        return False
    messages.success(request, f"{scenario.name} is added to the comparison.")
    return True


def _largest(viewer: Viewer, account: Account) -> Decimal:
    commits = Commit.objects.visible_to(viewer).filter(account=account, cancelled_on=None)
    return max(commits.values_list("value", flat=True), default=Decimal(0))


@require_POST
@requires("scenario.edit")
def scenario_change(request: HttpRequest, account_id: UUID, scenario_id: UUID, change: str) -> HttpResponse:
    """Share it with the other side, stop sharing, or remove it. Only for the side that made it."""
    viewer, account = viewer_of(request), account_of(request)
    own = Scenario.objects.visible_to(viewer).filter(account=account, by_customer=viewer.is_portal, removed_at=None)
    scenario = own.filter(pk=scenario_id).first()
    if scenario is None or change not in ("share", "unshare", "remove"):
        raise Http404
    if change == "remove":
        actions.remove_scenario(viewer, scenario, timezone.now())
        messages.success(request, f"{scenario.name} is removed.")
    else:
        actions.share_scenario(viewer, scenario, shared=change == "share")
        messages.success(request, f"{scenario.name} is {'shared' if change == 'share' else 'no longer shared'}.")
    return redirect("budgets:planner", account.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("scenario.edit")
def sizing(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The commit of the next term that costs least, and the terms it is reckoned with."""
    viewer, account = viewer_of(request), account_of(request)
    run, terms = latest_run(viewer, account), _terms(viewer, account)
    factor = Decimal(str(run.details.get("overage_factor", 1))) if run else Decimal(1)
    stored = terms.discounts if terms else []
    initial = {
        "approval_days": terms.approval_days if terms else APPROVAL_DAYS,
        "overage_factor": factor.normalize(),
        "discounts": "\n".join(f"{one['from']} {one['percent']}" for one in stored),
    }
    data = request.POST if request.method == "POST" else None
    form = TermsForm(data, initial=initial)
    discounts: list[dict[str, str]] = stored
    if data is not None and form.is_valid():
        discounts, factor = form.cleaned_data["discounts"], form.cleaned_data["overage_factor"]
        actions.set_approval_terms(viewer, account, form.cleaned_data["approval_days"], discounts)
        messages.success(request, "The terms are kept.")
    found = right_sizing(run, discounts, factor)
    context = {
        "account": account,
        "form": form,
        "found": found,
        "chart": size_chart(found, account.currency) if found else None,
        "run": run,
    }
    return render(request, "budgets/right_sizing.html", context, status=422 if form.errors else 200)


def _terms(viewer: Viewer, account: Account) -> ApprovalTerms | None:
    found: ApprovalTerms | None = ApprovalTerms.objects.visible_to(viewer).filter(account=account).first()
    return found
