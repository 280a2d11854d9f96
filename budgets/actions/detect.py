"""Looks for unusual usage at the last closed hour: anomalies are opened, extended, ended, and told if worth it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import Count

from accounts.models import Account
from budgets.actions.alerts import NewAlert, hold_accounts, raise_alerts
from budgets.calc.anomaly import detect_latest
from budgets.calc.unusual import Stretch, begun, caution, is_worth_telling, stretch
from budgets.models import Alert, AlertTerms, Anomaly, PlannedActivity
from budgets.reports.anomaly_words import anomaly_headline
from budgets.reports.cause import cause_card
from budgets.reports.cause_sums import anomaly_window
from budgets.reports.hourly_series import WINDOW_HOURS, HourlySeries, hourly_series
from consumption_cs.lib.periods import HOUR, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.models import AccountDay, Workflow

BLOCK = 50  # accounts whose hours are held in memory at once
QUIET = timedelta(hours=24)  # without anything unusual: it is over
JUDGED_DAYS = 28
SAME_CAUSE = timedelta(hours=24)
CRITICAL_SHARE = Decimal("0.5")  # of a usual week
Key = tuple[UUID, UUID | None]


def detect(organization_id: UUID, now: datetime) -> int:
    """Look at every account with use in the last 60 days; return how many anomalies are open.

    Repeating it within the hour changes nothing. Opens its own transactions, one for each block of accounts.
    """
    with act_as(Viewer(organization_id)):
        since = now.date() - timedelta(days=WINDOW_HOURS // 24)
        used = AccountDay.objects.filter(organization_id=organization_id, day__gte=since).values("account_id")
        off = AlertTerms.objects.filter(organization_id=organization_id, detects=False).values("account_id")
        accounts = list(
            Account.objects.filter(organization_id=organization_id, pk__in=used).exclude(pk__in=off).order_by("pk")
        )
    found = 0
    for first in range(0, len(accounts), BLOCK):
        with act_as(Viewer(organization_id)):
            found += _detect(organization_id, now, accounts[first : first + BLOCK])
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """A series in which something is unusual now, or was until a day ago."""

    series: HourlySeries
    kind: str  # of the last hour; "" when nothing is
    score: float
    window: int
    start: int


def _detect(organization_id: UUID, now: datetime, accounts: Sequence[Account]) -> int:
    hold_accounts(organization_id, [account.pk for account in accounts])
    plans = _plans(organization_id, accounts, now)
    every = hourly_series(organization_id, accounts, now, _muted_meters(plans))
    seen = {(one.series.account.pk, one.series.workflow_id): one for one in _looked_at(organization_id, every, now)}
    open_ones = {
        (anomaly.account_id, anomaly.workflow_id): anomaly
        for anomaly in Anomaly.objects.filter(account__in=accounts, ended_at=None).order_by("started_at")
    }
    kept = [
        anomaly
        for key, one in seen.items()
        if (anomaly := _kept(one, open_ones.get(key), plans[key[0]], now)) is not None
    ]
    _tell(organization_id, now, kept, seen)
    return len(kept)


def _looked_at(organization_id: UUID, every: Sequence[HourlySeries], now: datetime) -> list[_Seen]:
    if not every:
        return []
    factors = _caution(organization_id, {one.account.pk for one in every}, now)
    latest = detect_latest(
        np.stack([one.hours for one in every]), np.array([factors.get(one.account.pk, 1.0) for one in every])
    )
    return [
        _Seen(one, str(latest.kind[row]), float(latest.score[row]), int(latest.hours[row]), int(latest.start[row]))
        for row, one in enumerate(every)
    ]


def _caution(organization_id: UUID, accounts: set[UUID], now: datetime) -> dict[UUID, float]:
    """What people said of earlier alarms counts: those expected or wrong make the next one rarer for four weeks."""
    judged = Alert.objects.filter(
        organization_id=organization_id,
        account_id__in=accounts,
        anomaly__isnull=False,
        feedback__in=(Alert.Feedback.EXPECTED, Alert.Feedback.WRONG),
        feedback_at__gt=now - timedelta(days=JUDGED_DAYS),
    )
    counted = judged.order_by().values_list("account_id").annotate(Count("pk"))
    return {account: caution(count) for account, count in counted}


def _plans(organization_id: UUID, accounts: Sequence[Account], now: datetime) -> dict[UUID, list[PlannedActivity]]:
    plans: dict[UUID, list[PlannedActivity]] = defaultdict(list)
    today = now.date()
    rows = PlannedActivity.objects.filter(
        organization_id=organization_id,
        account__in=accounts,
        mutes=True,
        cancelled_at=None,
        starts_on__lte=today + timedelta(days=1),
        ends_on__gte=today - timedelta(days=WINDOW_HOURS // 24),
    )
    for plan in rows:
        plans[plan.account_id].append(plan)
    return plans


def _muted_meters(plans: dict[UUID, list[PlannedActivity]]) -> dict[UUID, set[UUID]]:
    """Meters that something is planned for: the detector looks at the others."""
    return {account: {plan.meter_id for plan in own if plan.meter_id} for account, own in plans.items()}


def _kept(one: _Seen, known: Anomaly | None, plans: Iterable[PlannedActivity], now: datetime) -> Anomaly | None:
    """Open, extend or end the anomaly of a series; return it while it is open."""
    series = one.series
    if not one.kind:
        if known is not None and series.until - known.seen_until >= QUIET:
            known.ended_at = known.seen_until
            known.save(update_fields=["ended_at"])
            return None
        return known
    if known is not None and (known.kind == Anomaly.Kind.SILENCE) != (one.kind == Anomaly.Kind.SILENCE):
        known.ended_at = known.seen_until
        known.save(update_fields=["ended_at"])
        known = None
    anomaly = known or Anomaly(
        organization_id=series.account.organization_id,
        account=series.account,
        workflow_id=series.workflow_id,
        kind=one.kind,
        started_at=series.moment(one.start if one.kind == Anomaly.Kind.SILENCE else begun(series.hours, one.start)),
        detected_at=now,
    )
    cost = _cost(series, anomaly.started_at)
    anomaly.seen_until, anomaly.score = series.until, one.score
    anomaly.window_hours = max((series.until - anomaly.started_at) // HOUR, 1)
    anomaly.expected, anomaly.actual, anomaly.impact = cost.expected, cost.actual, cost.impact
    anomaly.muted_by = _muting(series.account, anomaly, plans)
    if known is not None:
        anomaly.save()
        return anomaly
    same = {"account": series.account, "workflow_id": series.workflow_id, "kind": one.kind}
    before = Anomaly.objects.filter(**same, started_at=anomaly.started_at).first()
    if before is not None:  # it had ended, and goes on
        anomaly.pk, anomaly.detected_at, anomaly.ended_at = before.pk, before.detected_at, None
        anomaly.save(force_update=True)
        return anomaly
    anomaly.save(force_insert=True)
    return anomaly


def _cost(series: HourlySeries, started_at: datetime) -> Stretch:
    return stretch(series.hours, max(series.index(started_at), 0), len(series.hours))


def _muting(account: Account, anomaly: Anomaly, plans: Iterable[PlannedActivity]) -> PlannedActivity | None:
    """The plan for the whole account that covers a day of the anomaly; one for a meter takes only that out."""
    zone = zone_of(account.timezone)
    first, last = day_of(anomaly.started_at, zone), day_of(anomaly.seen_until - HOUR, zone)
    return next(
        (plan for plan in plans if plan.meter_id is None and plan.starts_on <= last and first < plan.ends_on), None
    )


def _tell(organization_id: UUID, now: datetime, kept: Sequence[Anomaly], seen: dict[Key, _Seen]) -> None:
    """Raise alerts for what is worth it: workflows before their account, whose own total says nothing new then."""
    terms = {row.account_id: row for row in AlertTerms.objects.filter(organization_id=organization_id)}
    names = dict(Workflow.objects.filter(pk__in=[one.workflow_id for one in kept]).values_list("pk", "name"))
    told = _told_of_late(organization_id, kept)
    recorded = set(Alert.objects.filter(anomaly__in=kept).values_list("anomaly_id", flat=True))
    new = []
    for anomaly in sorted(kept, key=lambda one: (one.workflow_id is None, -abs(one.impact))):
        series = seen[(anomaly.account_id, anomaly.workflow_id)].series
        cost = _cost(series, anomaly.started_at)
        own = terms.get(anomaly.account_id) or AlertTerms()
        if anomaly.muted_by_id or not is_worth_telling(cost, own.least_impact, own.least_percent_of_week):
            continue
        if anomaly.workflow_id is None and anomaly.account_id in told:
            continue
        told.add(anomaly.account_id)
        if anomaly.pk in recorded:  # its alert keeps the numbers and the cause it was raised on
            continue
        new.append(_alert(anomaly, series.account, names.get(anomaly.workflow_id, ""), cost))
    raise_alerts(organization_id, now, new)


def _told_of_late(organization_id: UUID, kept: Sequence[Anomaly]) -> set[UUID]:
    """Accounts of which a workflow's alert has told the cause already."""
    since = min((one.started_at for one in kept), default=None)
    if since is None:
        return set()
    rows = Alert.objects.filter(
        organization_id=organization_id,
        account_id__in={one.account_id for one in kept},
        anomaly__workflow__isnull=False,
        anomaly__seen_until__gt=since - SAME_CAUSE,
    )
    return set(rows.values_list("account_id", flat=True))


def _alert(anomaly: Anomaly, account: Account, workflow: str, cost: Stretch) -> NewAlert:
    critical = abs(cost.impact) >= CRITICAL_SHARE * cost.week
    hours = Decimal(anomaly.window_hours)
    return NewAlert(
        account_id=account.pk,
        kind=anomaly.kind,
        crossing=f"anomaly:{anomaly.pk}",
        headline=anomaly_headline(anomaly, account, workflow),
        severity=Alert.Severity.CRITICAL if critical else Alert.Severity.WARNING,
        anomaly_id=anomaly.pk,
        workflow_id=anomaly.workflow_id,
        numbers={
            "impact": f"{cost.impact:f}",
            "actual": f"{cost.actual:f}",
            "expected": f"{cost.expected:f}",
            "per_hour": f"{cost.actual / hours:.6f}",
            "usual_per_hour": f"{cost.expected / hours:.6f}",
            "week": f"{cost.week:f}",
            "score": f"{anomaly.score:.3f}",
            "window_hours": str(anomaly.window_hours),
        },
        cause=_cause(anomaly, account),
        data_through=anomaly.seen_until,
    )


def _cause(anomaly: Anomaly, account: Account) -> dict[str, Any] | None:
    """Why it cost more, frozen with the alert. Silence has no cost to explain."""
    if anomaly.kind == Anomaly.Kind.SILENCE:
        return None
    start, end = anomaly_window(anomaly.started_at, anomaly.seen_until)
    return cause_card(Viewer(account.organization_id), account, start, end, workflow_id=anomaly.workflow_id)
