"""Changing contracts and commits, in two steps: what the change does is shown before it is saved."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.views.decorators.http import require_http_methods

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import requires
from budgets.actions import commits as actions
from budgets.actions.contracts import ContractError, change_contract, create_contract
from budgets.actions.preview import Effect, preview
from budgets.calc.commit_terms import value_of
from budgets.forms.commits import (
    AmendForm,
    CancelForm,
    CommitForm,
    ContractForm,
    ExtendForm,
    ReorderForm,
    RollOverForm,
)
from budgets.models import Commit, Contract
from budgets.reports.balances import commits_of
from consumption_cs.lib.display import money_text, quantity_text
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer

_SALT = "budgets.change"


@dataclass(frozen=True, slots=True)
class Change:
    """A way to change a commit: its words, its form and the action."""

    title: str
    text: str
    button: str
    done: str


CHANGES = {
    "amend": Change(
        "Change the amount",
        "Adds to what is left from a day on, or takes some back. It cannot take back what is drawn already.",
        "Change the amount",
        "The amount of {} is changed.",
    ),
    "extend": Change(
        "Move the expiry", "What is left stays until the new day.", "Move the expiry", "The expiry of {} is moved."
    ),
    "reorder": Change(
        "Change the draw order",
        "Counts for every day that is not closed; those are drawn again.",
        "Change the order",
        "{} is drawn in its new order.",
    ),
    "cancel": Change(
        "Cancel the commit", "What is left falls to zero at the start of the day.", "Cancel it", "{} is cancelled."
    ),
    "roll-over": Change(
        "Roll over what expired",
        "Makes a new commit of what expired unused. Once only.",
        "Roll it over",
        "What {} had left is rolled over.",
    ),
}


@dataclass(frozen=True, slots=True)
class _Page:
    """The words and the template of a form."""

    title: str
    text: str
    button: str
    template: str = "budgets/money_form.html"


@require_http_methods(["GET", "HEAD", "POST"])
@requires("commit.manage", staff=True)
def contract_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """A contract; commits stand under it."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    form = ContractForm(request.POST or None, initial={"name": f"Contract {now.year}", "overage_factor": 1})

    def save() -> str:
        contract = create_contract(viewer, account, form.new_contract(), now)
        return f"{contract.name} is made. Its commits come next."

    page = _Page("New contract", "The term, the draw order, and what overage costs.", "Save contract")
    return _in_two_steps(request, account, form, page, save, now)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("commit.manage", staff=True)
def contract_edit(request: HttpRequest, account_id: UUID, contract_id: UUID) -> HttpResponse:
    """Change name, end, order, factor and note; the start stays."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    contract = Contract.objects.visible_to(viewer).filter(account=account, pk=contract_id).first()
    if contract is None:
        raise Http404
    names = ("name", "starts_on", "ends_on", "draw_policy", "overage_factor", "note")
    initial = {name: getattr(contract, name) for name in names}
    initial["overage_factor"] = f"{contract.overage_factor.normalize():f}"
    form = ContractForm(request.POST or None, initial=initial)

    def save() -> str:
        return f"{change_contract(viewer, contract, form.new_contract(), now).name} is changed."

    text = "A new draw order counts for all days that are not closed, which are drawn again."
    return _in_two_steps(request, account, form, _Page(f"Change {contract.name}", text, "Save contract"), save, now)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("commit.manage", staff=True)
def commit_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """A commit under one of the account's contracts."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    if not Contract.objects.visible_to(viewer).filter(account=account).exists():
        messages.info(request, "A commit stands under a contract: make the contract first.")
        return redirect("budgets:contract_new", account.pk)
    form = CommitForm(request.POST or None, viewer=viewer, account=account, initial={"unit": account.currency})

    def save() -> str:
        commit = actions.create_commit(viewer, account, form.new_commit(), now)
        return f"{commit.name} is made. Days from {commit.effective_on:%b} {commit.effective_on.day} on count it."

    text = "Open days from its first day on are drawn again; closed periods stay as they are."
    page = _Page("New commit", text, "Save commit", "budgets/commit_form.html")
    return _in_two_steps(request, account, form, page, save, now)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("commit.manage", staff=True)
def commit_change(request: HttpRequest, account_id: UUID, commit_id: UUID, change: str) -> HttpResponse:
    """Amend, extend, reorder, cancel or roll over; each with its reason."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    commit = Commit.objects.visible_to(viewer).select_related("account").filter(account=account, pk=commit_id).first()
    if commit is None or change not in CHANGES:
        raise Http404
    today = day_of(now, zone_of(account.timezone))
    form = _change_form(change, viewer, commit, today, request.POST or None)
    what = CHANGES[change]

    def save() -> str:
        _apply(change, viewer, commit, form, now)
        return what.done.format(commit.name)

    left = next((row for row in commits_of(viewer, account, now).commits if row.commit.pk == commit.pk), None)
    page = _Page(f"{what.title}: {commit.name}", what.text, what.button)
    return _in_two_steps(request, account, form, page, save, now, {"commit": commit, "left": left})


def _change_form(change: str, viewer: Viewer, commit: Commit, today: date, data: Any) -> forms.Form:
    if change == "amend":
        return AmendForm(data, initial={"effective_on": today})
    if change == "extend":
        return ExtendForm(data, initial={"expires_on": commit.expires_on})
    if change == "reorder":
        initial = {name: getattr(commit, name) for name in ("priority", "only_meters", "except_meters")}
        return ReorderForm(data, viewer=viewer, initial=initial)
    if change == "cancel":
        return CancelForm(data, initial={"on": today})
    return RollOverForm(data, initial={"name": f"Rollover of {commit.name}"[:100], "effective_on": today})


def _apply(change: str, viewer: Viewer, commit: Commit, form: Any, now: datetime) -> None:
    data = form.cleaned_data
    if change == "amend":
        actions.amend_commit(viewer, commit, data["value_change"], data["effective_on"], data["reason"], now)
    elif change == "extend":
        actions.extend_commit(viewer, commit, data["expires_on"], data["reason"], now)
    elif change == "reorder":
        actions.reorder_commit(viewer, commit, form.order(), data["reason"], now)
    elif change == "cancel":
        actions.cancel_commit(viewer, commit, data["on"], data["reason"], now)
    else:
        actions.roll_over_commit(viewer, commit, form.rollover(), data["reason"], now)


def _in_two_steps(
    request: HttpRequest,
    account: Account,
    form: forms.Form,
    page: _Page,
    save: Callable[[], str],
    now: datetime,
    extra: dict[str, Any] | None = None,
) -> HttpResponse:
    """Show what `save` would do; save only what has been shown so, with the same answers in the form."""
    is_part = bool(request.headers.get("HX-Request"))
    asked = _fingerprint(request)
    effect: Effect | None = None
    if form.is_valid():
        try:
            if request.POST.get("seen") == asked and not is_part:
                messages.success(request, save())
                return redirect("budgets:commits", account.pk)
            effect = preview(viewer_of(request), account, save, now)
        except (actions.CommitError, ContractError) as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
    context = {
        "account": account,
        "form": form,
        "page": page,
        "effect": effect,
        "seen": asked,
        "is_stale": bool(effect and request.POST.get("seen") and not is_part),
        "worth": _worth(form, account),
        "problem": _first_problem(form) if is_part else "",
    }
    template = "budgets/_effect.html" if is_part else page.template
    return render(request, template, context | (extra or {}), status=422 if form.errors and not is_part else 200)


def _fingerprint(request: HttpRequest) -> str:
    """Tell one set of answers from another, so that nothing is saved whose effect nobody has seen."""
    answers = sorted(item for item in request.POST.lists() if item[0] not in ("csrfmiddlewaretoken", "seen"))
    return salted_hmac(_SALT, f"{request.path}{answers!r}").hexdigest()


def _worth(form: forms.Form, account: Account) -> str:
    """Say what credits, or money of another currency, come to by the rate as far as both are filled in."""
    data = getattr(form, "cleaned_data", {})
    amount, rate, unit = data.get("amount"), data.get("rate"), data.get("unit")
    if not isinstance(amount, Decimal) or not isinstance(rate, Decimal) or not unit or unit == account.currency:
        return ""
    value = money_text(value_of(amount, rate, account.currency), account.currency)
    return f"{quantity_text(amount)} {unit} at {rate.normalize():f} are worth {value}."


def _first_problem(form: forms.Form) -> str:
    """Say what is wrong, but not that something is still empty: the form is being filled in."""
    for errors in form.errors.as_data().values():
        for error in errors:
            if error.code != "required":
                return str(error.messages[0])
    return ""
