"""The demo's bill-shock stories beside the alerts that would have prevented them."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F, Q

from accounts.models import Account
from budgets.models import Alert, Anomaly, Budget, BudgetRule, Delivery, Forgiveness, LimitEvent
from consumption_cs.lib.display import counted
from consumption_cs.lib.periods import add_months, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer

_ANOMALY = ("spike", "step", "leak")
_MUTED = ("muted",)
_LIMIT = ("limit_acting", "limit_would_act", "limit_reached")
# account → the kind of shock, what would have come of it, the alerts that tell of it
SHOCKS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("quanta", "Runaway loop", "An agent retries its own failures day and night until the invoice comes.", _ANOMALY),
    (
        "cobalt",
        "Backfill that nobody announced",
        "One day costs several times the usual, and is seen weeks later.",
        _ANOMALY,
    ),
    (
        "quanta",
        "A month that goes over",
        "The budget is spent before the month ends.",
        (BudgetRule.Kind.FORECAST_OVER,),
    ),
    (
        "helios",
        "Burning too fast",
        "The commit is used up long before its term; the rest is overage.",
        (BudgetRule.Kind.DAYS_BELOW,),
    ),
    (
        "vertex",
        "Exhausted commit",
        "Use goes on beyond the commit at the contract rate.",
        (BudgetRule.Kind.DAYS_BELOW, BudgetRule.Kind.ACTUAL_PERCENT),
    ),
    (
        "helios",
        "A leak",
        "A little more each day: nobody looks, and in a month it has doubled.",
        ("leak", "step", "spike"),
    ),
    ("northwind", "A price that went up", "A new rate is seen first on the invoice.", (BudgetRule.Kind.UNIT_COST,)),
    ("meridian", "Silence", "An export stopped: nothing is used, and the commit lapses.", ("silence",)),
    ("juniper", "A batch that was announced", "An alarm for nothing, so that the next one is not read.", _MUTED),
    ("helios", "A ceiling that slows down", "One workflow eats what was meant for all.", _LIMIT),
    ("quanta", "A stop that is tried out first", "A limit nobody tried stops the wrong work.", _LIMIT),
)


@dataclass(frozen=True, slots=True)
class Told:
    """One story: what would have happened, the alert, its cause in words, and what was sent to whom."""

    account: Account
    title: str
    shock: str
    alert: Alert | None
    lead: str
    cause: str
    sent: Sequence[str]
    answer: str
    muted: Anomaly | None = None  # what was found, and kept quiet because it had been announced


def told_stories(viewer: Viewer) -> list[Told]:
    """Return each story of the viewer's organization with its first alert; `alert` is None where none was raised."""
    accounts = {account.key: account for account in Account.objects.visible_to(viewer)}
    return [_told(viewer, accounts[key], *story) for key, *story in SHOCKS if key in accounts]  # type: ignore[arg-type]


def _told(viewer: Viewer, account: Account, title: str, shock: str, kinds: tuple[str, ...]) -> Told:
    if kinds == _MUTED:
        return Told(account, title, shock, None, "", "", [], "", _muted(viewer, account))
    raised = Alert.objects.visible_to(viewer).filter(account=account, kind__in=kinds)
    alert = min(raised.select_related("anomaly"), key=lambda one: _fitness(one, kinds), default=None)
    if alert is None:
        return Told(account, title, shock, None, "", "", [], "")
    return Told(
        account, title, shock, alert, _lead(alert), _cause(alert), _sent(viewer, alert), _answer(viewer, alert)
    )


def _muted(viewer: Viewer, account: Account) -> Anomaly | None:
    found = Anomaly.objects.visible_to(viewer).filter(account=account, muted_by__isnull=False)
    row: Anomaly | None = found.select_related("muted_by").order_by(F("workflow").asc(nulls_last=True)).first()
    return row


def _fitness(alert: Alert, kinds: tuple[str, ...]) -> tuple[int, int]:
    """The lowest tells the story best: what names the workflow, then the kinds in order."""
    if alert.anomaly is not None:
        return (0 if alert.anomaly.workflow_id else 1, alert.number)
    return (kinds.index(alert.kind), alert.number)


def _lead(alert: Alert) -> str:
    """How long before the bill it came: the period's end, or the end of the month that an anomaly is billed in."""
    ends = alert.period_end if alert.budget_id else None
    if ends is None:
        local = alert.raised_at.astimezone(zone_of(alert.account.timezone))
        ends = day_start(add_months(local.date().replace(day=1), 1), zone_of(alert.account.timezone))
    days = (ends - alert.raised_at).days
    is_month = alert.budget is None or alert.budget.period == Budget.Period.MONTH
    return f"{counted(days, 'day')} before {'the month was billed' if is_month else 'its period ends'}"


def _cause(alert: Alert) -> str:
    if alert.kind in _LIMIT:
        event = LimitEvent.objects.filter(organization_id=alert.organization_id, budget=alert.budget_id)
        kinds = [str(LimitEvent.Kind(kind).label) for kind in event.order_by("at").values_list("kind", flat=True)]
        return " → ".join(kinds)
    verdict = (alert.cause or {}).get("verdict") or {}
    return str(verdict.get("words", ""))


def _sent(viewer: Viewer, alert: Alert) -> list[str]:
    """To whom it went. Steps of a limit are told by themselves, under the step's own key."""
    of_it = Q(alert=alert)
    if alert.kind in _LIMIT:
        kind = alert.kind.removeprefix("limit_")
        for step in LimitEvent.objects.visible_to(viewer).filter(budget=alert.budget_id, kind=kind):
            of_it |= Q(key__startswith=f"limit.{kind}:{step.pk}:")
    rows = Delivery.objects.visible_to(viewer).filter(of_it).select_related("destination").order_by("created_at")
    return list(dict.fromkeys(_line(row) for row in rows))


def _line(row: Delivery) -> str:
    receiver = row.destination.name if row.destination else row.email
    return f"{receiver}: {row.note or row.get_state_display().lower()}"


def _answer(viewer: Viewer, alert: Alert) -> str:
    words = [str(alert.get_state_display())]
    if alert.feedback:
        words.append(f"judged “{alert.get_feedback_display().lower()}”")
    asked = Forgiveness.objects.visible_to(viewer).filter(alert=alert).first()
    if asked is not None:
        words.append(f"credit {asked.get_state_display().lower()}")
    return ", ".join(words)
