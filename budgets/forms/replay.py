"""The forms of a budget and its limit, filled in but not saved, as a proposal to replay."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict

from accounts.models import Account
from budgets.actions.budgets import NewBudget
from budgets.actions.limits import NewLimit
from budgets.forms.budgets import BudgetForm, RulesForm
from budgets.forms.limits import LimitForm
from budgets.models import Budget
from budgets.reports.budget_use import BudgetUse
from budgets.reports.replay import Proposal, ProposedLimit
from budgets.reports.rule_words import SENTENCES
from consumption_cs.lib.tenancy import Viewer

UNNAMED = "Unnamed"  # a name changes nothing in a replay


def proposal_from(
    viewer: Viewer, account: Account, given: QueryDict, use: BudgetUse | None
) -> tuple[Proposal | None, list[str]]:
    """Return what the fields propose, or what is wrong with them in words.

    `use` is the budget that they would change; what the fields leave out stays as it is in force. Without a budget
    they are those of a new one, and without any field of a limit it has none.
    """
    limit_form = LimitForm(viewer, account, given) if "action" in given else None
    budget_form = _budget_form(viewer, account, given, use)
    wrong = [message for form in (budget_form, limit_form) if form is not None for message in _wrong(form)]
    if wrong:
        return None, wrong
    before = use.limit if use is not None else None
    limit: Any = limit_form.new_limit() if limit_form is not None else before
    if use is None:
        return _of_new(budget_form.new_budget(), limit), []  # type: ignore[union-attr]
    if isinstance(budget_form, RulesForm):
        rules = tuple((str(kind), value) for kind, value in budget_form.rules())
        return _of_budget(use.budget, limit, amount=budget_form.cleaned_data["amount"], rules=rules), []
    rules = tuple((rule.kind, rule.value) for rule in use.rules)
    return _of_budget(use.budget, limit, amount=use.amount, rules=rules), []


def _budget_form(
    viewer: Viewer, account: Account, given: QueryDict, use: BudgetUse | None
) -> BudgetForm | RulesForm | None:
    if use is not None:
        return RulesForm(given) if "amount" in given else None
    filled = given.copy()
    filled["name"] = given.get("name") or UNNAMED
    return BudgetForm(viewer, account, filled)


def _wrong(form: forms.Form) -> list[str]:
    """Return the messages of a form, each after the label of its field."""
    found = []
    for name, messages in form.errors.items():
        label = form.fields[name].label if name in form.fields else ""
        found += [f"{label}: {message}" if label else str(message) for message in messages]
    return found


def _of_new(new: NewBudget, limit: NewLimit | None) -> Proposal:
    return Proposal(
        amount=new.amount,
        period=str(new.period),
        rules=tuple((str(kind), value) for kind, value in new.rules),
        limit=_limit(limit),
        scope=str(new.scope),
        workflow_id=new.workflow.pk if new.workflow else None,
        meter_id=new.meter.pk if new.meter else None,
        dimension=new.dimension,
        dimension_value=new.dimension_value,
        starts_on=new.starts_on,
        ends_on=new.ends_on,
    )


def _of_budget(budget: Budget, limit: Any, **decided: Any) -> Proposal:
    return Proposal(
        period=budget.period,
        limit=_limit(limit),
        scope=budget.scope,
        workflow_id=budget.workflow_id,
        meter_id=budget.meter_id,
        dimension=budget.dimension,
        dimension_value=budget.dimension_value,
        starts_on=budget.starts_on,
        ends_on=budget.ends_on,
        budget_id=budget.pk,
        **decided,
    )


def _limit(limit: Any) -> ProposedLimit | None:
    """A limit in force or a new one: their fields are called alike."""
    if limit is None:
        return None
    return ProposedLimit(
        action=str(limit.action),
        percent=limit.percent,
        warn_percent=limit.warn_percent,
        grace_minutes=limit.grace_minutes,
        grace_percent=limit.grace_percent,
        throttle_percent=limit.throttle_percent,
        exempt_workflows=tuple(limit.exempt_workflows),
        is_dry_run=limit.is_dry_run,
    )


def first_fields(suggested: object) -> Mapping[str, object]:
    """Return the fields that a new budget starts from, with the suggested amount."""
    rules = {sentence.kind: sentence.start for sentence in SENTENCES if sentence.start}
    return {"scope": "account", "period": Budget.Period.MONTH, "amount": suggested, **rules}
