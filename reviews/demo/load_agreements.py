"""Contracts, commits and vendor costs of the demo, made through the same actions as any customer's."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from accounts.models import Account
from budgets.actions.commits import NewCommit, Rollover, amend_commit, cancel_commit, create_commit, roll_over_commit
from budgets.actions.contracts import NewContract, create_contract
from budgets.models import Commit, Contract
from consumption_cs.lib.tenancy import Viewer
from reviews.demo.agreements import (
    AGREEMENTS,
    COSTS_DAYS_AGO,
    SECOND_CHANCE,
    VENDOR_COSTS,
    WORKFLOW_COSTS,
    CommitPlan,
    ContractPlan,
)
from usage.actions.vendor_costs import NewCost, add_costs
from usage.models import Meter, Workflow

Meters = dict[str, Meter]


def load_agreements(viewer: Viewer, account: Account, meters: Meters, told_from: date, now: datetime) -> None:
    """Make the contracts and commits of a new account, with what was changed about them since."""
    for plan in AGREEMENTS.get(account.key, ()):
        contract = create_contract(viewer, account, _contract(plan, told_from), now)
        for commit_plan in plan.commits:
            commit = create_commit(viewer, account, _commit(commit_plan, contract, account, meters, told_from), now)
            for change in commit_plan.amended:
                day = told_from - timedelta(days=change.days_ago)
                amend_commit(viewer, commit, Decimal(change.change), day, change.reason, now)
            if commit_plan.cancelled:
                days_ago, reason = commit_plan.cancelled
                cancel_commit(viewer, commit, told_from - timedelta(days=days_ago), reason, now)


def load_second_chances(viewer: Viewer, told_from: date, now: datetime) -> None:
    """Give again a part of what expired unused, where a plan says so; only what the ledger knows can be given."""
    for key, contracts in AGREEMENTS.items():
        for plan in (plan for contract in contracts for plan in contract.commits if plan.rolls_over):
            commits = Commit.objects.filter(organization_id=viewer.organization_id, account__key=key)
            commit = commits.filter(name=plan.name).select_related("account", "contract").first()
            if commit is None or commits.filter(rolled_from=commit).exists():
                continue
            new = Rollover(plan.rolls_over, told_from, told_from + timedelta(days=90), most=SECOND_CHANCE)
            roll_over_commit(viewer, commit, new, "They asked for another try before the renewal.", now)


def load_costs(viewer: Viewer, meters: Meters, told_from: date) -> None:
    """Add what units cost the vendor, where that is known."""
    day = told_from - timedelta(days=COSTS_DAYS_AGO)
    add_costs(
        viewer,
        [
            NewCost(meters[event_type], None, None, currency, Decimal(cost), day)
            for event_type, costs in VENDOR_COSTS.items()
            if event_type in meters
            for currency, cost in costs.items()
        ],
    )


def load_workflow_costs(viewer: Viewer, meters: Meters, told_from: date) -> None:
    """Add the costs of single workflows, which must be there by then."""
    day = told_from - timedelta(days=COSTS_DAYS_AGO)
    new = []
    for (account_key, workflow_key, event_type), cost in WORKFLOW_COSTS.items():
        workflows = Workflow.objects.filter(organization_id=viewer.organization_id, key=workflow_key)
        workflow = workflows.filter(account__key=account_key).select_related("account").first()
        if workflow is not None and event_type in meters:
            account = workflow.account
            new.append(NewCost(meters[event_type], account, workflow, account.currency, Decimal(cost), day))
    add_costs(viewer, new)


def _contract(plan: ContractPlan, told_from: date) -> NewContract:
    starts_on = told_from - timedelta(days=plan.starts)
    return NewContract(
        name=plan.name,
        starts_on=starts_on,
        ends_on=None if plan.days is None else starts_on + timedelta(days=plan.days),
        draw_policy=plan.policy,
        overage_factor=Decimal(plan.overage_factor),
        note=plan.note,
    )


def _commit(plan: CommitPlan, contract: Contract, account: Account, meters: Meters, told_from: date) -> NewCommit:
    return NewCommit(
        contract=contract,
        name=plan.name,
        kind=plan.kind,
        unit=plan.unit or account.currency,
        amount=Decimal(plan.amount),
        effective_on=told_from - timedelta(days=plan.starts),
        expires_on=told_from - timedelta(days=plan.ends),
        rate=Decimal(plan.rate) if plan.rate else None,
        priority=plan.priority,
        recurs_months=plan.recurs_months,
        rollover_most=Decimal(plan.rollover_most),
        rollover_months=plan.rollover_months,
        only_meters=tuple(meters[event_type].pk for event_type in plan.only),
        except_meters=tuple(meters[event_type].pk for event_type in plan.without),
    )
