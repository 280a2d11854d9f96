"""What happened to an account without anybody typing it: alerts, limits, plans, contract changes, health, signals."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import F, Window
from django.db.models.functions import Abs, Lag
from django.urls import reverse

from accounts.models import Account, Membership
from budgets.models import Alert, Commit, CommitChange, LimitEvent, PlannedActivity
from consumption_cs.lib.display import money_text
from consumption_cs.lib.periods import day_start, zone_of
from reviews.models import HealthDay, PlayRun, Signal, Task, TimelineEntry

MOST_COMMITS = 500
MOVED = 5  # points of health in a day that are worth a line
_ALERT_TONES = {"critical": "bad", "warning": "warn", "info": ""}
_MOST_MOVERS = 2


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the timeline. `groups`: the filters under which it shows; `entry` only for typed ones."""

    at: datetime
    key: str
    groups: frozenset[str]
    icon: str
    title: str
    by: str = ""
    text: str = ""
    tone: str = ""
    url: str = ""
    pill: str = ""
    pill_tone: str = ""
    entry: TimelineEntry | None = field(default=None, compare=False)


ALERT, TELEMETRY_ONLY, CUSTOMER = frozenset({"alert"}), frozenset({"telemetry"}), frozenset({"customer"})


def alerts(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return alerts that were told, each with its state."""
    rows = Alert.objects.filter(
        organization_id=account.organization_id, account=account, is_silent=False, raised_at__lte=until
    )
    for alert in rows.select_related("acknowledged_by").order_by("-raised_at", "-pk")[:take]:
        state = alert.get_state_display().lower()
        if alert.acknowledged_by and alert.state == Alert.State.ACKNOWLEDGED:
            state += f" by {alert.acknowledged_by}"
        yield Item(
            at=alert.raised_at,
            key=str(alert.pk),
            groups=ALERT,
            icon="bell",
            tone=_ALERT_TONES[alert.severity],
            title=alert.headline,
            by=f"Alert · {state}",
            url=reverse("budgets:alert", args=[account.pk, alert.pk]),
        )


def limits(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return the steps of limits, with who lifted one and why."""
    rows = LimitEvent.objects.filter(organization_id=account.organization_id, account=account, at__lte=until)
    events = list(rows.select_related("budget", "by").order_by("-at", "-pk")[:take])
    people = {event.by_id for event in events if event.by_id}
    seats = Membership.objects.filter(organization_id=account.organization_id, account=account, user__in=people)
    theirs = set(seats.values_list("user_id", flat=True)) if people else set()
    for event in events:
        spent = f"{money_text(event.used, account.currency)} of {money_text(event.amount, account.currency)}"
        by_customer = event.by_id in theirs
        yield Item(
            at=event.at,
            key=str(event.pk),
            groups=ALERT | CUSTOMER if by_customer else ALERT,
            icon="ban",
            tone="bad" if event.kind in ("acting", "reached") else "",
            title=f"{event.budget.name}: {event.get_kind_display().lower()}",
            by=f"Limit{f' · by {event.by}' if event.by else ''}{', customer' if by_customer else ''}",
            text=f"{spent}. {event.reason}".strip(),
        )


def plans(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return planned activities, when they were told."""
    rows = PlannedActivity.objects.filter(
        organization_id=account.organization_id, account=account, cancelled_at=None, created_at__lte=until
    )
    for plan in rows.select_related("created_by").order_by("-created_at", "-pk")[:take]:
        last = plan.ends_on - timedelta(days=1)
        days = f"{plan.starts_on:%b} {plan.starts_on.day}" + (
            f" to {last:%b} {last.day}" if last > plan.starts_on else ""
        )
        who = f" · by {plan.created_by}" if plan.created_by else ""
        yield Item(
            at=plan.created_at,
            key=str(plan.pk),
            groups=CUSTOMER if plan.by_customer else TELEMETRY_ONLY,
            icon="calendar",
            title=plan.name,
            by=f"{plan.get_kind_display()} planned{who}{', customer' if plan.by_customer else ''}",
            text=f"Planned for {days}.{_effect(plan, account)}",
        )


def _effect(plan: PlannedActivity, account: Account) -> str:
    if plan.extra_spend is not None:
        return f" Expected: {money_text(plan.extra_spend, account.currency, signed=True)}."
    if plan.change_percent is not None:
        return f" Expected: {plan.change_percent.normalize():+f}% of usual use."
    return ""


def commits(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return commits and what was agreed about them later, on the days from which they hold. Two queries.

    All of them at once: there are few, and one may hold from a day before it was written down.
    """
    own = {"organization_id": account.organization_id, "account": account}
    url, zone = reverse("budgets:commits", args=[account.pk]), zone_of(account.timezone)
    for commit in Commit.objects.filter(**own).order_by("-created_at", "-pk")[:MOST_COMMITS]:
        yield Item(
            at=min(commit.created_at, day_start(commit.effective_on, zone)),
            key=str(commit.pk),
            groups=TELEMETRY_ONLY,
            icon="wallet",
            title=f"{commit.name}: {money_text(commit.value, account.currency)}",
            by="Contract · commit begins",
            url=url,
        )
    changes = CommitChange.objects.filter(**own).select_related("commit")
    for change in changes.order_by("-created_at", "-pk")[:MOST_COMMITS]:
        amount = money_text(change.value_change, account.currency, signed=True) if change.value_change else ""
        yield Item(
            at=min(change.created_at, day_start(change.effective_on, zone)),
            key=str(change.pk),
            groups=TELEMETRY_ONLY,
            icon="wallet",
            title=f"{change.commit.name}: {change.get_kind_display().lower()}{f' {amount}' if amount else ''}",
            by=f"Contract{f' · by {change.actor_name}' if change.actor_name else ''}",
            text=change.reason,
            url=url,
        )


def health_moves(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return days on which health moved by MOVED points or more, with the measures that moved most."""
    rows = HealthDay.objects.filter(organization_id=account.organization_id, account=account, computed_at__lte=until)
    before = Window(Lag("score"), order_by=F("day").asc())
    parts = Window(Lag("parts"), order_by=F("day").asc())
    by = rows.annotate(before=before, parts_before=parts, by=Abs(F("score") - F("before")))
    zone = zone_of(account.timezone)
    for row in by.filter(by__gte=MOVED).order_by("-day")[:take]:
        change = row.score - row.before
        yield Item(
            at=min(day_start(row.day + timedelta(days=1), zone), row.computed_at),
            key=f"health-{row.day.isoformat()}",
            groups=TELEMETRY_ONLY,
            icon="trending-down" if change < 0 else "trending-up",
            tone="warn" if change < 0 else "good",
            title=f"Health {'fell' if change < 0 else 'rose'} {abs(change):.0f} points to {row.score:.0f}",
            by="Telemetry · health",
            text=_movers(row.parts, row.parts_before or []),
        )


def _movers(parts: list[dict[str, str | None]], before: list[dict[str, str | None]]) -> str:
    old = {part["measure"]: Decimal(part["points"] or 0) for part in before}
    moves = [
        (str(part.get("label") or part["measure"]), Decimal(part["points"] or 0) - old[part["measure"]])
        for part in parts
        if part["measure"] in old
    ]
    moves = sorted((move for move in moves if abs(move[1]) >= 1), key=lambda move: -abs(move[1]))
    return ", ".join(f"{label} {'+' if by > 0 else '−'}{abs(by):.0f}" for label, by in moves[:_MOST_MOVERS])


def signals(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return early warnings, when they began."""
    rows = Signal.objects.filter(organization_id=account.organization_id, account=account, opened_at__lte=until)
    for signal in rows.order_by("-opened_at", "-pk")[:take]:
        yield Item(
            at=signal.opened_at,
            key=str(signal.pk),
            groups=TELEMETRY_ONLY,
            icon="activity",
            tone="" if signal.closed_at else _ALERT_TONES.get(signal.severity, "warn"),
            title=signal.headline,
            by=f"Early warning · {'over' if signal.closed_at else 'still so'}",
        )


def runs(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return plays, when they began."""
    rows = PlayRun.objects.filter(organization_id=account.organization_id, account=account, started_at__lte=until)
    for run in rows.select_related("play", "started_by").order_by("-started_at", "-pk")[:take]:
        yield Item(
            at=run.started_at,
            key=str(run.pk),
            groups=TELEMETRY_ONLY,
            icon="layers",
            title=f"{run.play.name} began",
            by=f"Play · {f'by {run.started_by}' if run.started_by else 'by its condition'}",
            text=run.get_outcome_display() + "." if run.outcome else "",
            url=reverse("reviews:play_run", args=[account.pk, run.pk]),
        )


def done_by_customer(account: Account, until: datetime, take: int) -> Iterable[Item]:
    """Return shared tasks that the customer did."""
    seats = Membership.objects.filter(organization_id=account.organization_id, account=account)
    rows = Task.objects.filter(
        organization_id=account.organization_id,
        account=account,
        is_shared=True,
        done_at__lte=until,
        done_by__in=seats.values("user_id"),
    )
    for task in rows.select_related("done_by").order_by("-done_at", "-pk")[:take]:
        yield Item(
            at=task.done_at,
            key=str(task.pk),
            groups=CUSTOMER,
            icon="check-circle",
            tone="good",
            title=f"Done: {task.title}",
            by=f"Task · by {task.done_by}, customer",
        )


Source = Callable[[Account, datetime, int], Iterable[Item]]
TELEMETRY: tuple[tuple[frozenset[str], Source], ...] = (
    (ALERT, alerts),
    (ALERT | CUSTOMER, limits),
    (TELEMETRY_ONLY | CUSTOMER, plans),
    (TELEMETRY_ONLY, commits),
    (TELEMETRY_ONLY, health_moves),
    (TELEMETRY_ONLY, signals),
    (TELEMETRY_ONLY, runs),
    (CUSTOMER, done_by_customer),
)
