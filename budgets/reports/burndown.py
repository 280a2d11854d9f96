"""The burndown of an account: what was left day by day, what is forecast, and what was forecast before."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

import numpy as np
from django.db import connection
from django.db.models import Sum

from accounts.models import Account
from budgets.calc.run_out import at_level, daily, fan, run_out
from budgets.calc.usage_windows import Floats
from budgets.models import ApprovalTerms, Commit, Contract, ForecastRun, LedgerEntry
from budgets.reports.allowance import Allowance, allowance_of
from budgets.reports.burndown_events import Event, events_of
from budgets.reports.forecast_inputs import HORIZON_DAYS
from budgets.reports.forecasts import Held, accuracy_line, days_with_runs, latest_run, layers_of_run, quantiles_of
from consumption_cs.lib.periods import DAY, billing_month, day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.models import AccountDay

MOST_RUNS_COMPARED = 8
MOST_EVENTS = 9  # numbered on the chart
APPROVAL_DAYS = ApprovalTerms._meta.get_field("approval_days").default

_LEFT = """
SELECT commit_id, day, sum(amount) FROM budgets_ledgerentry
WHERE organization_id = %s AND account_id = %s AND commit_id IS NOT NULL
GROUP BY commit_id, day ORDER BY day
"""


@dataclass(frozen=True, slots=True)
class Layer:
    """A commit's balance at the end of each day of the burndown's `days`."""

    commit: Commit
    left: Sequence[Decimal]


@dataclass(frozen=True, slots=True)
class Ahead:
    """The forecast balance at the end of each day from the run's first on: low, middle and high."""

    days: Sequence[date]
    low: Floats
    middle: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Burndown:
    """All that the page shows. `run` None: nothing was forecast yet; `asof` None: as of now."""

    account: Account
    contract: Contract | None
    today: date
    asof: date | None
    run: ForecastRun | None
    latest: ForecastRun | None
    days: Sequence[date]
    layers: Sequence[Layer]
    ahead: Ahead | None
    events: Sequence[Event]
    stops: Sequence[date]
    moved: Sequence[ForecastRun]
    held: Held
    approval_days: int
    allowance: Allowance | None = None
    earlier: Sequence[Event] = ()  # events that the chart has no room for
    overage: Decimal | None = None  # booked above the commits since they were used up

    @property
    def is_pay_as_you_go(self) -> bool:
        """Whether there is nothing that could run out."""
        return self.run is not None and self.run.remaining is None

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left, and nothing refills."""
        return self.run is not None and self.run.exhausted_on is not None and self.allowance is None

    @property
    def term(self) -> tuple[date, date] | None:
        """The term that the chart spans, None without an end."""
        if self.contract and self.contract.ends_on:
            return self.contract.starts_on, self.contract.ends_on
        if self.account.contract_starts_on and self.account.contract_ends_on:
            return self.account.contract_starts_on, self.account.contract_ends_on
        return None

    @property
    def days_behind(self) -> int:
        """Days since the forecast shown as of now; 0: it is today's, or one of a past day was asked for."""
        return max((self.today - self.run.as_of).days, 0) if self.run and self.asof is None else 0

    @property
    def used_up_on(self) -> date | None:
        """The local day whose use took the last of the commits, when nothing is left at the forecast's first day."""
        if self.run is None or self.run.exhausted_on is None:
            return None
        known = [at for at, day in enumerate(self.days) if day < self.run.as_of]
        held = [at for at in known if any(layer.left[at] > 0 for layer in self.layers)]
        after = held[-1] + 1 if held else 0
        return self.days[after] if after < len(known) else None

    @property
    def decide_by(self) -> date | None:
        """When approval of a top-up must start: the early date less what the customer needs to approve.

        None when it is too late for that, or when an allowance refills by itself.
        """
        if self.is_used_up or self.allowance:
            return None
        early = self.run and self.run.exhaust_p10
        return early - timedelta(days=self.approval_days) if early else None


def burndown(viewer: Viewer, account: Account, now: datetime, asof: date | None = None) -> Burndown:
    """Return the burndown as of now, or what was known at the end of the local day `asof` and what came after."""
    today = day_of(now, zone_of(account.timezone))
    contract = _contract(viewer, account, asof or today)
    latest = latest_run(viewer, account)
    run = latest_run(viewer, account, asof) if asof else latest
    commits = list(Commit.objects.visible_to(viewer).filter(account=account).order_by("effective_on", "created_at"))
    first = min((commit.effective_on for commit in commits), default=today)
    if contract:
        first = max(first, contract.starts_on)
    days = [first + DAY * number for number in range(max((today - first).days, 0))]
    terms = ApprovalTerms.objects.visible_to(viewer).filter(account=account).first()
    events = events_of(viewer, account, first, today, contract.ends_on if contract else None)
    layers = _layers(viewer, account, commits, days)
    left = {day: sum((layer.left[at] for layer in layers), Decimal(0)) for at, day in enumerate(days)}
    seen = Burndown(
        account,
        contract,
        today,
        asof,
        run,
        latest,
        days,
        layers,
        ahead_of(run) if run else None,
        events[-MOST_EVENTS:],
        days_with_runs(viewer, account),
        _spread_out(viewer, account, first),
        accuracy_line(viewer, account),
        terms.approval_days if terms else APPROVAL_DAYS,
        allowance_of(viewer, account, commits, run, left),
        events[:-MOST_EVENTS],
    )
    return replace(seen, overage=_overage(viewer, seen)) if seen.is_used_up else seen


def _overage(viewer: Viewer, seen: Burndown) -> Decimal:
    """Return what was booked above the commits since the day they were used up."""
    rows = LedgerEntry.objects.visible_to(viewer).filter(account=seen.account, kind=LedgerEntry.Kind.OVERAGE)
    if seen.used_up_on:
        rows = rows.filter(day__gte=seen.used_up_on)
    return Decimal(rows.aggregate(sum=Sum("amount"))["sum"] or 0)


def ahead_of(run: ForecastRun) -> Ahead | None:
    """Return the run's balances ahead, until its term ends; None without commits or use, or when all is used up."""
    quantiles = quantiles_of(run)
    if run.remaining is None or run.exhausted_on or not quantiles.shape[1]:
        return None
    length = (run.term_ends_on - run.as_of).days if run.term_ends_on else HORIZON_DAYS
    length = min(length, quantiles.shape[1])
    found = run_out(daily(fan(quantiles[:, None, :length])), layers_of_run(run), np.array([length]))
    low, middle, high = (at_level(found.balance, level)[0] for level in (0.9, 0.5, 0.1))
    return Ahead([run.as_of + DAY * number for number in range(length)], low, middle, high)


def _contract(viewer: Viewer, account: Account, day: date) -> Contract | None:
    rows = Contract.objects.visible_to(viewer).filter(account=account, starts_on__lte=day).order_by("-starts_on")
    found: Contract | None = rows.first()
    return found


def _layers(viewer: Viewer, account: Account, commits: list[Commit], days: list[date]) -> list[Layer]:
    """Return the commits that held something in these days, bottom of the stack first: drawn last."""
    changes: dict[object, list[tuple[date, Decimal]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_LEFT, [viewer.organization_id, account.pk])
        for commit, day, amount in cursor.fetchall():
            changes[commit].append((day, amount))
    layers = []
    for commit in sorted(commits, key=lambda one: (-one.priority, -one.effective_on.toordinal())):
        steps, left, balances, at = changes[commit.pk], Decimal(0), [], 0
        for day in days:
            while at < len(steps) and steps[at][0] <= day:
                left += steps[at][1]
                at += 1
            balances.append(left)
        if any(balances):
            layers.append(Layer(commit, balances))
    return layers


def _spread_out(viewer: Viewer, account: Account, first: date) -> list[ForecastRun]:
    """Return the last run of up to eight days of this term, evenly apart, newest first: how the date has moved."""
    days = [day for day in days_with_runs(viewer, account) if day >= first]
    if len(days) > MOST_RUNS_COMPARED:
        step = (len(days) - 1) / (MOST_RUNS_COMPARED - 1)
        days = [days[round(number * step)] for number in range(MOST_RUNS_COMPARED)]
    rows = ForecastRun.objects.visible_to(viewer).filter(account=account, as_of__in=days)
    newest = {run.as_of: run for run in rows.order_by("as_of", "made_at")}
    return [newest[day] for day in sorted(newest, reverse=True)]


def period_days(viewer: Viewer, seen: Burndown) -> list[tuple[date, Decimal]]:
    """Return (local day, spend since the billing period began) for each closed day of the period of the forecast."""
    if seen.run is None:
        return []
    zone = zone_of(seen.account.timezone)
    start = day_of(billing_month(day_start(seen.run.as_of, zone), zone, seen.account.billing_day).start, zone)
    rows = AccountDay.objects.visible_to(viewer).filter(account=seen.account, day__gte=start, day__lt=seen.run.as_of)
    spent = dict(rows.values_list("day", "spend"))
    days = [start + DAY * number for number in range((seen.run.as_of - start).days)]
    return list(zip(days, accumulate(spent.get(day, Decimal(0)) for day in days), strict=True))
