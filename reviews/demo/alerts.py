"""Budgets of the demo, and when it is looked at, so that alerts are raised when they would have been."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Sum

from accounts.models import Account, Organization, Role
from budgets.actions.budgets import NewBudget, create_budget
from budgets.actions.planned import NewPlan, plan_activity
from budgets.models import AlertTerms, Budget, BudgetRule
from consumption_cs.lib.periods import HOUR, add_months
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.demo.alert_stories import load_channels
from reviews.demo.stories import ARCHIVE_AGO
from usage.models import AccountDay, UsageDay, Workflow

LEAST_DAYS, EACH_HOURS = 12, 6
FINE_HOURS = range(102, 57, -3)  # the stories of three days ago begin within them
DEAR = ("northwind", "invoice-ocr", Decimal("0.0735"))  # what an outcome may cost
DEAR_DAYS, DEAR_AHEAD, DEAR_AMOUNT = 45, 30, Decimal(15000)
ANNOUNCED = "juniper"
ROOM = Decimal("1.15")  # a budget is last month's spend and a little
RULES = (
    (BudgetRule.Kind.ACTUAL_PERCENT, Decimal(80)),
    (BudgetRule.Kind.ACTUAL_PERCENT, Decimal(100)),
    (BudgetRule.Kind.FORECAST_OVER, Decimal(90)),
)
PACE = (BudgetRule.Kind.VELOCITY_FAST, Decimal(4))
# account → the workflow with a budget of its own within the account's
WATCHED = {"northwind": "claims-triage", "cobalt": "report-writer", "quanta": "ticket-agent"}
RUN_OUT = (BudgetRule.Kind.DAYS_BELOW, Decimal(120))
BURNS_UP = ("helios", "vertex")  # commits that end before their term
SENSITIVE = {"cobalt": Decimal(50), "quanta": Decimal(40), "meridian": Decimal(20)}  # impact that they want to hear of


def replayed_moments(organization: Organization, told_from: date, now: datetime) -> list[datetime]:
    """Return the moments at which the demo is settled as it would have been, the oldest first; empty: it is there.

    They begin with the month: the demo's budgets do too. Each day, and often while the stories happen. Where there
    are no stories of bill shock, that is the beginning and the end.
    """
    with act_as(Viewer(organization.pk)):
        if Budget.objects.filter(organization=organization).exists():
            return []
        has_stories = Account.objects.filter(organization=organization, key__in=SENSITIVE).exists()
    begins = 24 * max(told_from.day, LEAST_DAYS) - 36  # the first of the month has begun everywhere
    hours = [begins, 0]
    if has_stories:
        hours = [*range(begins, FINE_HOURS.start, -24), *FINE_HOURS, *range(FINE_HOURS.stop - 3, -1, -EACH_HOURS)]
    return [now - ago * HOUR for ago in hours]


def load_budgets(organization: Organization, told_from: date, at: datetime) -> None:
    """Give accounts that spend a monthly budget, and somebody to tell."""
    with act_as(Viewer(organization.pk)):
        accounts = list(Account.objects.filter(organization=organization).order_by("key"))
    for account in accounts:
        with act_as(_manager(account)) as viewer:
            _load_budgets(viewer, account, told_from, at)
            if account.key == ANNOUNCED:
                _announce(viewer, account, told_from)
            if account.key == DEAR[0]:
                _watch_unit_cost(viewer, account, told_from, at)
    load_channels(organization)


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
    rules = (*RULES, RUN_OUT) if account.key in BURNS_UP else RULES
    if account.key not in WATCHED and account.key != ANNOUNCED:  # there the workflow says it first
        rules = (*rules, PACE)
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


def _announce(viewer: Viewer, account: Account, told_from: date) -> None:
    """They say before that a batch comes: what it does is recorded, and nobody is called."""
    day = told_from - timedelta(days=ARCHIVE_AGO)
    plan = NewPlan("backfill", "Summaries of the archive of 2019", day, day + timedelta(days=1))
    plan_activity(viewer, account, plan)


def _watch_unit_cost(viewer: Viewer, account: Account, told_from: date, at: datetime) -> None:
    _, key, most = DEAR
    workflow = Workflow.objects.get(account=account, key=key)
    first, after = told_from - timedelta(days=DEAR_DAYS), told_from + timedelta(days=DEAR_AHEAD)
    rules = ((BudgetRule.Kind.UNIT_COST, most),)
    period = Budget.Period.CUSTOM
    new = NewBudget(
        "Cost of a document", DEAR_AMOUNT, rules, Budget.Scope.WORKFLOW, period, workflow, starts_on=first,
        ends_on=after,
    )  # fmt: skip
    create_budget(viewer, account, new, at)


def _round(spent: Decimal | None) -> Decimal | None:
    """Last month's spend with room, on two figures; None for next to nothing."""
    if not spent or spent < 10:
        return None
    wanted = spent * ROOM
    step = Decimal(10) ** (wanted.adjusted() - 1)
    return (wanted / step).quantize(Decimal(1)) * step
