"""What an open alert has come to by now, and which limits would stop it, where and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from accounts.models import Account
from budgets.models import Alert, Anomaly, Limit, LimitState
from budgets.reports.alert_words import alert_facts
from budgets.reports.alerts import Step
from budgets.reports.budget_page import grace_text
from budgets.reports.budget_use import BudgetUse, budget_uses
from budgets.reports.headroom import limit_amount, limit_states
from budgets.reports.hourly_spend import hourly_spend
from consumption_cs.lib.display import counted, moment_text, money_text, percent_text, quantity_text
from consumption_cs.lib.periods import HOUR, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.reports.overview_words import Fact

ZERO = Decimal(0)
MOST_HOURS, PACE_HOURS = 400 * 24, 24


@dataclass(frozen=True, slots=True)
class Stop:
    """A limit that covers what the alert is about. `more`: what is spent until it acts, at the pace of now; `acts_at`
    is None when it would not act within its period, or acts by now (`is_reached`)."""

    use: BudgetUse
    limit: Limit
    at: Decimal
    more: Decimal
    reached_at: datetime | None
    acts_at: datetime | None
    is_reached: bool


def covering(viewer: Viewer, account: Account, alert: Alert, now: datetime) -> list[BudgetUse]:
    """Return the budgets that count what the alert is about: of the account, and of its workflow."""
    wanted = ("account",) if alert.workflow_id is None else ("account", "workflow")
    return [
        use
        for use in budget_uses(viewer.organization_id, now, [account.pk])
        if use.budget.pk == alert.budget_id
        or (use.budget.scope in wanted and use.budget.workflow_id in (None, alert.workflow_id))
    ]


def pace_now(viewer: Viewer, account: Account, anomaly: Anomaly) -> Decimal:
    """Return money an hour over the last day that was looked at, or since it began, of what the anomaly is of."""
    hours = max(min(anomaly.window_hours, PACE_HOURS), 1)
    since = anomaly.seen_until - hours * HOUR
    spent = hourly_spend(viewer, account, since, anomaly.seen_until, anomaly.workflow_id)
    return sum((money for _, money in spent), ZERO) / hours


def stops(
    viewer: Viewer, account: Account, alert: Alert, uses: Sequence[BudgetUse], pace: Decimal, now: datetime
) -> list[Stop]:
    """Return the limits that throttle or stop, the first to act first. `pace` is money an hour. Lifted ones do not."""
    found = []
    states = limit_states(viewer, account, now)
    for use in uses:
        limit = use.limit
        if limit is None or limit.action == Limit.Action.NOTIFY or alert.workflow_id in limit.exempt_workflows:
            continue
        if states.get(use.budget.pk) == LimitState.State.LIFTED:
            continue
        at = limit_amount(use)
        more = max(at - use.used, ZERO)
        hours = more / pace if pace > 0 else Decimal(MOST_HOURS)
        reached = now + timedelta(hours=float(min(hours, Decimal(MOST_HOURS))))
        is_reached = use.used >= at
        grace = timedelta(minutes=limit.grace_minutes or 0)
        inside = not is_reached and reached < use.end
        found.append(
            Stop(use, limit, at, more, reached if inside else None, reached + grace if inside else None, is_reached)
        )
    return sorted(found, key=lambda one: (not one.is_reached, one.acts_at is None, one.acts_at or now))


def facts_now(
    account: Account, alert: Alert, uses: Sequence[BudgetUse], acting: Sequence[Stop], pace: Decimal, now: datetime
) -> list[Fact]:
    """Return what is known by now of an open alert; of a closed one the figures that it was raised on."""
    raised = alert_facts(alert, account)
    if alert.state == Alert.State.RESOLVED:
        return raised
    anomaly = alert.anomaly
    if anomaly is None or anomaly.ended_at is not None:
        own = next((use for use in uses if use.budget.pk == alert.budget_id), None)
        if own is None:
            return raised
        first = Fact("Spent by now", money_text(own.used, account.currency), _of(own))
        return [first, *(fact for fact in raised if fact.label != "Budget")][:4]
    currency = account.currency
    usual = anomaly.expected / anomaly.window_hours if anomaly.window_hours else ZERO
    times = f"{quantity_text(anomaly.actual / anomaly.expected, places=1)}× usual" if anomaly.expected > 0 else ""
    facts = [
        Fact("Missing so far" if anomaly.impact < 0 else "Extra so far", _signed(anomaly.impact, currency), times),
        Fact("Pace now", f"{money_text(pace, currency)} an hour", f"usual {money_text(usual, currency)}"),
    ]
    if anomaly.kind != Anomaly.Kind.SILENCE:
        facts.append(_if_nobody_acts(acting, pace - usual, account))
    month = max((use for use in uses if use.budget.scope == "account"), key=lambda one: one.amount, default=None)
    if month is not None:
        facts.append(Fact(f"{month.budget.name} so far", money_text(month.used, currency, places=0), _of(month)))
    return facts


def _of(use: BudgetUse) -> str:
    return f"{percent_text(use.percent / 100, places=0)} of {money_text(use.amount, use.account.currency, places=0)}"


def _signed(amount: Decimal, currency: str) -> str:
    return money_text(amount, currency, signed=True)


def _if_nobody_acts(acting: Sequence[Stop], extra: Decimal, account: Account) -> Fact:
    zone, currency = zone_of(account.timezone), account.currency
    first = next((one for one in acting if one.acts_at or one.is_reached), None)
    if first is not None and first.acts_at is not None:
        note = f"by {moment_text(first.acts_at, zone)}, then “{first.use.budget.name}” {verb(first.limit)}"
        return Fact("If nobody acts", f"+{money_text(first.more, currency)} more", note)
    if first is not None:
        return Fact("If nobody acts", f"“{first.use.budget.name}” {verb(first.limit)}", "its limit is reached")
    if extra <= 0:
        return Fact("If nobody acts", "No more than usual", "by the pace of its last day", none=True)
    daily = f"+{money_text(extra * 24, currency, places=0)} a day"
    return Fact("If nobody acts", daily, "no limit stops it in this period", tone="warn")


def verb(limit: Limit) -> str:
    """Return what a limit does, as a verb."""
    words = "stops it" if limit.action == Limit.Action.STOP else "throttles it"
    return f"only says that it {words}" if limit.is_dry_run else words


def stop_words(one: Stop, account: Account) -> str:
    """Return the exact effect of a limit in one or two sentences."""
    limit, currency = one.limit, account.currency
    does = (
        "stops all use"
        if limit.action == Limit.Action.STOP
        else f"throttles use to {quantity_text(limit.throttle_percent)}% of its usual pace"
    )
    words = [f"At {money_text(one.at, currency)} it {does}, {grace_text(limit)}."]
    if limit.exempt_workflows:
        words.append(f"{counted(len(limit.exempt_workflows), 'workflow')} carry on.")
    if limit.is_dry_run:
        words.append("It is rehearsed: it tells, and nothing stops.")
    if one.is_reached:
        words.append("That amount is spent.")
    elif one.reached_at is not None:
        words.append(f"At the pace of now that is {moment_text(one.reached_at, zone_of(account.timezone))}.")
    else:
        words.append("At the pace of now it is not reached in this period.")
    return " ".join(words)


def ahead(account: Account, alert: Alert, acting: Sequence[Stop], pace: Decimal) -> list[Step]:
    """Return the steps of now and of what limits would do, at the pace of now, for the end of the timeline."""
    steps = []
    anomaly = alert.anomaly
    if anomaly is not None and anomaly.ended_at is None and alert.state != Alert.State.RESOLVED:
        usual = anomaly.expected / anomaly.window_hours if anomaly.window_hours else ZERO
        words = [money_text(amount, account.currency) for amount in (pace, usual)]
        steps.append(Step(anomaly.seen_until, "Still running", f"{words[0]} an hour, usual {words[1]}.", "now"))
    for one in acting:
        if one.reached_at is None or one.acts_at is None:
            continue
        title = f"Would reach {money_text(one.at, account.currency)} of “{one.use.budget.name}”"
        at = moment_text(one.acts_at, zone_of(account.timezone))
        steps.append(Step(one.reached_at, title, f"The limit {verb(one.limit)} from {at} at the latest.", "next"))
    return steps
