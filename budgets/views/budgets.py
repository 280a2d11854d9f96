"""Budgets of an account: what is used of each, making one, changing it, and putting it away."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, require, requires
from budgets.actions.budgets import archive_budget, change_budget, create_budget, rename_budget
from budgets.actions.limits import set_limit
from budgets.charts.budgets import budget_figure
from budgets.charts.replay import shown_replay
from budgets.forms.budgets import BudgetForm, ChangeForm
from budgets.forms.budgets import initial_of as shown_rules
from budgets.forms.limits import LimitForm, lifter_choices
from budgets.forms.limits import initial_of as shown_limit
from budgets.forms.replay import proposal_from
from budgets.models import Budget, Limit, LimitEvent, LimitState
from budgets.reports.alerts import told_alerts
from budgets.reports.budget_figures import figures_of
from budgets.reports.budget_list import budget_lines, parts_words, standing_words
from budgets.reports.budget_page import decisions, grace_text, lift_words, limit_rows, rules_now, who_did, who_hears
from budgets.reports.budget_use import BudgetUse, budget_uses
from budgets.reports.headroom import limit_amount, limit_states
from budgets.reports.replay import replay
from budgets.reports.scope_days import suggested_amount
from consumption_cs.lib.periods import zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.models import Workflow

PAGE = 50
MOST_STEPS = 50
MOST_ALERTS = 8


@require_safe
@requires("budget.view")
def budgets(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Every budget in force with what is used of it, each within the one it belongs to; or those put away."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    archived = Budget.objects.visible_to(viewer).filter(account=account).exclude(archived_at=None)
    lines = budget_lines(viewer, account, now)
    context = {
        "account": account,
        "page": Paginator(lines, PAGE).get_page(request.GET.get("page")),
        "total": len(lines),
        "over": sum(line.use.used >= line.use.amount for line in lines),
        "likely_over": sum(line.is_likely_over for line in lines),
        "may_edit": can(viewer, "budget.edit"),
        "archived": archived.order_by("-archived_at")[:PAGE] if request.GET.get("view") == "archived" else None,
        "archived_count": archived.count(),
    }
    return render(request, "budgets/budgets.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("budget.edit")
def budget_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """A new budget, with its limit for those who may set one; last month's spend and a little is suggested."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    suggested = suggested_amount(viewer, account, now)
    given = request.POST if request.method == "POST" else request.GET if "amount" in request.GET else None
    form = BudgetForm(viewer, account, given, initial={"name": "Monthly spend", "amount": suggested})
    limit_form = _limit_form(request, None, given)
    if request.method == "POST" and all(_valid(form, limit_form)):
        try:
            with transaction.atomic():
                made = create_budget(viewer, account, form.new_budget(), now)
                if limit_form is not None and limit_form.is_bound and _says_something(None, limit_form):
                    set_limit(viewer, made, limit_form.new_limit(), now)
        except ValidationError as error:
            form.add_error(None, error.messages[0])
        else:
            messages.success(request, f"“{made.name}” is watched from now on. What was used before counts.")
            return redirect("budgets:budget", account.pk, made.pk)
    context = {
        "account": account,
        "form": form,
        "limit_form": limit_form,
        "suggested": suggested,
        "has_keys": len(form.fields["key"].choices) > 1,  # type: ignore[attr-defined]
        **_replayed(request, None),
    }
    return render(request, "budgets/budget_form.html", context, status=422 if request.method == "POST" else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("budget.view")
def budget(request: HttpRequest, account_id: UUID, budget_id: UUID) -> HttpResponse:
    """One budget; those who may change its rules or its limit do it here."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    found = get_object_or_404(Budget.objects.visible_to(viewer), account=account, pk=budget_id)
    uses = budget_uses(viewer.organization_id, now, budget_ids=[found.pk], with_windows=True)
    if not uses:
        return render(request, "budgets/budget_idle.html", {"budget": found, **_history(request, found)})
    use = uses[0]
    given = request.POST if request.method == "POST" else request.GET if "amount" in request.GET else None
    initial = shown_rules(use.amount, use.rules) | {"name": found.name}
    form = ChangeForm(given if given and "amount" in given else None, initial=initial)
    limit_form = _limit_form(request, use.limit, given)
    if request.method == "POST" and _save(request, use, form, limit_form):
        return redirect("budgets:budget", account.pk, found.pk)
    figures = figures_of(viewer.organization_id, now, uses, everything=True)[found.pk]
    state = limit_states(viewer, account, now).get(found.pk, LimitState.State.CLEAR) if use.limit else None
    named = use.limit is not None and (not use.limit.lift_roles or viewer.role in use.limit.lift_roles)
    history = _history(request, found)
    standing = LimitState.objects.visible_to(viewer).filter(budget=found).first() if state else None
    parts = [line for line in budget_lines(viewer, account, now) if line.use.budget.parent_id == found.pk]
    context: dict[str, Any] = {
        **history,
        "use": use,
        "days_left": (use.after_day - use.today).days,
        "fan": figures.fan,
        "p_over": figures.p_over,
        "limit_amount": limit_amount(use),
        "state": standing_words(state)[0],
        "tone": standing_words(state)[1],
        "standing": standing,
        "lift_words": lift_words(standing, history["steps"], zone_of(account.timezone)),
        "grace": grace_text(use.limit) if use.limit else "",
        "rules": rules_now(viewer, use, figures),
        "form": form,
        "limit_form": limit_form,
        "limit_rows": _limit_rows(viewer, account, use.limit) if use.limit and not limit_form else [],
        "may_change": can(viewer, "budget.edit"),
        "may_rehearse": can(viewer, "limit.edit") and use.limit is not None,
        "may_tell": can(viewer, "destination.manage"),
        "may_lift": named and can(viewer, "limit.lift") and state in (LimitState.State.GRACE, LimitState.State.ACTING),
        "hears": who_hears(viewer, found),
        "chart": budget_figure(viewer, account, use, figures.fan),
        "children": parts,
        "parts_words": parts_words(use, parts),
        **_replayed(request, use),
    }
    return render(request, "budgets/budget.html", context, status=422 if request.method == "POST" else 200)


@require_POST
@requires("budget.edit")
def budget_archive(request: HttpRequest, account_id: UUID, budget_id: UUID) -> HttpResponse:
    """Put a budget away: nobody is told by it any more."""
    viewer, account = viewer_of(request), account_of(request)
    found = get_object_or_404(Budget.objects.visible_to(viewer), account=account, pk=budget_id)
    try:
        archive_budget(viewer, found, timezone.now())
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return redirect("budgets:budget", account.pk, found.pk)
    messages.success(request, f"“{found.name}” is archived. Its alerts are resolved.")
    return redirect("budgets:budgets", account.pk)


def _history(request: HttpRequest, found: Budget) -> dict[str, Any]:
    """What was decided about a budget, what its limit did and what it told: of one in force, or put away."""
    viewer, account = viewer_of(request), account_of(request)
    vendor = account.organization.name
    steps = LimitEvent.objects.visible_to(viewer).filter(budget=found).select_related("by").order_by("-at", "-pk")
    return {
        "account": account,
        "alerts": told_alerts(viewer, account).filter(budget=found).order_by("-raised_at")[:MOST_ALERTS],
        "steps": [(step, who_did(step.by, viewer, found, vendor) if step.by else "") for step in steps[:MOST_STEPS]],
        "decisions": decisions(viewer, found, account.currency, vendor),
    }


def _limit_rows(viewer: Viewer, account: Account, limit: Limit) -> list[tuple[str, str]]:
    exempt = Workflow.objects.visible_to(viewer).filter(account=account, pk__in=limit.exempt_workflows)
    roles = [words for role, words in lifter_choices(account) if not limit.lift_roles or role in limit.lift_roles]
    return limit_rows(limit, exempt.order_by("name").values_list("name", flat=True), roles)


def _limit_form(request: HttpRequest, limit: Limit | None, given: Any) -> LimitForm | None:
    """The form of the limit for those who may change one, with what was given if it says anything of a limit."""
    viewer, account = viewer_of(request), account_of(request)
    if not can(viewer, "limit.edit"):
        return None
    return LimitForm(viewer, account, given if given and "action" in given else None, initial=shown_limit(limit))


def _save(request: HttpRequest, use: BudgetUse, form: ChangeForm, limit_form: LimitForm | None) -> bool:
    """Store what was changed of the rules and of the limit, all or nothing. What is the same stays one version."""
    viewer, now = viewer_of(request), timezone.now()
    if form.is_bound:
        require(viewer, "budget.edit")
    if "action" in request.POST:
        require(viewer, "limit.edit")
    if not all(_valid(form, limit_form)):
        return False
    try:
        with transaction.atomic():
            if form.is_bound:
                name = form.cleaned_data["name"]
                if name and name != use.budget.name:
                    rename_budget(viewer, use.budget, name, now)
                change_budget(viewer, use.budget, form.cleaned_data["amount"], form.rules(), now)
            if limit_form is not None and limit_form.is_bound and _says_something(use, limit_form):
                set_limit(viewer, use.budget, limit_form.new_limit(), now)
    except ValidationError as error:
        (form if form.is_bound else limit_form or form).add_error(None, error.messages[0])
        return False
    messages.success(request, "Saved. What is crossed already is not told again.")
    return True


def _valid(*forms: Form | None) -> list[bool]:
    """Whether each form that was sent is right: all are looked at, so that all say what is wrong."""
    return [form.is_valid() for form in forms if form is not None and form.is_bound]


def _says_something(use: BudgetUse | None, limit_form: LimitForm) -> bool:
    """Whether there is a limit, or one is wanted: “notify only” where there was none needs no version."""
    return (use is not None and use.limit is not None) or limit_form.cleaned_data["action"] != Limit.Action.NOTIFY


def _replayed(request: HttpRequest, use: BudgetUse | None) -> dict[str, Any]:
    """Without scripts the replay is asked for with the fields in the address, and comes with the page."""
    if request.method == "POST" or request.GET.get("replay") != "1":
        return {}
    viewer, account = viewer_of(request), account_of(request)
    proposal, wrong = proposal_from(viewer, account, request.GET, use)
    if proposal is None:
        return {"wrong": wrong, "replayed": True}
    return {"replay": shown_replay(replay(viewer, account, proposal, timezone.now()), ""), "replayed": True}
