"""What metrics need beside use and money: alerts, scores of forecasts, opinions, budgets, margin; in few queries."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Count, Min, Q

from accounts.models import Account
from budgets.calc.budget_rules import Fan
from budgets.models import Alert, Anomaly, Contract, ForecastScore
from budgets.reports.budget_figures import figures_of
from budgets.reports.budget_use import BudgetUse, budget_uses
from budgets.reports.excused import ExcusedSpan, excused_spans
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from reviews.models import RenewalCall
from usage.reports.margin import AccountMargin, Months, account_margins

UNUSUAL = tuple(Anomaly.Kind.values)
LATE_OF = 200  # the last events of an account, of which the share that came late is told

_LATE = """
SELECT wanted.id::text, late.events, late.late
FROM unnest(%(accounts)s::uuid[]) AS wanted(id),
LATERAL (
    SELECT count(*) AS events, count(*) FILTER (WHERE received_at > occurred_at + interval '1 hour') AS late
    FROM (
        SELECT occurred_at, received_at FROM usage_event
        WHERE organization_id = %(organization)s AND account_id = wanted.id
            AND occurred_at >= %(since)s AND occurred_at < %(now)s
        ORDER BY occurred_at DESC LIMIT %(most)s
    ) AS events
) AS late
WHERE late.events > 0
"""


@dataclass(frozen=True, slots=True)
class MoreFacts:
    """One account's; None and empty: nothing is known. `scores` are (P50, actual) of spend 30 days ahead.

    `is_present`: asked for now, so that budgets, margin and late events, which are not kept by day, are known.
    """

    contract_on: date | None = None
    open_alerts: int = 0
    alerts_7: int = 0
    open_spikes: int = 0
    scores: tuple[tuple[float, float], ...] = ()
    excused: tuple[ExcusedSpan, ...] = ()
    opinion: str = ""
    opinion_on: date | None = None  # the end of the term that it is about
    is_final: bool = False
    budgets: tuple[BudgetUse, ...] = ()
    fans: Mapping[UUID, Fan] = field(default_factory=dict)  # of budgets that can be forecast
    margin: AccountMargin | None = None
    late: tuple[int, int] | None = None  # events, of which late
    is_present: bool = True


@dataclass(slots=True)
class _Parts:
    alerts: dict[UUID, tuple[int, int, int]]
    scores: dict[UUID, list[tuple[float, float]]]
    opinions: dict[UUID, RenewalCall]
    contracts: dict[UUID, date]
    budgets: dict[UUID, list[BudgetUse]] = field(default_factory=dict)
    fans: dict[UUID, Fan] = field(default_factory=dict)
    margins: dict[UUID, AccountMargin] = field(default_factory=dict)
    late: dict[str, tuple[int, int]] = field(default_factory=dict)


def more_facts(
    organization_id: UUID, now: datetime, accounts: Sequence[Account], *, is_present: bool
) -> dict[UUID, MoreFacts]:
    """Return what is known of each account at `now`; about nine queries whatever their number."""
    ids = [account.pk for account in accounts]
    viewer = Viewer(organization_id)
    parts = _Parts(
        _alerts(organization_id, ids, now),
        _scores(organization_id, ids, now),
        _opinions(organization_id, ids, now),
        _contracts(organization_id, ids),
    )
    if is_present:
        uses = budget_uses(organization_id, now, ids)
        figures = figures_of(organization_id, now, uses, everything=True)
        parts.fans = {pk: found.fan for pk, found in figures.items() if found.fan is not None}
        for use in uses:
            parts.budgets.setdefault(use.account.pk, []).append(use)
        month = now.date().replace(day=1)
        margins = account_margins(viewer, Months(month, add_months(month, 1)))
        parts.margins = {line.pk: line for line in margins if line.pk is not None}
        parts.late = _late(organization_id, ids, now)
    excused = excused_spans(viewer, ids, now=now)
    return {account.pk: _facts(account, parts, excused.get(account.pk, []), is_present) for account in accounts}


def _facts(account: Account, parts: _Parts, excused: Sequence[ExcusedSpan], is_present: bool) -> MoreFacts:
    opinion = parts.opinions.get(account.pk)
    open_alerts, alerts_7, spikes = parts.alerts.get(account.pk, (0, 0, 0))
    return MoreFacts(
        min((day for day in (account.contract_starts_on, parts.contracts.get(account.pk)) if day), default=None),
        open_alerts,
        alerts_7,
        spikes,
        tuple(parts.scores.get(account.pk, ())),
        tuple(excused),
        opinion.opinion if opinion else "",
        opinion.term_ends_on if opinion else None,
        opinion is not None and opinion.is_final,
        tuple(parts.budgets.get(account.pk, ())),
        parts.fans,
        parts.margins.get(account.pk),
        parts.late.get(str(account.pk)),
        is_present,
    )


def _alerts(organization_id: UUID, ids: Sequence[UUID], now: datetime) -> dict[UUID, tuple[int, int, int]]:
    """Return open alerts, those raised in seven days, and open ones of unusual use, as they were at `now`."""
    is_open = Q(resolved_at=None) | Q(resolved_at__gt=now)
    rows = Alert.objects.filter(organization_id=organization_id, account__in=ids, is_silent=False, raised_at__lte=now)
    told = Q(bundled_into=None)  # a spike is one whether its message was bundled or not
    counted = rows.filter(is_open | Q(raised_at__gt=now - timedelta(days=7))).values("account_id").annotate(
        open=Count("pk", filter=is_open & told),
        recent=Count("pk", filter=Q(raised_at__gt=now - timedelta(days=7)) & told),
        spikes=Count("pk", filter=is_open & Q(kind__in=UNUSUAL)),
    )  # fmt: skip
    return {row["account_id"]: (row["open"], row["recent"], row["spikes"]) for row in counted}


def _scores(organization_id: UUID, ids: Sequence[UUID], now: datetime) -> dict[UUID, list[tuple[float, float]]]:
    """Return what was said 30 days ahead and what came, of the runs of the last 90 days that are scored."""
    rows = ForecastScore.objects.filter(
        organization_id=organization_id, account__in=ids, days=30,
        as_of__gte=now.date() - timedelta(days=120), as_of__lte=now.date() - timedelta(days=30),
    )  # fmt: skip
    found: dict[UUID, list[tuple[float, float]]] = defaultdict(list)
    for account, p50, actual in rows.values_list("account_id", "p50", "actual"):
        found[account].append((p50, actual))
    return found


def _opinions(organization_id: UUID, ids: Sequence[UUID], now: datetime) -> dict[UUID, RenewalCall]:
    rows = RenewalCall.objects.filter(organization_id=organization_id, account__in=ids, at__lte=now)
    return {row.account_id: row for row in rows.order_by("account_id", "-at", "-pk").distinct("account_id")}


def _contracts(organization_id: UUID, ids: Sequence[UUID]) -> dict[UUID, date]:
    rows = Contract.objects.filter(organization_id=organization_id, account__in=ids)
    return dict(rows.values("account_id").annotate(first=Min("starts_on")).values_list("account_id", "first"))


def _late(organization_id: UUID, ids: Sequence[UUID], now: datetime) -> dict[str, tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            _LATE,
            {
                "organization": organization_id,
                "accounts": [str(pk) for pk in ids],
                "since": now - timedelta(days=7),
                "now": now,
                "most": LATE_OF,
            },
        )
        return {account: (events, late) for account, events, late in cursor.fetchall()}
