"""Alerts as people read them: the list, one alert with its log and what was sent, and what may be done about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Q, QuerySet, When

from accounts.models import Account, Membership, User
from budgets.models import Alert, AlertEvent, Anomaly, BudgetRule, Delivery, LimitEvent
from consumption_cs.lib.tenancy import TenantQuerySet, Viewer

OPEN_STATES = (Alert.State.OPEN, Alert.State.ACKNOWLEDGED, Alert.State.SNOOZED)
VIEWS = {"open": "Open", "mine": "Mine", "resolved": "Resolved", "all": "All"}
_LIMIT_KINDS = {f"limit_{kind}": f"Limit: {label.lower()}" for kind, label in LimitEvent.Kind.choices}
KIND_NAMES: dict[str, str] = {
    **{kind: label.partition(",")[0] for kind, label in BudgetRule.Kind.choices},
    **dict(Anomaly.Kind.choices),
    **_LIMIT_KINDS,
}
FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "spend": ("Spend against a budget", ("actual_percent", "actual_amount", "under_use", "new_source")),
    "forecast": ("Forecast", ("forecast_over", "forecast_p50", "forecast_p90")),
    "pace": ("Pace", ("velocity_fast", "velocity_slow")),
    "commit": ("Commit", ("balance_below", "days_below")),
    "quality": ("Cost and success of outcomes", ("unit_cost", "success_below")),
    "unusual": ("Unusual usage", tuple(Anomaly.Kind.values)),
    "limit": ("Limits", tuple(_LIMIT_KINDS)),
}
_TONES = {Alert.Severity.CRITICAL: "bad", Alert.Severity.WARNING: "warn", Alert.Severity.INFO: "info"}
_URGENCY = Case(
    When(state=Alert.State.RESOLVED, then=9),
    When(severity=Alert.Severity.CRITICAL, then=0),
    When(severity=Alert.Severity.WARNING, then=1),
    default=2,
    output_field=IntegerField(),
)


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """What a reader asked for: one of VIEWS, one of FAMILIES, a severity, and words of the account or the headline."""

    view: str = "open"
    family: str = ""
    severity: str = ""
    words: str = ""

    @classmethod
    def read(cls, asked: Any) -> "AlertQuery":
        """Return the query of a request's parameters; what is unknown counts as not asked."""
        view, family, severity = (asked.get(name, "") for name in ("view", "kind", "severity"))
        return cls(
            view if view in VIEWS else "open",
            family if family in FAMILIES else "",
            severity if severity in Alert.Severity.values else "",
            asked.get("q", "")[:200].strip(),
        )


def told_alerts(viewer: Viewer, account: Account | None = None) -> TenantQuerySet:
    """Return the alerts that somebody was told of, of one account or of all that the viewer may see."""
    rows = Alert.objects.visible_to(viewer).filter(is_silent=False)
    return rows.filter(account=account) if account else rows


def find_alerts(viewer: Viewer, query: AlertQuery, account: Account | None = None) -> QuerySet[Alert]:
    """Return the alerts asked for, the most urgent first, and among those the newest."""
    rows = _in_view(told_alerts(viewer, account), query.view, viewer)
    if query.family:
        rows = rows.filter(kind__in=FAMILIES[query.family][1])
    if query.severity:
        rows = rows.filter(severity=query.severity)
    for word in query.words.split():
        rows = rows.filter(
            Q(headline__icontains=word) | Q(account__name__icontains=word) | Q(account__key__icontains=word)
        )
    related = rows.select_related("account", "anomaly", "budget", "workflow", "assigned_to", "acknowledged_by")
    return related.annotate(urgency=_URGENCY).order_by("urgency", "-raised_at", "-pk")


def view_counts(viewer: Viewer, account: Account | None = None) -> list[tuple[str, str, int]]:
    """Return (name, words, number of alerts) of each of VIEWS."""
    rows = told_alerts(viewer, account)
    counted = rows.aggregate(
        open=Count("pk", filter=Q(state__in=OPEN_STATES)),
        mine=Count("pk", filter=_mine(viewer) & Q(state__in=OPEN_STATES)),
        resolved=Count("pk", filter=Q(state=Alert.State.RESOLVED)),
        all=Count("pk"),
    )
    return [(name, words, counted[name]) for name, words in VIEWS.items()]


def _in_view(rows: TenantQuerySet, view: str, viewer: Viewer) -> TenantQuerySet:
    if view == "all":
        return rows
    if view == "resolved":
        return rows.filter(state=Alert.State.RESOLVED)
    rows = rows.filter(state__in=OPEN_STATES)
    return rows.filter(_mine(viewer)) if view == "mine" else rows


def _mine(viewer: Viewer) -> Q:
    """Assigned to the viewer; for staff also what nobody took of the accounts they look after."""
    mine = Q(assigned_to_id=viewer.user_id)
    if viewer.is_portal:
        return mine
    return mine | Q(assigned_to=None) & (Q(account__csm_id=viewer.user_id) | Q(account__field_cto_id=viewer.user_id))


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert of a list, with its state in words."""

    alert: Alert
    now: datetime

    @property
    def kind_name(self) -> str:
        return kind_name(self.alert)

    @property
    def tone(self) -> str:
        return alert_tone(self.alert)

    @property
    def state_name(self) -> str:
        return state_name(self.alert)

    @property
    def is_late(self) -> bool:
        """Whether it was escalated and nobody has acknowledged it yet."""
        return self.alert.escalated_at is not None and self.alert.state == Alert.State.OPEN


def alert_lines(alerts: Iterable[Alert], now: datetime) -> list[AlertLine]:
    """Return the alerts of a page as lines."""
    return [AlertLine(alert, now) for alert in alerts]


def kind_name(alert: Alert) -> str:
    """Return what kind of alert it is, in words."""
    return KIND_NAMES.get(alert.kind, alert.kind.replace("_", " ").capitalize())


def alert_tone(alert: Alert) -> str:
    """Return the tone of its pill: by severity while it is open."""
    if alert.state == Alert.State.RESOLVED:
        return "good"
    return _TONES[Alert.Severity(alert.severity)]


def state_name(alert: Alert) -> str:
    """Return its state in words; what is open and unusual is still running until the detector sees it end."""
    if alert.state == Alert.State.RESOLVED:
        return "Recovered" if alert.recovered_at else "Resolved"
    if alert.state == Alert.State.OPEN and alert.escalated_at:
        return "Escalated"
    anomaly = alert.anomaly if alert.anomaly_id else None
    if alert.state == Alert.State.OPEN and anomaly and anomaly.ended_at is None:
        return "Still running"
    return alert.get_state_display()


@dataclass(frozen=True, slots=True)
class Step:
    """A line of an alert's timeline. `tone` is a class of the timeline's dot: bad, good, now, next or nothing."""

    at: datetime
    title: str
    text: str = ""
    tone: str = ""
    is_internal: bool = False


_STEP_TONES = {
    AlertEvent.Kind.RAISED: "bad",
    AlertEvent.Kind.ESCALATED: "bad",
    AlertEvent.Kind.REOPENED: "bad",
    AlertEvent.Kind.ACKNOWLEDGED: "good",
    AlertEvent.Kind.RECOVERED: "good",
    AlertEvent.Kind.RESOLVED: "good",
}


def timeline(viewer: Viewer, alert: Alert, now: datetime) -> list[Step]:
    """Return what happened to the alert and what will, oldest first. Customers do not read internal comments."""
    known = _known_people(viewer, alert)
    steps = [
        Step(
            event.at,
            _step_title(event, known),
            event.text,
            _STEP_TONES.get(AlertEvent.Kind(event.kind), ""),
            event.is_internal,
        )
        for event in _events(viewer, alert)
    ]
    if alert.anomaly is not None and alert.anomaly.started_at < alert.raised_at:
        steps.append(
            Step(alert.anomaly.started_at, "It begins", "The first hour that was out of the ordinary.", "bad")
        )
    steps.sort(key=lambda step: step.at)
    if alert.state == Alert.State.SNOOZED and alert.snoozed_until and alert.snoozed_until > now:
        steps.append(Step(alert.snoozed_until, "The snooze ends", "It is open again then.", "next"))
    if alert.state == Alert.State.OPEN and alert.escalates_at and alert.escalates_at > now:
        steps.append(Step(alert.escalates_at, "Escalates", "Unless somebody acknowledges it before.", "next"))
    return steps


def _events(viewer: Viewer, alert: Alert) -> QuerySet[AlertEvent]:
    rows: QuerySet[AlertEvent] = AlertEvent.objects.visible_to(viewer).filter(alert=alert)
    if viewer.is_portal:
        rows = rows.filter(is_internal=False)
    return rows.select_related("by").order_by("at", "pk")


def _known_people(viewer: Viewer, alert: Alert) -> set[UUID] | None:
    """Return who may be named: for a customer the people of the account, since staff go by their company's name."""
    if not viewer.is_portal:
        return None
    return set(
        Membership.objects.visible_to(viewer).filter(account_id=alert.account_id).values_list("user_id", flat=True)
    )


def person_name(user: User | None, known: set[UUID] | None) -> str:
    """Return the name that a reader may see of who acted; nothing for a job."""
    if user is None:
        return ""
    return str(user) if known is None or user.pk in known else "your vendor"


def _step_title(event: AlertEvent, known: set[UUID] | None) -> str:
    words = str(AlertEvent.Kind(event.kind).label)
    name = person_name(event.by, known)
    return f"{words} by {name}" if name else words


def what_was_sent(viewer: Viewer, alert: Alert) -> list[Delivery]:
    """Return the messages about the alert that the viewer may know of, oldest first."""
    rows = Delivery.objects.visible_to(viewer).filter(alert=alert)
    if viewer.is_portal:
        rows = rows.filter(is_internal=False)
    return list(rows.select_related("destination", "membership__user").order_by("created_at", "pk"))


def silent_siblings(viewer: Viewer, alert: Alert) -> list[Alert]:
    """Return what was recorded at once with the alert and not told by itself: lower thresholds, and bundled ones."""
    rows = Alert.objects.visible_to(viewer).filter(account_id=alert.account_id)
    same = Q(budget_id=alert.budget_id, version_id=alert.version_id, raised_at=alert.raised_at, is_silent=True)
    wanted = Q(bundled_into=alert) | same if alert.budget_id else Q(bundled_into=alert)
    return list(rows.filter(wanted).exclude(pk=alert.pk).order_by("raised_at", "number")[:50])


def figure(alert: Alert, name: str) -> Decimal | None:
    """Return one of the numbers the alert was raised on, or None when it has no such number."""
    value = alert.numbers.get(name)
    return None if value in (None, "") else Decimal(str(value))


def people_of(viewer: Viewer, account: Account) -> dict[str, User]:
    """Return who an alert of the account can be given to, by id: its own people and, for staff, the vendor's."""
    seats = Membership.objects.visible_to(viewer).filter(Q(account=account) | Q(account=None))
    if viewer.is_portal:
        seats = seats.filter(account=account)
    found = seats.select_related("user").order_by("user__name", "user__email")[:200]
    return {str(seat.user_id): seat.user for seat in found}


def acknowledged_by(viewer: Viewer, alert: Alert) -> str:
    """Return the name of who acknowledged it, as the viewer may see it; nothing if nobody did."""
    return person_name(alert.acknowledged_by, _known_people(viewer, alert)) if alert.acknowledged_at else ""
