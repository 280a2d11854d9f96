"""All that somebody wants to know of an account before they speak to it, each figure as the customer sees it too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from budgets.models import Alert
from budgets.reports.alerts import OPEN_STATES, told_alerts
from budgets.reports.burndown import Burndown, burndown
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc import production
from reviews.calc.changed import Move, moves
from reviews.models import RenewalCall, TimelineEntry
from reviews.reports.health import HealthShown, shown_health
from reviews.reports.measured import Measured, latest_metrics, metrics_on
from reviews.reports.people_then import TOUCHES
from reviews.reports.plays import RunShown, open_runs
from reviews.reports.queue import order_of
from reviews.reports.workflow_days import WorkflowDays, workflow_days
from usage.calc.intervals import wilson
from usage.models import Workflow

QUIET_DAYS = 14  # without a touch, changes are told since then
MOST_ALERTS = 5
RUNS, DAYS, WINDOW = 20, 8, 28


@dataclass(frozen=True, slots=True)
class Gate:
    """One entry criterion of the next rung: whether telemetry ticks it, in words."""

    words: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class Rung:
    """One workflow on the ladder. Spend of 28 closed days in the account's currency; rates are ratios or None."""

    id: UUID
    name: str
    stage: str
    step: int  # rungs reached, of 5
    spend: Decimal
    success: float | None
    target: Decimal | None
    finished: int
    gates: tuple[Gate, ...]
    interval: tuple[float, float] | None = None

    @property
    def is_below(self) -> bool:
        return self.success is not None and self.target is not None and self.success < float(self.target)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the account stands in the viewer's book: number `at` of `of`, and its neighbours."""

    at: int
    of: int
    previous: UUID | None
    next: UUID | None


@dataclass(frozen=True, slots=True)
class Brief:
    """The brief of an account at a moment. `since`: the day that changes are told from."""

    account: Account
    today: date
    since: date
    touch: TimelineEntry | None
    found: Measured
    before: Measured
    moves: list[Move]
    health: HealthShown
    seen: Burndown
    alerts: Sequence[Alert]
    alert_count: int
    runs: list[RunShown]
    rungs: list[Rung]
    opinion: RenewalCall | None

    @property
    def live(self) -> int:
        """Workflows at the rung of production or above."""
        return sum(rung.stage in production.LIVE for rung in self.rungs)

    @property
    def spend(self) -> Decimal:
        return sum((rung.spend for rung in self.rungs), Decimal(0))


def brief(viewer: Viewer, account: Account, now: datetime) -> Brief:
    """Return it; about forty statements, whatever the account's size. Within `act_as(viewer)`."""
    today = day_of(as_utc(now), zone_of(account.timezone))
    touch = _touch(viewer, account, now)
    since = day_of(touch.at, zone_of(account.timezone)) if touch else today - timedelta(days=QUIET_DAYS)
    since = min(since, today - timedelta(days=1))
    found = latest_metrics(viewer.organization_id, [account.pk])[account.pk]
    before = metrics_on(viewer.organization_id, [account.pk], since)[account.pk]
    alerts = told_alerts(viewer, account).filter(state__in=OPEN_STATES).order_by("-raised_at")
    shown = list(alerts.select_related("acknowledged_by", "budget", "workflow")[: MOST_ALERTS + 1])
    calls = RenewalCall.objects.visible_to(viewer).filter(account=account).select_related("by")
    return Brief(
        account=account,
        today=today,
        since=since,
        touch=touch,
        found=found,
        before=before,
        moves=moves(_numbers(before), _numbers(found)),
        health=shown_health(viewer.organization_id, [account.pk], now, since=since)[account.pk],
        seen=burndown(viewer, account, now),
        alerts=shown[:MOST_ALERTS],
        alert_count=len(shown) if len(shown) <= MOST_ALERTS else alerts.count(),
        runs=open_runs(viewer, [account.pk], now).get(account.pk, []),
        rungs=rungs_of(viewer, account, today),
        opinion=calls.order_by("-at", "-pk").first(),
    )


def rungs_of(viewer: Viewer, account: Account, today: date) -> list[Rung]:
    """Return the account's workflows with their gates, the highest rung first, then by spend."""
    days = workflow_days(viewer.organization_id, {str(account.pk): today}).get(str(account.pk), [])
    flows = {flow.pk: flow for flow in Workflow.objects.visible_to(viewer).filter(account=account)}
    found = [_rung(flows[one.workflow_id], one) for one in days if one.workflow_id in flows]
    return sorted(found, key=lambda rung: (-rung.step, -rung.spend, rung.name.lower()))


def _rung(flow: Workflow, days: WorkflowDays) -> Rung:
    finished, successes = float(days.finished[-WINDOW:].sum()), float(days.successes[-WINDOW:].sum())
    rate = successes / finished if finished >= production.ENOUGH_FINISHED else None
    step = production.LADDER.index(flow.stage) if flow.stage in production.LADDER else 0
    ends = wilson(int(successes), int(finished)) if rate is not None else None
    return Rung(
        flow.pk,
        flow.name,
        flow.stage,
        step,
        Decimal(repr(float(days.spend[-WINDOW:].sum()))),
        rate,
        flow.success_target,
        int(finished),
        tuple(_gates(flow, days, rate)),
        (float(ends[0]), float(ends[1])) if ends else None,
    )


def _gates(flow: Workflow, days: WorkflowDays, rate: float | None) -> list[Gate]:
    """What the next rung asks for and telemetry can tell."""
    used, runs = int((days.events[-WINDOW:] > 0).sum()), int(days.successes[-WINDOW:].sum())
    on_target = rate is not None and rate >= float(flow.success_target or production.DEFAULT_TARGET / 100)
    gates = {
        "idea": [Gate("first event", used > 0)],
        "building": [Gate("first success", runs > 0), Gate("3 days of use", used >= 3)],
        "pilot": [
            Gate(f"{RUNS} successful runs", runs >= RUNS),
            Gate(f"{DAYS} days in {WINDOW}", used >= DAYS),
            Gate("success at target", on_target),
        ],
        "production": [
            Gate("target set", flow.success_target is not None),
            Gate(f"at target {WINDOW} days", on_target),
        ],
        "hardened": [Gate(f"at target {WINDOW} days", on_target), Gate("used every day", used >= WINDOW)],
    }
    return gates.get(flow.stage, [])


def _touch(viewer: Viewer, account: Account, now: datetime) -> TimelineEntry | None:
    rows = TimelineEntry.objects.visible_to(viewer).filter(
        account=account, kind__in=TOUCHES, removed_at=None, at__lte=now
    )
    return rows.select_related("by").order_by("-at", "-pk").first()


def place_of(viewer: Viewer, account: Account, now: datetime) -> Place | None:
    """Return where the account stands in the viewer's own book; None if it is not in it. Ranks the whole book."""
    order = order_of(viewer, now)
    if account.pk not in order:
        return None
    at = order.index(account.pk)
    return Place(
        at + 1,
        len(order),
        order[at - 1] if at else None,
        order[at + 1] if at + 1 < len(order) else None,
    )


def _numbers(found: Measured) -> dict[str, Decimal | None]:
    """The metrics, and the most likely run-out as a day, so that it only moves when the date does."""
    numbers: dict[str, Decimal | None] = {name: Decimal(text) for name, text in found.numbers.items()}
    on = found.inputs("run_out_p50").get("on")
    numbers["run_out_on"] = Decimal(date.fromisoformat(on).toordinal()) if on else None
    return numbers
