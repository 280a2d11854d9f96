"""Budgets of the demo, and the alerts that its bill-shock stories raised when they happened."""

from datetime import date, datetime
from decimal import Decimal

from django.db.models import Sum

from accounts.models import Account, Organization, Role
from budgets.actions.budgets import NewBudget, create_budget
from budgets.actions.detect import detect
from budgets.models import AlertTerms, Budget, BudgetRule
from consumption_cs.lib.periods import HOUR, add_months
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.demo.alert_stories import load_channels
from usage.models import AccountDay, UsageDay, Workflow

LOOKED_HOURS, EACH_HOURS = 96, 4  # the stories of the last four days, as the hourly look would have seen them
ROOM = Decimal("1.15")  # a budget is last month's spend and a little
RULES = (
    (BudgetRule.Kind.ACTUAL_PERCENT, Decimal(50)),
    (BudgetRule.Kind.ACTUAL_PERCENT, Decimal(80)),
    (BudgetRule.Kind.ACTUAL_PERCENT, Decimal(100)),
    (BudgetRule.Kind.FORECAST_OVER, Decimal(90)),
)
PACE = (BudgetRule.Kind.VELOCITY_FAST, Decimal(4))
# account → the workflow with a budget of its own within the account's
WATCHED = {"northwind": "claims-triage", "cobalt": "report-writer", "quanta": "ticket-agent"}
RUN_OUT = (BudgetRule.Kind.DAYS_BELOW, Decimal(120))
BURNS_UP = ("helios", "vertex")  # commits that end before their term
SENSITIVE = {"cobalt": Decimal(50), "quanta": Decimal(40)}  # impact that they want to hear of


def load_alerts(organization: Organization, told_from: date, now: datetime) -> None:
    """Give accounts that spend a monthly budget, and look at the last days as they passed. Once."""
    with act_as(Viewer(organization.pk)):
        if Budget.objects.filter(organization=organization).exists():
            return
        accounts = list(Account.objects.filter(organization=organization).order_by("key"))
    for account in accounts:
        with act_as(_manager(account)) as viewer:
            _load_budgets(viewer, account, told_from, now)
    load_channels(organization)
    for hours_ago in range(LOOKED_HOURS, -1, -EACH_HOURS):
        detect(organization.pk, now - hours_ago * HOUR)


def _manager(account: Account) -> Viewer:
    return Viewer(account.organization_id, None, Role.CSM, account.csm_id)


def _load_budgets(viewer: Viewer, account: Account, told_from: date, now: datetime) -> None:
    if account.key in SENSITIVE:
        AlertTerms.objects.create(
            organization_id=account.organization_id,
            account=account,
            least_impact=SENSITIVE[account.key],
            least_percent_of_week=3,
        )
    this_month = told_from.replace(day=1)
    days = AccountDay.objects.filter(account=account, day__gte=add_months(this_month, -1), day__lt=this_month)
    amount = _round(days.aggregate(sum=Sum("spend"))["sum"])
    if amount is None:
        return
    rules = (*RULES, PACE, RUN_OUT) if account.key in BURNS_UP else (*RULES, PACE)
    whole = create_budget(viewer, account, NewBudget("Monthly spend", amount, rules), now)
    workflow = Workflow.objects.filter(account=account, key=WATCHED.get(account.key, "")).first()
    if workflow is None:
        return
    spent = UsageDay.objects.filter(workflow=workflow, day__gte=add_months(this_month, -1), day__lt=this_month)
    part = _round(spent.aggregate(sum=Sum("spend"))["sum"])
    if part is not None:
        scope = Budget.Scope.WORKFLOW
        within = NewBudget(workflow.name, min(part, amount), (*RULES, PACE), scope, workflow=workflow, parent=whole)
        create_budget(viewer, account, within, now)


def _round(spent: Decimal | None) -> Decimal | None:
    """Last month's spend with room, on two figures; None for next to nothing."""
    if not spent or spent < 10:
        return None
    wanted = spent * ROOM
    step = Decimal(10) ** (wanted.adjusted() - 1)
    return (wanted / step).quantize(Decimal(1)) * step
