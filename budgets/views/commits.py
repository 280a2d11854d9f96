"""The commits and contracts of an account: what is left, in which order it is drawn, and how it changed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from budgets.actions import commits as actions
from budgets.actions.contracts import ContractError, change_contract, create_contract
from budgets.charts.commits import timeline
from budgets.exports.commits import commits_csv
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
from budgets.reports import commit_words as words
from budgets.reports.balances import commits_of
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter
from usage.reports.freshness import data_through
from usage.views.overview import download

Changed = Callable[[Viewer, Commit, Any, datetime], Commit]


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


@require_safe
@requires("money.view")
def account_commits(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Contract, commits in the order they are drawn, and their timeline."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    balance = commits_of(viewer, account, now)
    contracts = list(Contract.objects.visible_to(viewer).filter(account=account).order_by("-starts_on"))
    today = day_of(now, zone_of(account.timezone))
    meters = {meter.pk: meter.name for meter in Meter.objects.visible_to(viewer)}
    context = {
        "account": account,
        "balance": balance,
        "rows": [
            (row, words.meters_text(row.commit, meters), words.terms_text(row.commit)) for row in balance.commits
        ],
        "contracts": contracts,
        "contract": next((one for one in contracts if one.starts_on <= today), contracts[0] if contracts else None),
        "headline": words.headline(balance, today),
        "facts": words.facts(balance, today),
        "chart": timeline(account, contracts, balance, today),
        "may_change": can(viewer, "commit.manage"),
        "freshness": data_through(viewer, now),
        "today": today,
    }
    return render(request, "budgets/commits.html", context)


@require_safe
@requires("money.view")
def account_commits_csv(request: HttpRequest, account_id: UUID) -> HttpResponse:
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    return download(commits_csv(account, commits_of(viewer, account, now)), f"{account.key}-commits.csv")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("commit.manage", staff=True)
def contract_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """A contract; commits stand under it."""
    account = account_of(request)
    form = ContractForm(request.POST or None, initial={"name": f"Contract {timezone.now().year}", "overage_factor": 1})
    if form.is_valid():
        try:
            contract = create_contract(viewer_of(request), account, form.new_contract(), timezone.now())
        except ContractError as error:
            _tell(form, error.field, error)
        else:
            messages.success(request, f"{contract.name} is made. Its commits come next.")
            return redirect("budgets:commits", account.pk)
    return _form(
        request, account, form, "New contract", "The term, the draw order, and what overage costs.", "Save contract"
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires("commit.manage", staff=True)
def contract_edit(request: HttpRequest, account_id: UUID, contract_id: UUID) -> HttpResponse:
    """Change name, end, order, factor and note; the start stays."""
    viewer, account = viewer_of(request), account_of(request)
    contract = Contract.objects.visible_to(viewer).filter(account=account, pk=contract_id).first()
    if contract is None:
        raise Http404
    names = ("name", "starts_on", "ends_on", "draw_policy", "overage_factor", "note")
    initial = {name: getattr(contract, name) for name in names}
    initial["overage_factor"] = f"{contract.overage_factor.normalize():f}"
    form = ContractForm(request.POST or None, initial=initial)
    if form.is_valid():
        try:
            change_contract(viewer, contract, form.new_contract(), timezone.now())
        except ContractError as error:
            _tell(form, error.field, error)
        else:
            messages.success(request, f"{contract.name} is changed. Open days are drawn again.")
            return redirect("budgets:commits", account.pk)
    text = "A new draw order counts for all days that are not closed, which are drawn again."
    return _form(request, account, form, f"Change {contract.name}", text, "Save contract")


@require_http_methods(["GET", "HEAD", "POST"])
@requires("commit.manage", staff=True)
def commit_new(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """A commit under one of the account's contracts."""
    viewer, account = viewer_of(request), account_of(request)
    if not Contract.objects.visible_to(viewer).filter(account=account).exists():
        messages.info(request, "A commit stands under a contract: make the contract first.")
        return redirect("budgets:contract_new", account.pk)
    form = CommitForm(request.POST or None, viewer=viewer, account=account, initial={"unit": account.currency})
    if form.is_valid():
        try:
            commit = actions.create_commit(viewer, account, form.new_commit(), timezone.now())
        except actions.CommitError as error:
            _tell(form, error.field, error)
        else:
            messages.success(request, f"{commit.name} is made. Days from {commit.effective_on} on are drawn again.")
            return redirect("budgets:commits", account.pk)
    text = "Open days from its first day on are drawn again; closed periods stay as they are."
    return _form(request, account, form, "New commit", text, "Save commit", "budgets/commit_form.html")


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
    if form.is_valid():
        try:
            _apply(change, viewer, commit, form, now)
        except actions.CommitError as error:
            _tell(form, error.field, error)
        else:
            messages.success(request, what.done.format(commit.name))
            return redirect("budgets:commits", account.pk)
    left = next((row for row in commits_of(viewer, account, now).commits if row.commit.pk == commit.pk), None)
    extra = {"commit": commit, "left": left}
    return _form(request, account, form, f"{what.title}: {commit.name}", what.text, what.button, extra=extra)


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


def _tell(form: forms.Form, field: str, error: Exception) -> None:
    form.add_error(field if field in form.fields else None, str(error))


def _form(
    request: HttpRequest,
    account: Account,
    form: forms.Form,
    title: str,
    text: str,
    button: str,
    template: str = "budgets/money_form.html",
    extra: dict[str, Any] | None = None,
) -> HttpResponse:
    context = {"account": account, "form": form, "title": title, "text": text, "button": button} | (extra or {})
    return render(request, template, context, status=422 if form.errors else 200)
