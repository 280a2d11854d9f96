"""The figures that budgets' rules look at beside what is spent: fans of forecasts, balances, new workflows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from django.db import connection

from budgets.calc.budget_rules import FORECAST, Fan, Figures
from budgets.calc.forecast import forecast_cumulative
from budgets.calc.thresholds import days_to_exhaustion
from budgets.models import Budget, BudgetRule
from budgets.reports.budget_use import BudgetUse, columns_of
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import Period

ZERO = Decimal(0)
HISTORY_DAYS = 400
AHEAD_DAYS = 400  # a part whose period lasts longer is not forecast
OLD_DAYS = 7  # a forecast made before says nothing about today
_BALANCES = frozenset({BudgetRule.Kind.BALANCE_BELOW, BudgetRule.Kind.DAYS_BELOW})

# What is to come from today on: the path to the period's end, less the path to today.
AHEAD = """
    SELECT low - low_now, middle - middle_now, high - high_now FROM (
        SELECT spend_p10[part.after - as_of] AS low, coalesce(spend_p10[part.today - as_of], 0) AS low_now,
            spend_p50[part.after - as_of] AS middle, coalesce(spend_p50[part.today - as_of], 0) AS middle_now,
            spend_p90[part.after - as_of] AS high, coalesce(spend_p90[part.today - as_of], 0) AS high_now
        FROM budgets_forecastrun
        WHERE organization_id = %(organization)s AND account_id = part.account AND as_of > part.today - %(old)s::int
            AND as_of <= part.today
        ORDER BY as_of DESC, made_at DESC LIMIT 1
    ) AS latest WHERE low IS NOT NULL
"""
_FANS = f"""
SELECT part.budget, run.*
FROM unnest(%(budgets)s::uuid[], %(accounts)s::uuid[], %(afters)s::date[], %(todays)s::date[])
    AS part(budget, account, after, today)
CROSS JOIN LATERAL ({AHEAD}) AS run
"""  # noqa: S608 - our own texts
_BALANCE = """
SELECT part.account, sum(balance.ongoing), (
    SELECT burn_rate FROM budgets_forecastrun AS run
    WHERE run.organization_id = %(organization)s AND run.account_id = part.account
    ORDER BY as_of DESC, made_at DESC LIMIT 1)
FROM unnest(%(accounts)s::uuid[]) AS part(account)
JOIN budgets_commit AS granted ON granted.organization_id = %(organization)s AND granted.account_id = part.account
JOIN budgets_commitbalance AS balance ON balance.organization_id = %(organization)s AND balance.commit_id = granted.id
WHERE granted.effective_on <= %(now)s::date + 1
GROUP BY part.account
"""
_NEW = """
SELECT part.budget, used.workflow_id, used.name, used.spent
FROM unnest(%(budgets)s::uuid[], %(accounts)s::uuid[], %(todays)s::date[], %(workflows)s::uuid[], %(meters)s::uuid[])
    AS part(budget, account, today, workflow, meter)
CROSS JOIN LATERAL (
    SELECT days.workflow_id, max(workflow.name) AS name, sum(days.spend) AS spent
    FROM usage_day AS days JOIN usage_workflow AS workflow ON workflow.id = days.workflow_id
    WHERE days.organization_id = %(organization)s AND days.account_id = part.account AND days.day = part.today
        AND (part.workflow IS NULL OR days.workflow_id = part.workflow)
        AND (part.meter IS NULL OR days.meter_id = part.meter)
        AND NOT EXISTS (
            SELECT FROM usage_day AS before WHERE before.organization_id = %(organization)s
                AND before.account_id = part.account AND before.day < part.today
                AND before.workflow_id = days.workflow_id)
    GROUP BY days.workflow_id
) AS used
WHERE used.spent > 0
"""
_HISTORY = """
SELECT part.budget, days.day, sum(days.spend)
FROM unnest(%(budgets)s::uuid[], %(accounts)s::uuid[], %(todays)s::date[], %(workflows)s::uuid[], %(meters)s::uuid[],
    %(dimensions)s::text[], %(values)s::text[]) AS part(budget, account, today, workflow, meter, dimension, value)
JOIN usage_day AS days ON days.organization_id = %(organization)s AND days.account_id = part.account
    AND days.day < part.today AND days.day >= part.today - %(history)s
    AND (part.workflow IS NULL OR days.workflow_id = part.workflow)
    AND (part.meter IS NULL OR days.meter_id = part.meter)
    AND (part.dimension = '' OR CASE WHEN days."group" = '' THEN false
        ELSE days."group"::jsonb ->> part.dimension = part.value END)
GROUP BY part.budget, days.day
"""


class NewSource(NamedTuple):
    """A workflow on its first local day, and what it has spent."""

    workflow_id: UUID
    name: str
    spent: Decimal


class Balance(NamedTuple):
    """What an account has left on its commits, and for how many days; None for ever, or not known."""

    remaining: Decimal
    days: int | None


def figures_of(
    organization_id: UUID,
    now: datetime,
    uses: Sequence[BudgetUse],
    *,
    parts_forecast: bool = False,
    everything: bool = False,
) -> dict[UUID, Figures]:
    """Return the figures of each budget. What no rule of it asks for is not looked up, unless `everything` is.

    `parts_forecast`: budgets of a part of the account are forecast too, from the days of that part, which costs much
    more than reading the account's forecast run.
    """
    fans = _fans(organization_id, [use for use in uses if everything or _asks(use, FORECAST)], parts=parts_forecast)
    accounts = {use.budget.account_id for use in uses if everything or _asks(use, _BALANCES)}
    balances = _balances(organization_id, now, accounts)
    found = {}
    for use in uses:
        balance = balances.get(use.budget.account_id)
        found[use.budget.pk] = Figures(
            amount=use.amount,
            used=use.used,
            elapsed=Period(use.start, use.end).elapsed_share(now),
            hours=Decimal((use.end - use.start) // timedelta(seconds=1)) / 3600,
            windows=use.windows,
            fan=fans.get(use.budget.pk),
            remaining=balance.remaining if balance else None,
            days_left=balance.days if balance else None,
            outcomes=use.outcomes,
            finished=use.finished,
            successes=use.successes,
        )
    return found


def _asks(use: BudgetUse, kinds: Iterable[str]) -> bool:
    return any(rule.kind in kinds for rule in use.rules)


def _fans(organization_id: UUID, uses: Sequence[BudgetUse], *, parts: bool) -> dict[UUID, Fan]:
    whole = [use for use in uses if use.budget.scope == Budget.Scope.ACCOUNT]
    found: dict[UUID, Fan] = {}
    of = {use.budget.pk: use for use in uses}
    if whole:
        named = _named(organization_id, whole) | {"old": OLD_DAYS}
        for budget, *ahead in _rows(_FANS, named):
            found[budget] = fan_of(of[budget].used, of[budget].before_today, ahead)
    some = [use for use in uses if use.budget.scope != Budget.Scope.ACCOUNT]
    return found | (_part_fans(organization_id, some) if parts and some else {})


@exactly
def fan_of(used: Decimal, before_today: Decimal, ahead: Sequence[float]) -> Fan:
    """What is spent, and what is to come: today is forecast whole, so that it starts from what was spent before."""
    totals = sorted(max(before_today + round(Decimal(float(one)), 6), used) for one in ahead)
    return Fan(*totals)


def _part_fans(organization_id: UUID, uses: Sequence[BudgetUse]) -> dict[UUID, Fan]:
    spent: dict[UUID, dict[int, float]] = defaultdict(dict)
    today = {use.budget.pk: use.today for use in uses}
    for budget, day, amount in _rows(_HISTORY, _named(organization_id, uses) | {"history": HISTORY_DAYS}):
        spent[budget][(today[budget] - day).days] = float(amount or 0)
    known = [use for use in uses if spent[use.budget.pk]]
    horizon = max((min((use.after_day - use.today).days, AHEAD_DAYS) for use in known), default=0)
    if not horizon:
        return {}
    history = np.full((len(known), HISTORY_DAYS), np.nan)
    for row, use in enumerate(known):
        days = spent[use.budget.pk]
        history[row, HISTORY_DAYS - max(days) :] = 0.0
        for back, amount in days.items():
            history[row, HISTORY_DAYS - back] = amount
    paths = forecast_cumulative(history, horizon)
    return {
        use.budget.pk: fan_of(
            use.used, use.before_today, [float(one) for one in paths[:, row, (use.after_day - use.today).days - 1]]
        )
        for row, use in enumerate(known)
        if (use.after_day - use.today).days <= horizon
    }


def _balances(organization_id: UUID, now: datetime, accounts: set[UUID]) -> dict[UUID, Balance]:
    if not accounts:
        return {}
    named = {"organization": organization_id, "accounts": list(accounts), "now": now}
    return {
        account: Balance(remaining, None if rate is None else days_to_exhaustion(remaining, rate))
        for account, remaining, rate in _rows(_BALANCE, named)
    }


def new_sources(organization_id: UUID, uses: Sequence[BudgetUse]) -> dict[UUID, list[NewSource]]:
    """Return the workflows of each budget that have a rule about them and are used for the first day today."""
    asking = [use for use in uses if _asks(use, (BudgetRule.Kind.NEW_SOURCE,))]
    found: dict[UUID, list[NewSource]] = defaultdict(list)
    if asking:
        for budget, workflow, name, spent in _rows(_NEW, _named(organization_id, asking)):
            found[budget].append(NewSource(workflow, name, spent))
    return found


def _named(organization_id: UUID, uses: Sequence[BudgetUse]) -> dict[str, Any]:
    return columns_of([use.budget for use in uses]) | {
        "organization": organization_id,
        "afters": [use.after_day for use in uses],
        "todays": [use.today for use in uses],
    }


def _rows(statement: str, named: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, named)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
