"""Budgets of an account: what is used of each, what happens at its limit, and lifting it."""

from decimal import Decimal
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, require, requires
from budgets.actions.budgets import archive_budget, change_budget, create_budget
from budgets.actions.limits import lift, set_limit
from budgets.charts.alerts import budget_figure
from budgets.forms.budgets import BudgetForm, LimitForm, RulesForm
from budgets.models import Budget, BudgetRule, LimitEvent, LimitState
from budgets.reports.alerts import told_alerts
from budgets.reports.budget_use import BudgetUse, budget_uses
from budgets.reports.headroom import limit_amount, limit_states
from budgets.reports.scope_days import suggested_amount

MOST = 50
MOST_ALERTS = 8
_SHOWN = ("action", "percent", "warn_percent", "grace_minutes", "lift_hours", "is_dry_run")
_STATES = dict(LimitState.State.choices)
_TONES = {"clear": "good", "warned": "warn", "grace": "warn", "acting": "bad", "lifted": "info"}


@require_safe
@requires("budget.view")
def budgets(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Every budget in force with what is used of it."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    states = limit_states(viewer, account, now)
    rows = [
        (use, use.percent / 100, *_standing(use, states))
        for use in budget_uses(viewer.organization_id, now, [account.pk])
    ]
    context = {
        "account": account,
        "rows": rows,
        "over": sum(use.used >= use.amount for use, *_ in rows),
        "may_edit": can(viewer, "budget.edit"),
    }
    return render(request, "budgets/budgets.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("budget.edit")
def budget_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """A new budget; last month's spend and a little is suggested."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    suggested = suggested_amount(viewer, account, now)
    initial = {"name": "Monthly spend", "amount": suggested}
    form = BudgetForm(viewer, account, request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = create_budget(viewer, account, form.new_budget(), now)
        except ValidationError as error:
            form.add_error(None, error.messages[0])
        else:
            messages.success(request, f"“{made.name}” is watched from now on. What was used before counts.")
            return redirect("budgets:budget", account.pk, made.pk)
    context = {"account": account, "form": form, "suggested": suggested}
    return render(request, "budgets/budget_form.html", context, status=422 if form.errors else 200)


@require_POST
@requires("budget.edit")
def budget_step(request: HttpRequest, account_id: UUID, budget_id: UUID, change: str) -> HttpResponse:
    """Change a budget's amount and rules, which makes a new version, or archive it."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    found = get_object_or_404(Budget.objects.visible_to(viewer), account=account, pk=budget_id)
    try:
        if change == "archive":
            archive_budget(viewer, found, now)
            messages.success(request, f"“{found.name}” is archived. Its alerts are resolved.")
            return redirect("budgets:budgets", account.pk)
        if change != "rules":
            raise Http404
        form = RulesForm(request.POST)
        if not form.is_valid():
            raise ValidationError([message for errors in form.errors.values() for message in errors])
        change_budget(viewer, found, form.cleaned_data["amount"], form.rules(), now)
        messages.success(request, "Saved. What is crossed already is not told again.")
    except ValidationError as error:
        messages.error(request, error.messages[0])
    return redirect("budgets:budget", account.pk, found.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("budget.view")
def budget(request: HttpRequest, account_id: UUID, budget_id: UUID) -> HttpResponse:
    """One budget; those who may change its limit do it here."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    found = get_object_or_404(Budget.objects.visible_to(viewer), account=account, pk=budget_id)
    if request.method == "POST":
        require(viewer, "limit.edit")
    uses = budget_uses(viewer.organization_id, now, budget_ids=[found.pk])
    if not uses:
        raise Http404
    use, may_edit = uses[0], can(viewer, "limit.edit")
    initial = {name: getattr(use.limit, name) for name in _SHOWN} if use.limit else None
    form = LimitForm(request.POST) if request.method == "POST" else LimitForm(initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            set_limit(viewer, found, form.new_limit(use.limit), now)
        except ValidationError as error:
            form.add_error(None, error.messages[0])
        else:
            messages.success(request, "The limit is saved.")
            return redirect("budgets:budget", account.pk, found.pk)
    state, tone = _standing(use, limit_states(viewer, account, now))
    named = use.limit is not None and (not use.limit.lift_roles or viewer.role in use.limit.lift_roles)
    context = {
        "account": account,
        "use": use,
        "limit_amount": limit_amount(use),
        "state": state,
        "tone": tone,
        "form": form,
        "may_edit": may_edit,
        "may_change": can(viewer, "budget.edit"),
        "may_tell": can(viewer, "destination.manage"),
        "rules_form": RulesForm(initial=_told(use)),
        "chart": budget_figure(viewer, account, use, now),
        "alerts": told_alerts(viewer, account).filter(budget=found).order_by("-raised_at")[:MOST_ALERTS],
        "may_lift": named and can(viewer, "limit.lift") and tone in ("warn", "bad"),
        "steps": LimitEvent.objects.visible_to(viewer).filter(budget=found).order_by("-at", "-pk")[:MOST],
    }
    return render(request, "budgets/budget.html", context, status=422 if form.errors else 200)


@require_POST
@requires("limit.lift")
def limit_lift(request: HttpRequest, account_id: UUID, budget_id: UUID) -> HttpResponse:
    """Lift a limit that was reached, with a reason."""
    viewer, account = viewer_of(request), account_of(request)
    found = get_object_or_404(Budget.objects.visible_to(viewer), account=account, pk=budget_id)
    try:
        lift(viewer, found, request.POST.get("reason", ""), timezone.now())
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, "The limit is lifted.")
    return redirect("budgets:budget", account.pk, found.pk)


def _told(use: BudgetUse) -> dict[str, object]:
    """The rules in force as the form shows them."""
    spent = [rule.value for rule in use.rules if rule.kind == BudgetRule.Kind.ACTUAL_PERCENT]
    told: dict[str, object] = {"amount": use.amount.quantize(Decimal("0.01"))}
    told["spent"] = ", ".join(f"{value.normalize():f}" for value in sorted(spent))
    for kind in (BudgetRule.Kind.FORECAST_OVER, BudgetRule.Kind.VELOCITY_FAST):
        value = next((rule.value for rule in use.rules if rule.kind == kind), None)
        told[kind] = None if value is None else f"{value.normalize():f}"
    return told


def _standing(use: BudgetUse, states: dict[UUID, str]) -> tuple[str, str]:
    if use.limit is None:
        return "No limit", "none"
    state = states.get(use.budget.pk, "clear")
    return str(_STATES[state]), _TONES[state]
