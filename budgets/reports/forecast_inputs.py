"""What a forecast is made of, for many accounts in a few queries: spend by day, commits, terms, plans, the period."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from django.db import connection
from django.db.models import Q

from accounts.models import Account
from budgets.calc.drawn_days import Terms
from budgets.calc.grants import FAR_FUTURE, draw_order
from budgets.calc.holidays import NOTHING_USUAL, Usual, without_holidays
from budgets.calc.run_out import NEVER
from budgets.calc.usage_windows import Floats
from budgets.models import CommitBalance, Contract, PlannedActivity
from budgets.reports.excused import BoolDays, excused_by_account
from budgets.reports.grants import terms_of
from budgets.reports.holiday_days import Holidays, holidays_of_accounts
from budgets.reports.spend_history import HORIZON_DAYS, histories
from consumption_cs.lib.periods import as_utc, day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import Span, billing_span
from usage.models import Settlement

# At the start of a local day, with what happened at that moment; its use comes later.
_LEFT_ON = """
SELECT commit_id::text, sum(amount)::float8
FROM unnest(%s::uuid[], %s::date[]) AS wanted(account_id, today)
JOIN budgets_ledgerentry AS entry ON entry.organization_id = %s AND entry.account_id = wanted.account_id
WHERE commit_id IS NOT NULL AND (day < today OR day = today AND kind <> 'drawn')
GROUP BY commit_id
"""


@dataclass(frozen=True, slots=True)
class LayerNow:
    """A commit, or a recurrence of one, that pays from day `starts` to just before day `ends`, 0 being today."""

    commit: str
    name: str
    kind: str
    left: float
    starts: int
    ends: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """One account as its forecast sees it. `history` is spend per closed local day, oldest first, ending yesterday.

    `holidays` is None for an account without a country, `excused` (days with a spike that was forgiven, as long as
    `history`) for one without such days: the burn rate leaves them out.
    """

    account: Account
    zone: ZoneInfo
    today: date
    history: Floats
    layers: tuple[LayerNow, ...]
    has_commits: bool
    term_ends_on: date | None
    overage_factor: float
    period: Span
    plans: tuple[PlannedActivity, ...] = field(default=())
    holidays: Holidays | None = None
    excused: BoolDays | None = None

    def ordinary(self, days: Floats) -> Floats:
        """Return days of use that end yesterday as they would have been without holidays."""
        return without_holidays(days, self.holidays.days.before(len(days))) if self.holidays else days

    def holiday_factors(self, days: int) -> Floats:
        """Return what usual use is multiplied by, today and on the `days` after it, [days]."""
        if not self.holidays:
            return np.ones(days)
        return np.where(self.holidays.days.ahead[:days], self.holidays.effect, 1.0)

    @property
    def known_days(self) -> int:
        """Days since the first one with use."""
        return len(self.history)

    @property
    def term(self) -> int:
        """Days until the term ends; that of the forecast when there is none."""
        return (self.term_ends_on - self.today).days if self.term_ends_on else HORIZON_DAYS

    def hash(self) -> str:
        """Return the SHA-256 of all that goes into the forecast: equal hashes, equal forecasts."""
        told: list[object] = [
            self.today.isoformat(),
            [(one.commit, one.left, one.starts, one.ends) for one in self.layers],
            self.term_ends_on and self.term_ends_on.isoformat(),
            self.overage_factor,
            [day.isoformat() for day in self.period],
            [
                (plan.starts_on.isoformat(), plan.ends_on.isoformat(), str(plan.extra_spend), str(plan.change_percent))
                for plan in self.plans
            ],
        ]
        if self.holidays:  # where they are follows from the country and the day
            told.append([*self.holidays.told().values(), np.flatnonzero(self.holidays.days.ahead).tolist()])
        if self.excused is not None:
            told.append(np.flatnonzero(self.excused).tolist())
        return hashlib.sha256(self.history.round(6).tobytes() + msgspec.json.encode(told)).hexdigest()


def inputs_of(
    organization_id: UUID,
    now: datetime,
    account_ids: Iterable[str] | None = None,
    *,
    from_ledger: bool = False,
    usual: Usual = NOTHING_USUAL,
) -> list[Inputs]:
    """Return the inputs of the organization's accounts, or of those named, in order of id.

    `from_ledger`: what commits had left is added up from the ledger, for a `now` that has passed. `usual`: what
    holidays do to the organization's accounts as a whole.
    """
    wanted = Account.objects.filter(organization_id=organization_id)
    if account_ids is not None:
        wanted = wanted.filter(pk__in=list(account_ids))
    accounts = {str(account.pk): account for account in wanted.order_by("pk")}
    if not accounts:
        return []
    zones = {name: zone_of(account.timezone) for name, account in accounts.items()}
    today = {name: day_of(as_utc(now), zone) for name, zone in zones.items()}
    history = histories(organization_id, accounts, today)
    left = (_left_on if from_ledger else _left_now)(organization_id, today)
    layers, has_commits = _layers(organization_id, zones, today, left)
    contracts = _contracts(organization_id, today)
    plans = _plans(organization_id, today)
    holidays = holidays_of_accounts(organization_id, accounts, today, history, usual)
    lengths = {name: len(days) for name, days in history.items()}
    excused = excused_by_account(Viewer(organization_id), today, lengths, now)
    closed = dict(
        Settlement.objects.filter(organization_id=organization_id, account__in=list(accounts)).values_list(
            "account_id", "closed_until"
        )
    )
    return [
        Inputs(
            account,
            zones[name],
            today[name],
            history.get(name, np.empty(0)),
            layers[name],
            has_commits[name],
            *_terms_now(account, contracts.get(name), today[name]),
            billing_span(today[name], account.billing_day, closed.get(account.pk)),
            tuple(plans.get(name, ())),
            holidays.get(name),
            excused.get(name),
        )
        for name, account in accounts.items()
    ]


def _left_now(organization_id: UUID, today: dict[str, date]) -> dict[str, float]:
    rows = CommitBalance.objects.filter(organization_id=organization_id, account__in=list(today))
    return {str(commit): float(left) for commit, left in rows.values_list("commit_id", "settled")}


def _left_on(organization_id: UUID, today: dict[str, date]) -> dict[str, float]:
    with connection.cursor() as cursor:
        cursor.execute(_LEFT_ON, [list(today), list(today.values()), organization_id])
        return dict(cursor.fetchall())


def _layers(
    organization_id: UUID, zones: dict[str, ZoneInfo], today: dict[str, date], left: dict[str, float]
) -> tuple[dict[str, tuple[LayerNow, ...]], dict[str, bool]]:
    horizon = {name: day + timedelta(days=HORIZON_DAYS) for name, day in today.items()}
    terms, commits = terms_of(organization_id, zones, horizon)
    layers = {name: tuple(_of_terms(terms[name], left, zones[name], today[name])) for name in zones}
    return layers, {name: bool(commits[name]) for name in zones}


def _of_terms(terms: Terms, settled: dict[str, float], zone: ZoneInfo, today: date) -> Iterable[LayerNow]:
    """Yield the layers in drawing order. What a commit has left now is in its youngest recurrence that has begun."""
    begun: set[str] = set()
    found: dict[str, LayerNow] = {}
    ordered = draw_order(terms.grants, terms.policy_on(today))
    for grant in sorted(ordered, key=lambda one: as_utc(one.effective_at), reverse=True):
        commit = grant.id.partition("#")[0]
        starts = (day_of(as_utc(grant.effective_at), zone) - today).days
        ends = NEVER if grant.ends_at == FAR_FUTURE else (day_of(grant.ends_at, zone) - today).days
        if ends <= 0 or ends <= starts or (starts <= 0 and commit in begun):
            continue
        if starts <= 0:
            begun.add(commit)
        left = settled.get(commit, float(grant.amount)) if starts <= 0 else float(grant.amount)
        found[grant.id] = LayerNow(commit, grant.name or grant.id, grant.kind, left, starts, ends)
    return [found[grant.id] for grant in ordered if grant.id in found]


def _contracts(organization_id: UUID, today: dict[str, date]) -> dict[str, Contract]:
    found: dict[str, Contract] = {}
    rows = Contract.objects.filter(organization_id=organization_id, account__in=list(today)).order_by("-starts_on")
    for contract in rows:
        name = str(contract.account_id)
        if contract.starts_on <= today[name] and (contract.ends_on is None or contract.ends_on > today[name]):
            found.setdefault(name, contract)
    return found


def _terms_now(account: Account, contract: Contract | None, today: date) -> tuple[date | None, float]:
    ends_on = contract.ends_on if contract else account.contract_ends_on
    return (ends_on if ends_on and ends_on > today else None), float(contract.overage_factor) if contract else 1.0


def _plans(organization_id: UUID, today: dict[str, date]) -> dict[str, list[PlannedActivity]]:
    found: dict[str, list[PlannedActivity]] = defaultdict(list)
    rows = PlannedActivity.objects.filter(
        Q(extra_spend__isnull=False) | Q(change_percent__isnull=False),
        organization_id=organization_id,
        account__in=list(today),
        cancelled_at=None,
        ends_on__gt=min(today.values()),
    )
    for plan in rows.order_by("starts_on", "pk"):
        if plan.ends_on > today[str(plan.account_id)]:
            found[str(plan.account_id)].append(plan)
    return found
