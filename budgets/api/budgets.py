"""Budgets over the API: what is used of them, making, changing and archiving them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as ConstraintError
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.http import viewer_of
from accounts.idempotency import idempotent
from accounts.models import Account
from budgets.actions.budgets import NewBudget, Rule, archive_budget, change_budget, create_budget, rename_budget
from budgets.api import budget_serializers as shapes
from budgets.models import Budget, Limit, LimitState
from budgets.reports.budget_use import BudgetUse, budget_uses
from budgets.reports.decided_budgets import Decided, decided_budgets
from budgets.reports.headroom import limit_states
from consumption_cs.lib.tenancy import Viewer
from usage.api.exact_fields import shown
from usage.api.read_schema import ReadSchema
from usage.api.reads import account_of_key
from usage.models import Meter, Workflow

_PLAIN = ("id", "name", "scope", "period", "dimension", "dimension_value", "starts_on", "ends_on")
_PLAIN_OF_LIMIT = ("action", "grace_minutes", "lift_roles", "lift_hours", "is_dry_run")
_SHARES = ("percent", "warn_percent", "grace_percent", "throttle_percent")
PART = ("scope", "dimension", "dimension_value", "period", "starts_on", "ends_on")


class BudgetListView(APIView):
    """The account's budgets in force with what is used of each. A POST makes one."""

    schema = ReadSchema()
    capability = "budget.view"
    write_capability = "budget.edit"

    @extend_schema(operation_id="accounts_budgets_list", responses=shapes.BudgetsSerializer)
    def get(self, request: Request, key: str) -> Response:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        return Response({"results": told(viewer, account)})

    @idempotent
    @extend_schema(request=shapes.NewBudgetSerializer, responses={201: shapes.BudgetSerializer})
    def post(self, request: Request, key: str) -> HttpResponseBase:
        viewer = viewer_of(request)
        account = account_of_key(viewer, key)
        wanted = asked(shapes.NewBudgetSerializer, request)
        new = NewBudget(
            name=wanted["name"],
            amount=wanted["amount"],
            rules=rules_of(wanted["rules"]),
            workflow=workflow_of(viewer, account, wanted.get("workflow")),
            meter=meter_of(viewer, wanted.get("meter")),
            parent=_parent(viewer, account, wanted.get("parent")),
            **{name: wanted[name] for name in PART if name in wanted},
        )
        try:
            made = create_budget(viewer, account, new, timezone.now())
        except ConstraintError as error:
            raise refusal(error) from error
        return Response(one(viewer, account, made.pk), status=status.HTTP_201_CREATED)


class BudgetView(APIView):
    """One budget. A PATCH changes its name, amount or rules; a DELETE archives it and resolves its alerts."""

    schema = ReadSchema()
    capability = "budget.view"
    write_capability = "budget.edit"

    @extend_schema(responses=shapes.BudgetSerializer)
    def get(self, request: Request, key: str, budget_id: UUID) -> Response:
        viewer = viewer_of(request)
        return Response(one(viewer, account_of_key(viewer, key), budget_id))

    @extend_schema(request=shapes.BudgetChangeSerializer, responses=shapes.BudgetSerializer)
    def patch(self, request: Request, key: str, budget_id: UUID) -> Response:
        viewer, now = viewer_of(request), timezone.now()
        budget = budget_of(viewer, key, budget_id)
        wanted = asked(shapes.BudgetChangeSerializer, request)
        (before,) = decided_budgets(viewer.organization_id, budget_ids=[budget.pk])
        rules = [(rule.kind, Decimal(rule.value)) for rule in before.rules]
        try:
            if "name" in wanted:
                rename_budget(viewer, budget, wanted["name"], now)
            if "amount" in wanted or "rules" in wanted:
                amount = wanted.get("amount", Decimal(before.version.amount))
                change_budget(viewer, budget, amount, rules_of(wanted["rules"]) if "rules" in wanted else rules, now)
        except ConstraintError as error:
            raise refusal(error) from error
        return Response(one(viewer, budget.account, budget.pk))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key: str, budget_id: UUID) -> Response:
        viewer = viewer_of(request)
        budget = budget_of(viewer, key, budget_id)
        try:
            archive_budget(viewer, budget, timezone.now())
        except ConstraintError as error:
            raise refusal(error) from error
        return Response(status=status.HTTP_204_NO_CONTENT)


def asked(shape: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    """Return what was sent. Raises ValidationError."""
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    found: dict[str, Any] = _exact(given.validated_data)
    return found


def _exact(value: Any) -> Any:
    """The field writes out all its places; an amount has those that were sent."""
    if isinstance(value, Decimal):
        return Decimal(shown(value))
    if isinstance(value, dict):
        return {name: _exact(part) for name, part in value.items()}
    return [_exact(part) for part in value] if isinstance(value, list) else value


def refusal(error: ConstraintError) -> ValidationError:
    """Return what an action refused as the API says it: by field where it names one."""
    if hasattr(error, "error_dict"):
        found = {
            "non_field_errors" if name == "__all__" else name: words for name, words in error.message_dict.items()
        }
        return ValidationError(found)
    return ValidationError({"non_field_errors": error.messages})


def budget_of(viewer: Viewer, key: str, budget_id: UUID) -> Budget:
    """Return a budget in force of the account. Raises Http404."""
    account = account_of_key(viewer, key)
    rows = Budget.objects.visible_to(viewer).filter(account=account, pk=budget_id, archived_at=None)
    budget: Budget | None = rows.select_related("account").first()
    if budget is None:
        raise Http404("The account has no such budget.")
    return budget


def workflows_of(viewer: Viewer, account: Account, keys: Sequence[str]) -> list[UUID]:
    """Return the ids of the account's workflows with these keys. Raises ValidationError for an unknown one."""
    found = dict(Workflow.objects.visible_to(viewer).filter(account=account, key__in=keys).values_list("key", "pk"))
    for key in keys:
        if key not in found:
            raise ValidationError({"exempt_workflows": [f"This account has no workflow with the key “{key[:60]}”."]})
    return [found[key] for key in dict.fromkeys(keys)]


def one(viewer: Viewer, account: Account, budget_id: UUID) -> dict[str, Any]:
    """Return one budget as the API shows it. Raises Http404."""
    rows = told(viewer, account, budget_id)
    if not rows:
        raise Http404("The account has no such budget.")
    return rows[0]


def told(viewer: Viewer, account: Account, budget_id: UUID | None = None) -> list[dict[str, Any]]:
    """Return the account's budgets in force, or one of them, as the API shows them."""
    now = timezone.now()
    decided = [
        row
        for row in decided_budgets(viewer.organization_id, [account.pk], None if budget_id is None else [budget_id])
    ]
    uses = {use.budget.pk: use for use in budget_uses(viewer.organization_id, now, decided=decided)}
    states = limit_states(viewer, account, now)
    exempt = {pk for row in decided if row.limit for pk in row.limit.exempt_workflows}
    keys = dict(Workflow.objects.visible_to(viewer).filter(pk__in=exempt).values_list("pk", "key")) if exempt else {}
    return [_budget(account, row, uses.get(row.budget.pk), states, keys) for row in decided]


def _budget(
    account: Account, row: Decided, use: BudgetUse | None, states: dict[UUID, str], keys: dict[UUID, str]
) -> dict[str, Any]:
    budget = row.budget
    return {
        **{name: getattr(budget, name) for name in _PLAIN},
        "account": account.key,
        "workflow": budget.workflow.key if budget.workflow else None,
        "meter": budget.meter.key if budget.meter else None,
        "parent": budget.parent_id,
        "by_customer": budget.by_customer,
        "created_at": budget.created_at,
        "currency": account.currency,
        "amount": shown(Decimal(row.version.amount)),
        "version": row.version.number,
        "rules": [{"kind": rule.kind, "value": shown(Decimal(rule.value))} for rule in row.rules],
        "period_start": use.start if use else None,
        "period_end": use.end if use else None,
        "used": shown(use.used) if use else None,
        "remaining": shown(use.remaining) if use else None,
        "data_through": use.data_through if use else None,
        "limit": _limit(row.limit, Decimal(row.version.amount), keys) if row.limit else None,
        "limit_state": states.get(budget.pk, LimitState.State.CLEAR),
    }


def _limit(limit: Limit, amount: Decimal, keys: dict[UUID, str]) -> dict[str, Any]:
    return {
        **{name: getattr(limit, name) for name in _PLAIN_OF_LIMIT},
        **{name: shown(Decimal(getattr(limit, name))) for name in _SHARES},
        "amount": shown(amount * limit.percent / 100),
        "exempt_workflows": [keys[pk] for pk in limit.exempt_workflows if pk in keys],
        "version": limit.number,
    }


def rules_of(rows: Sequence[dict[str, Any]]) -> list[Rule]:
    """Return rules as actions take them."""
    return [(row["kind"], row["value"]) for row in rows]


def workflow_of(viewer: Viewer, account: Account, key: str | None) -> Workflow | None:
    """Return the account's workflow with this key, if one was named. Raises ValidationError."""
    if key is None:
        return None
    found: Workflow | None = Workflow.objects.visible_to(viewer).filter(account=account, key=key).first()
    if found is None:
        raise ValidationError({"workflow": ["This account has no workflow with this key."]})
    return found


def meter_of(viewer: Viewer, key: str | None) -> Meter | None:
    """Return the meter with this key, if one was named. Raises ValidationError."""
    if key is None:
        return None
    found: Meter | None = Meter.objects.visible_to(viewer).filter(key=key).first()
    if found is None:
        raise ValidationError({"meter": ["No meter has this key."]})
    return found


def _parent(viewer: Viewer, account: Account, budget_id: UUID | None) -> Budget | None:
    if budget_id is None:
        return None
    found: Budget | None = Budget.objects.visible_to(viewer).filter(account=account, pk=budget_id).first()
    if found is None:
        raise ValidationError({"parent": ["The account has no such budget: see its budgets for their ids."]})
    return found
