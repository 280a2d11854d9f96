"""What people did about the demo's alerts: answered, escalated, judged, credited; limits that acted; channels."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import F, Sum

from accounts.models import Account, Membership, Organization, Role
from budgets.actions.alerts import acknowledge, comment, judge, resolve, tick
from budgets.actions.budgets import NewBudget, create_budget
from budgets.actions.destinations import add_destination
from budgets.actions.evaluate import evaluate_now
from budgets.actions.forgiveness import approve, request_forgiveness
from budgets.actions.limits import NewLimit, set_limit
from budgets.models import Alert, Budget, BudgetRule, Delivery, Destination, Limit
from budgets.reports.forgiveness import working
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.models import UsageDay, Workflow

QUIET = "Kept here to be read: the demo sends nothing outside."
ANSWERED_AFTER, LOOKED_AFTER = timedelta(minutes=40), timedelta(hours=5)
EXPLAINED_AFTER = timedelta(hours=9)
REACHED_AGO = timedelta(hours=2)
LOOP, BACKFILL, THROTTLED, REHEARSED = "quanta", "cobalt", "helios", "quanta"
EXPLAINED = {
    "helios": ("Two depots scan anew what cannot be read. Sun-hi stops it after three tries.", Alert.Feedback.USEFUL),
    "northwind": ("It is the rate of annex 3, not more documents. Felix has it in writing.", Alert.Feedback.EXPECTED),
    "meridian": ("The export's password had expired. Joel renews it today.", Alert.Feedback.USEFUL),
}
YOUNG = Decimal(100)  # of a month: less was spent


def load_channels(organization: Organization) -> None:
    """A channel and a webhook, so that alerts are written for them too. Once."""
    with act_as(_seat(organization, Role.ADMIN)) as viewer:
        if Destination.objects.filter(organization=organization).exists():
            return
        address = "https://hooks.slack.com/services/demo"
        add_destination(viewer, None, Destination.Kind.SLACK, "#customer-alerts", address, "hooks.slack.com", [])
        url = f"https://hooks.{organization.key}.example/alerts"
        add_destination(viewer, None, Destination.Kind.WEBHOOK, "Operations webhook", url, url, [])


def load_alert_stories(organization: Organization, now: datetime) -> None:
    """Let people of the demo handle the alerts of the stories. Once; what is there stays."""
    with act_as(Viewer(organization.pk)):
        accounts = {account.key: account for account in Account.objects.filter(organization=organization)}
        is_told = Alert.objects.filter(organization=organization).exclude(feedback="").exists()
    if {LOOP, BACKFILL, THROTTLED} <= set(accounts) and not is_told:
        _answer_loop(accounts[LOOP])
        _escalate_backfill(accounts[BACKFILL], now)
        for key, (words, feedback) in EXPLAINED.items():
            if key in accounts:
                _explain(accounts[key], words, feedback, now)
        _throttle(accounts[THROTTLED], now)
        _rehearse(accounts[REHEARSED], now)
    _keep_quiet(organization, now)


def _answer_loop(account: Account) -> None:
    """The CSM answers within the hour, and the engineers find the loop."""
    with act_as(_manager(account)) as viewer:
        alert = _first(account)
        if alert is None:
            return
        answered = alert.raised_at + ANSWERED_AFTER
        acknowledge(viewer, alert, answered)
        comment(viewer, alert, "Called them: the new agent retries its own failures. They cap the retries.", answered)
        judge(viewer, alert, Alert.Feedback.USEFUL, answered)


def _escalate_backfill(account: Account, now: datetime) -> None:
    """Nobody answers for four hours; then it is known: a backfill by mistake, and its cost is given back."""
    with act_as(_manager(account)):
        alert = _first(account)
    if alert is None:
        return
    looked = alert.raised_at + LOOKED_AFTER
    tick(account.organization_id, looked)
    with act_as(_manager(account)) as viewer:
        acknowledge(viewer, alert, looked + ANSWERED_AFTER)
        judge(viewer, alert, Alert.Feedback.EXPECTED, looked + ANSWERED_AFTER)
        if working(viewer, account, alert, now).problem:  # so early in a month that it made no difference, say
            return
        asked = request_forgiveness(viewer, account, alert, "A backfill was started twice by mistake.", now)
    with act_as(_seat(account.organization, Role.FINANCE)) as viewer:
        approve(viewer, asked, "Once, as agreed: the job now asks before it starts.", now)


def _explain(account: Account, words: str, feedback: str, now: datetime) -> None:
    """The CSM asks, hears why within the day, and closes it."""
    with act_as(_manager(account)) as viewer:
        for alert in Alert.objects.filter(account=account, anomaly__isnull=False).order_by("number"):
            answered = min(alert.raised_at + ANSWERED_AFTER, now)
            acknowledge(viewer, alert, answered)
            comment(viewer, alert, words, answered)
            judge(viewer, alert, feedback, answered)
            resolve(viewer, alert, min(alert.raised_at + EXPLAINED_AFTER, now))


def _throttle(account: Account, now: datetime) -> None:
    """A workflow with a ceiling of its own that is reached: it is slowed down."""
    terms = NewLimit(Limit.Action.THROTTLE, grace_minutes=30, grace_percent=Decimal(0))
    _ceiling(account, "dispatch-agent", "Dispatch agent ceiling", terms, now)


def _rehearse(account: Account, now: datetime) -> None:
    """A stop that is tried out first: what it would have done is told, and nothing is stopped."""
    terms = NewLimit(Limit.Action.STOP, grace_minutes=30, grace_percent=Decimal(0), is_dry_run=True)
    _ceiling(account, "ticket-agent", "Ticket agent ceiling", terms, now)


def _ceiling(account: Account, key: str, name: str, terms: NewLimit, now: datetime) -> None:
    with act_as(_manager(account)) as viewer:
        workflow = Workflow.objects.get(account=account, key=key)
        days = UsageDay.objects.filter(workflow=workflow, day__gte=now.date().replace(day=1))
        spent = days.aggregate(sum=Sum("spend"))["sum"] or Decimal(0)
        if spent < YOUNG:  # nothing to reach yet
            return
        amount = (spent * Decimal("0.85")).quantize(Decimal(1))
        rules = ((BudgetRule.Kind.ACTUAL_PERCENT, Decimal(80)),)
        new = NewBudget(name, amount, rules, Budget.Scope.WORKFLOW, workflow=workflow)
        budget = create_budget(viewer, account, new, now - REACHED_AGO)
    _limited(account, budget, terms, now)


def _limited(account: Account, budget: Budget, terms: NewLimit, now: datetime) -> None:
    with act_as(_seat(account.organization, Role.ADMIN)) as viewer:
        set_limit(viewer, budget, terms, now - REACHED_AGO)
    for moment in (now - REACHED_AGO, now):  # reached, and then its grace is over
        evaluate_now(account.organization_id, moment, [str(account.pk)])


def _keep_quiet(organization: Organization, now: datetime) -> None:
    """Nothing leaves the demo: what was written for channels stays to be read, and they are switched off."""
    with act_as(Viewer(organization.pk)):
        rows = Delivery.objects.filter(
            organization=organization, destination__isnull=False, state=Delivery.State.WAITING
        )
        rows.update(state=Delivery.State.CANCELLED, note=QUIET)
        places = Destination.objects.filter(organization=organization, disabled_at=None)
        places.update(disabled_at=now, disabled_reason="The demo sends nothing to the outside.")


def _first(account: Account) -> Alert | None:
    """The alert of the detector; one that names the workflow rather than one of the account as a whole."""
    raised = Alert.objects.filter(account=account, anomaly__isnull=False)
    found: Alert | None = raised.order_by(F("anomaly__workflow").asc(nulls_last=True), "number").first()
    return found


def _manager(account: Account) -> Viewer:
    return Viewer(account.organization_id, None, Role.CSM, account.csm_id)


def _seat(organization: Organization, role: str) -> Viewer:
    """Who holds a role, or an admin where nobody does."""
    with act_as(Viewer(organization.pk)):
        seats = Membership.objects.filter(organization=organization, account=None, role__in=(role, Role.ADMIN))
        held = min(seats, key=lambda seat: seat.role != role)
    return Viewer(organization.pk, None, held.role, held.user_id)
