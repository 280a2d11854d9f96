"""Budgets of an account: what is used of each, what happens at its limit, and lifting it."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, require, requires
from budgets.actions.limits import lift, set_limit
from budgets.forms.budgets import LimitForm
from budgets.models import Budget, LimitEvent, LimitState
from budgets.reports.budget_use import BudgetUse, budget_uses
from budgets.reports.headroom import limit_amount, limit_states

MOST = 50
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
    return render(request, "budgets/budgets.html", {"account": account, "rows": rows})


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


def _standing(use: BudgetUse, states: dict[UUID, str]) -> tuple[str, str]:
    if use.limit is None:
        return "No limit", "none"
    state = states.get(use.budget.pk, "clear")
    return str(_STATES[state]), _TONES[state]
