"""Budgets are made, changed by new versions, and archived. What was decided stays; the highest version holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account
from accounts.permissions import require
from budgets.actions.alerts import OPEN_STATES, NewAlert, close, hold_accounts, raise_alerts
from budgets.actions.evaluate import crossing_of
from budgets.actions.raising import look_soon
from budgets.calc.budget_rules import Verdict, severity_of, verdict
from budgets.models import Alert, Budget, BudgetRule, BudgetVersion
from budgets.reports.budget_alert_words import headline_of, numbers_of
from budgets.reports.budget_figures import figures_of
from budgets.reports.budget_use import BudgetUse, budget_uses
from consumption_cs.lib.display import money_text
from consumption_cs.lib.tenancy import Viewer
from usage.models import Meter, Workflow

Rule = tuple[str, Decimal]  # a BudgetRule.Kind and its value


@dataclass(frozen=True, slots=True)
class NewBudget:
    """What an account means to spend: `amount` in its currency in each period, and when to tell."""

    name: str
    amount: Decimal
    rules: Sequence[Rule] = ((BudgetRule.Kind.ACTUAL_PERCENT, Decimal(80)),)
    scope: str = Budget.Scope.ACCOUNT
    period: str = Budget.Period.MONTH
    workflow: Workflow | None = None
    meter: Meter | None = None
    dimension: str = ""
    dimension_value: str = ""
    parent: Budget | None = None
    starts_on: date | None = None
    ends_on: date | None = None


def create_budget(viewer: Viewer, account: Account, new: NewBudget, now: datetime) -> Budget:
    """Store a budget and its first version. Raises ValidationError with words.

    It is looked at within seconds, and counts what was used in its period before it was made.
    """
    require(viewer, "budget.edit")
    with transaction.atomic():
        look_soon(viewer.organization_id, account.pk, now)
        hold_accounts(viewer.organization_id, [account.pk])
        budget = Budget(
            organization_id=viewer.organization_id,
            account=account,
            name=new.name.strip(),
            scope=new.scope,
            workflow=new.workflow,
            meter=new.meter,
            dimension=new.dimension,
            dimension_value=new.dimension_value,
            parent=new.parent,
            period=new.period,
            starts_on=new.starts_on,
            ends_on=new.ends_on,
            created_by_id=viewer.user_id,
            created_at=now,
            by_customer=viewer.is_portal,
        )
        budget.full_clean(exclude=["organization", "account", "created_by", "workflow", "meter", "parent"])
        _check_parts(budget, account)
        _check_nesting(viewer, budget, new.amount)
        budget.save()
        _add_version(viewer, budget, 1, new.amount, new.rules, now)
        audit(viewer, "budget.created", budget, budget.name, {"amount": str(new.amount), "period": new.period})
    return budget


def change_budget(
    viewer: Viewer, budget: Budget, amount: Decimal, rules: Sequence[Rule], now: datetime
) -> BudgetVersion:
    """Store a new version of a budget's amount and rules; the same again changes nothing. Raises ValidationError.

    Thresholds that had been crossed and still are carry over without being told again; new ones are told within
    seconds. Open alerts of what is not crossed any more are resolved.
    """
    require(viewer, "budget.edit")
    with transaction.atomic():
        look_soon(viewer.organization_id, budget.account_id, now)
        hold_accounts(viewer.organization_id, [budget.account_id])
        before = _latest(viewer, budget)
        if budget.archived_at is not None:
            raise ValidationError("This budget is archived: make a new one.")
        if before.amount == amount and _rules_of(viewer, before) == _as_set(rules):
            return before
        _check_nesting(viewer, budget, amount)
        version = _add_version(viewer, budget, before.number + 1, amount, rules, now)
        for use in budget_uses(viewer.organization_id, now, budget_ids=[budget.pk]):
            _carry_over(viewer, use, before, now)
        audit(viewer, "budget.changed", budget, budget.name, {"from": str(before.amount), "to": str(amount)})
    return version


def rename_budget(viewer: Viewer, budget: Budget, name: str, now: datetime) -> None:
    """Give it another name. Raises ValidationError."""
    require(viewer, "budget.edit")
    if not name.strip():
        raise ValidationError("A budget needs a name.")
    with transaction.atomic():
        before, budget.name = budget.name, name.strip()[:100]
        budget.save(update_fields=["name"])
        audit(viewer, "budget.renamed", budget, budget.name, {"from": before})


def archive_budget(viewer: Viewer, budget: Budget, now: datetime) -> None:
    """Stop looking at it; its alerts are resolved. Raises ValidationError while other budgets lie within it."""
    require(viewer, "budget.edit")
    with transaction.atomic():
        hold_accounts(viewer.organization_id, [budget.account_id])
        child = Budget.objects.visible_to(viewer).filter(parent=budget, archived_at=None).first()
        if child is not None:
            raise ValidationError(f"“{child.name}” lies within this budget: archive it first.")
        if budget.archived_at is None:
            budget.archived_at = now
            budget.save(update_fields=["archived_at"])
            alerts = Alert.objects.visible_to(viewer).filter(budget=budget, state__in=OPEN_STATES)
            close(now, list(alerts), "The budget was archived.")
            audit(viewer, "budget.archived", budget, budget.name)


def _check_parts(budget: Budget, account: Account) -> None:
    for part in (budget.workflow, budget.parent):
        if part is not None and part.account_id != account.pk:
            raise ValidationError("Choose a workflow and a budget of this account.")


def _check_nesting(viewer: Viewer, budget: Budget, amount: Decimal) -> None:
    """A part may not be given more than the whole, in the same period."""
    currency = budget.account.currency
    parent = budget.parent
    if parent is not None:
        if parent.archived_at is not None:
            raise ValidationError(f"“{parent.name}” is archived: choose a budget in force.")
        if (parent.period, parent.starts_on, parent.ends_on) != (budget.period, budget.starts_on, budget.ends_on):
            raise ValidationError(f"A budget within “{parent.name}” must have the same period as it.")
        most = Decimal(_latest(viewer, parent).amount)
        if amount > most:
            raise ValidationError(
                f"{money_text(amount, currency)} is more than the {money_text(most, currency)} of “{parent.name}”, "
                "which this budget lies within: lower it, or raise that one first."
            )
    for child in Budget.objects.visible_to(viewer).filter(parent_id=budget.pk, archived_at=None):
        least = Decimal(_latest(viewer, child).amount)
        if amount < least:
            raise ValidationError(
                f"“{child.name}” within this budget has {money_text(least, currency)}: lower that one first."
            )


def _latest(viewer: Viewer, budget: Budget) -> BudgetVersion:
    found: BudgetVersion = BudgetVersion.objects.visible_to(viewer).filter(budget=budget).latest("number")
    return found


def _rules_of(viewer: Viewer, version: BudgetVersion) -> set[Rule]:
    rows = BudgetRule.objects.visible_to(viewer).filter(version=version)
    return {(kind, Decimal(value)) for kind, value in rows.values_list("kind", "value")}


def _as_set(rules: Sequence[Rule]) -> set[Rule]:
    return {(str(kind), Decimal(value)) for kind, value in rules}


def _add_version(
    viewer: Viewer, budget: Budget, number: int, amount: Decimal, rules: Sequence[Rule], now: datetime
) -> BudgetVersion:
    own = {"organization_id": viewer.organization_id, "account": budget.account}
    version = BudgetVersion(
        **own,
        budget=budget,
        number=number,
        amount=amount,
        currency=budget.account.currency,
        created_by_id=viewer.user_id,
        created_at=now,
    )
    version.full_clean(exclude=["organization", "account", "budget", "created_by"])
    version.save()
    made = [BudgetRule(**own, version=version, kind=kind, value=value) for kind, value in sorted(_as_set(rules))]
    for rule in made:
        rule.full_clean(exclude=["organization", "account", "version"])
    BudgetRule.objects.bulk_create(made)
    return version


def _carry_over(viewer: Viewer, use: BudgetUse, before: BudgetVersion, now: datetime) -> None:
    """Record silently what the version before had crossed and this one has too; close what it has not."""
    recorded = Alert.objects.visible_to(viewer).filter(
        budget=use.budget, version=before, period_start=use.start, recovered_at=None
    )
    alerts = list(recorded)
    had = {(alert.kind, alert.threshold) for alert in alerts if alert.threshold is not None}
    figures = figures_of(viewer.organization_id, now, [use])[use.budget.pk]
    holds = {
        (rule.kind, rule.value)
        for rule in use.rules
        if rule.kind != BudgetRule.Kind.NEW_SOURCE and verdict(rule.kind, rule.value, figures) is not Verdict.CLEAR
    }
    kept = sorted(had & holds)
    raise_alerts(
        viewer.organization_id,
        now,
        [
            NewAlert(
                account_id=use.budget.account_id,
                kind=kind,
                crossing=_crossing(use, kind, value),
                headline=headline_of(kind, value, use, figures),
                severity=severity_of(kind, value, use.amount),
                budget_id=use.budget.pk,
                version_id=use.version.pk,
                workflow_id=use.budget.workflow_id,
                threshold=value,
                period_start=use.start,
                period_end=use.end,
                numbers=numbers_of(kind, use, figures),
                is_silent=True,
                data_through=use.data_through,
            )
            for kind, value in kept
        ],
    )
    over = [a for a in alerts if (a.kind, a.threshold) not in holds and a.state in OPEN_STATES]
    close(now, over, "The budget was changed, and this is not crossed any more.")


def _crossing(use: BudgetUse, kind: str, value: Decimal) -> str:
    prefix = crossing_of(use, kind, value)
    return f"{prefix}@{use.today}" if kind.startswith("velocity") else prefix
