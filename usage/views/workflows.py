"""Pages of an account's workflows."""

from uuid import UUID

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from usage.actions.workflows import save_workflow
from usage.charts import success_by_week, workflow_spend
from usage.exports import workflow_daily_csv
from usage.forms import WorkflowForm
from usage.models import Workflow
from usage.reports import overview_words as words
from usage.reports.workflow_words import workflow_facts, workflow_headline, workflow_months
from usage.reports.workflows import WorkflowSeen, workflow_page
from usage.views.overview import address, choose_period, download, read_month, read_overview


@require_safe
@requires("money.view")
def workflows(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Every workflow of the account, used this month or not."""
    seen = read_overview(request, timezone.now())
    viewer = viewer_of(request)
    used = {line.id for line in seen.workflows}
    context = {
        "seen": seen,
        "account": seen.account,
        "month_name": words.month_name(seen.month),
        "before_name": words.month_name(seen.month.before),
        "csv_url": address(seen, "overview_workflows_csv"),
        **choose_period(seen.month, seen.first_day),
        "unused": Workflow.objects.visible_to(viewer).filter(account=seen.account).exclude(pk__in=used - {None}),
        "may_edit": can(viewer, "workflow.edit"),
    }
    return render(request, "usage/workflows.html", context)


@require_safe
@requires("money.view")
def workflow(request: HttpRequest, account_id: UUID, workflow_id: UUID) -> HttpResponse:
    """One workflow: spend, reliability, what it used, its last twelve months and last events."""
    seen = _read(request, workflow_id)
    viewer, account = viewer_of(request), account_of(request)
    context = {
        "seen": seen,
        "account": account,
        "workflow": seen.workflow,
        "headline": workflow_headline(seen, account),
        "facts": workflow_facts(seen, account),
        "months": workflow_months(seen, account),
        "spend": workflow_spend(seen, account, _daily_url(seen)),
        "success": success_by_week(seen.weeks, seen.workflow.success_target),
        **choose_period(seen.month, min(seen.days, default=None)),
        "month_name": words.month_name(seen.month),
        "may_edit": can(viewer, "workflow.edit"),
        "may_see_events": can(viewer, "event.view"),
    }
    return render(request, "usage/workflow.html", context)


@require_safe
@requires("money.view")
def workflow_daily(request: HttpRequest, account_id: UUID, workflow_id: UUID) -> HttpResponse:
    seen, account = _read(request, workflow_id), account_of(request)
    name = f"{account.key}-{seen.workflow.key}-{seen.month.key}.csv"
    return download(workflow_daily_csv(seen, account), name)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("workflow.edit")
def workflow_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Make a workflow before its first event, so that it has a name and a target from the start."""
    return _form_page(request, Workflow(organization=account_of(request).organization, account=account_of(request)))


@require_http_methods(["GET", "HEAD", "POST"])
@requires("workflow.edit")
def workflow_edit(request: HttpRequest, account_id: UUID, workflow_id: UUID) -> HttpResponse:
    return _form_page(request, _find(request, workflow_id))


def _form_page(request: HttpRequest, workflow: Workflow) -> HttpResponse:
    account = account_of(request)
    is_new = workflow._state.adding
    form = WorkflowForm(request.POST or None, instance=workflow)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                save_workflow(viewer_of(request), account, form.instance)
        except IntegrityError:
            form.add_error("key", "This account has a workflow with that key already.")
        else:
            messages.success(request, f"{form.instance.name} was saved.")
            return redirect("usage:workflow", account.pk, form.instance.pk)
    context = {"form": form, "account": account, "workflow": None if is_new else workflow}
    return render(request, "usage/workflow_form.html", context, status=422 if form.errors else 200)


def _find(request: HttpRequest, workflow_id: UUID) -> Workflow:
    rows = Workflow.objects.visible_to(viewer_of(request)).filter(account=account_of(request))
    found: Workflow = get_object_or_404(rows, pk=workflow_id)
    return found


def _read(request: HttpRequest, workflow_id: UUID) -> WorkflowSeen:
    workflow = _find(request, workflow_id)
    return workflow_page(viewer_of(request), account_of(request), workflow, read_month(request), timezone.now())


def _daily_url(seen: WorkflowSeen) -> str:
    path = reverse("usage:workflow_daily", args=[seen.workflow.account_id, seen.workflow.pk])
    return path + f"?month={seen.month.key}"
