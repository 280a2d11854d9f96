"""What is left of an account's budgets and whether work may run now, in a few queries."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from budgets.calc.headroom import LimitNow, decide
from budgets.models import Budget, LimitState
from budgets.reports.budget_use import BudgetUse, budget_uses
from consumption_cs.lib.tenancy import Viewer
from usage.models import Workflow


@dataclass(frozen=True, slots=True)
class Headroom:
    """The answer: `uses` are the budgets that count the work asked about, with the state of each one's limit."""

    decision: str
    reason: str
    uses: list[tuple[BudgetUse, str]]

    @property
    def remaining(self) -> Decimal | None:
        """The least that is left of any of these budgets; None without one."""
        return min((use.remaining for use, _ in self.uses), default=None)


def headroom(
    viewer: Viewer,
    account: Account,
    now: datetime,
    *,
    workflow: Workflow | None = None,
    meter_key: str = "",
    cost: Decimal = Decimal(0),
    rehearsal: bool = False,
) -> Headroom:
    """Return what is left and the decision. Budgets of other workflows, other meters and of keys are left out."""
    uses = [
        use
        for use in budget_uses(viewer.organization_id, now, [account.pk])
        if _counts(use.budget, workflow, meter_key)
    ]
    states = limit_states(viewer, account, now)
    limits = [
        LimitNow(
            name=use.budget.name,
            action=use.limit.action,
            state=states.get(use.budget.pk, LimitState.State.CLEAR),
            amount=limit_amount(use),
            used=use.used,
            is_dry_run=use.limit.is_dry_run,
            is_exempt=workflow is not None and workflow.pk in use.limit.exempt_workflows,
        )
        for use in uses
        if use.limit is not None
    ]
    decision, reason = decide(limits, cost, rehearsal=rehearsal)
    return Headroom(decision, reason, [(use, states.get(use.budget.pk, LimitState.State.CLEAR)) for use in uses])


def limit_amount(use: BudgetUse) -> Decimal:
    """Return the amount at which the budget's limit is reached; the budget's own without a limit."""
    return use.amount * use.limit.percent / 100 if use.limit else use.amount


def limit_states(viewer: Viewer, account: Account, now: datetime) -> dict[UUID, str]:
    """Return where the limits of the account's budgets stand in the present period; one of a past period is clear."""
    rows = LimitState.objects.visible_to(viewer).filter(account=account, period_end__gt=now)
    return dict(rows.values_list("budget_id", "state"))


def _counts(budget: Budget, workflow: Workflow | None, meter_key: str) -> bool:
    if budget.scope == Budget.Scope.ACCOUNT:
        return True
    if budget.scope == Budget.Scope.WORKFLOW:
        return workflow is not None and budget.workflow_id == workflow.pk
    return budget.scope == Budget.Scope.METER and budget.meter is not None and budget.meter.key == meter_key
