"""What is left of an account's budgets and whether work may run now: three round trips to the database.

Asked by gateways before each batch of work, many times a second: plain statements, no objects of the ORM.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from accounts.models import Account
from budgets.calc.budget_periods import BudgetPeriod, budget_period
from budgets.calc.headroom import Answer, EndAfter, LimitNow, decide, end_after
from budgets.models import LimitState
from budgets.reports.budget_figures import AHEAD, OLD_DAYS, fan_of
from budgets.reports.budget_use import PART_DAYS, WHOLE_DAYS, BudgetUse
from budgets.reports.headroom_cost import Asked, HeadroomError, Work, batch_cost
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.prepared import Prepared
from consumption_cs.lib.tenancy import Viewer

HUNDRED = Decimal(100)

# The account, and a row for each budget that counts the work: what was decided about it and where its limit stands.
_DECIDED = Prepared(
    "headroom_decided",
    """
SELECT account.id, account.currency, account.timezone, account.billing_day, settled.closed_until, workflow.id,
    meter.id, meter.aggregation, meter.dimensions,
    CASE WHEN %(names)s::text[] <> '{}' THEN ARRAY(SELECT DISTINCT unnest(dimensions) FROM usage_meter AS known
        WHERE known.organization_id = account.organization_id) END,
    budget.id, budget.name, budget.scope, budget.period, budget.starts_on, budget.ends_on, budget.workflow_id,
    budget.meter_id, budget.dimension, budget.dimension_value, term.starts_on, term.ends_on, version.amount,
    given.action, given.percent, given.throttle_percent, given.exempt_workflows, given.is_dry_run,
    state.state, state.period_end, state.acts_at, state.lifted_until
FROM accounts_account AS account
LEFT JOIN usage_settlement AS settled
    ON settled.organization_id = account.organization_id AND settled.account_id = account.id
LEFT JOIN usage_workflow AS workflow ON workflow.organization_id = account.organization_id
    AND workflow.account_id = account.id AND workflow.key = %(workflow)s::text
LEFT JOIN usage_meter AS meter ON meter.organization_id = account.organization_id AND meter.key = %(meter)s::text
LEFT JOIN budgets_budget AS budget ON budget.organization_id = account.organization_id
    AND budget.account_id = account.id AND budget.archived_at IS NULL
    AND (budget.scope = 'account' OR budget.workflow_id = workflow.id OR budget.meter_id = meter.id
        OR budget.scope = 'key' AND EXISTS (
            SELECT FROM unnest(%(names)s::text[], %(values)s::text[]) AS part(name, value)
            WHERE part.name = budget.dimension AND part.value = budget.dimension_value))
LEFT JOIN LATERAL (SELECT amount FROM budgets_budgetversion AS version
    WHERE version.organization_id = account.organization_id AND version.budget_id = budget.id
    ORDER BY version.number DESC LIMIT 1) AS version ON true
LEFT JOIN LATERAL (SELECT action, percent, throttle_percent, exempt_workflows, is_dry_run FROM budgets_limit AS given
    WHERE given.organization_id = account.organization_id AND given.budget_id = budget.id
    ORDER BY given.number DESC LIMIT 1) AS given ON true
LEFT JOIN budgets_limitstate AS state ON state.organization_id = account.organization_id
    AND state.budget_id = budget.id AND state.period_end > %(now)s::timestamptz
LEFT JOIN LATERAL (SELECT starts_on, ends_on FROM budgets_contract AS term
    WHERE budget.period = 'term' AND term.organization_id = account.organization_id AND term.account_id = account.id
        AND term.starts_on <= (%(now)s::timestamptz AT TIME ZONE account.timezone)::date
        AND (term.ends_on IS NULL OR term.ends_on > (%(now)s::timestamptz AT TIME ZONE account.timezone)::date)
    ORDER BY term.starts_on LIMIT 1) AS term ON true
WHERE account.organization_id = %(organization)s::uuid AND account.key = %(account_key)s::text
    AND (%(own)s::uuid IS NULL OR account.id = %(own)s::uuid)
    AND (%(asking)s::uuid IS NULL OR EXISTS (SELECT FROM accounts_apikey AS asking
        WHERE asking.organization_id = %(organization)s::uuid AND asking.id = %(asking)s::uuid
            AND asking.revoked_at IS NULL AND (asking.expires_at IS NULL OR asking.expires_at > now())))
ORDER BY budget.id
""",
)
_USED = Prepared(
    "headroom_used",
    f"""
WITH part AS (
    SELECT * FROM unnest(%(budgets)s::uuid[], %(firsts)s::date[], %(afters)s::date[], %(workflows)s::uuid[],
        %(meters)s::uuid[], %(dimensions)s::text[], %(values)s::text[])
        AS part(budget, first, after, workflow, meter, dimension, value),
        (SELECT %(account)s::uuid AS account, %(today)s::date AS today) AS asked
)
SELECT part.budget, days.*, run.* FROM part CROSS JOIN LATERAL ({WHOLE_DAYS}) AS days
LEFT JOIN LATERAL ({AHEAD}) AS run ON true
WHERE part.workflow IS NULL AND part.meter IS NULL AND part.dimension = ''
UNION ALL
SELECT part.budget, days.*, NULL, NULL, NULL FROM part CROSS JOIN LATERAL ({PART_DAYS}) AS days
WHERE part.workflow IS NOT NULL OR part.meter IS NOT NULL OR part.dimension <> ''
""",  # noqa: S608 - our own texts
)


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """One budget that counts the work: money in the account's currency. `limit` is the amount at which it is reached;
    `forecast` where the period ends with the work, where the account's forecast reaches."""

    id: UUID
    name: str
    scope: str
    amount: Decimal
    used: Decimal
    cost: Decimal
    ends_at: datetime
    limit: Decimal | None
    state: str
    forecast: EndAfter | None = None

    @property
    def remaining(self) -> Decimal:
        """What is left of it; below zero once it is overspent."""
        return self.amount - self.used

    @property
    def after(self) -> Decimal:
        """What is left after the work."""
        return self.remaining - self.cost


@dataclass(frozen=True, slots=True)
class Headroom:
    """The answer, and the budgets that count the work. `cost` is what it is estimated to cost."""

    currency: str
    answer: Answer
    cost: Decimal
    budgets: list[BudgetLeft]

    @property
    def remaining(self) -> Decimal | None:
        """The least that is left of any of these budgets; None without one."""
        return min((one.remaining for one in self.budgets), default=None)


class _Decided(NamedTuple):
    """What was decided about a budget and where its limit stands, as `_DECIDED` has them after that."""

    budget: UUID
    name: str
    scope: str
    period: str
    starts_on: Any
    ends_on: Any
    workflow: UUID | None
    meter: UUID | None
    dimension: str
    value: str
    term_starts_on: Any
    term_ends_on: Any
    amount: Decimal
    action: str | None
    percent: Decimal
    throttle_percent: Decimal
    exempt_workflows: list[UUID]
    is_dry_run: bool
    state: str | None
    period_end: datetime | None
    acts_at: datetime | None
    lifted_until: datetime | None

    @property
    @exactly
    def limit(self) -> Decimal | None:
        return self.amount * self.percent / HUNDRED if self.action else None

    @property
    def standing(self) -> str:
        return self.state or LimitState.State.CLEAR

    def period_at(self, now: datetime, timezone: str) -> BudgetPeriod | None:
        custom = (self.starts_on, self.ends_on) if self.starts_on else None
        term = (self.term_starts_on, self.term_ends_on) if self.term_starts_on else None
        return budget_period(self.period, now, zone_of(timezone), custom=custom, term=term)


def headroom(
    viewer: Viewer,
    account_key: str,
    work: Work,
    now: datetime,
    *,
    rehearsal: bool = False,
    asking: UUID | None = None,
) -> Headroom | None:
    """Return what is left and the decision, or None when the viewer has no such account. Raises HeadroomError.

    Budgets of other workflows, meters, keys, teams and releases than the work names are left out. `asking` is an API
    key that was checked before: None too if it works no more.
    """
    rows = _DECIDED.rows(
        viewer,
        {
            "organization": viewer.organization_id,
            "own": viewer.account_id,
            "account_key": account_key,
            "workflow": work.workflow,
            "meter": work.meter,
            "names": list(work.dimensions),
            "values": list(work.dimensions.values()),
            "now": now,
            "asking": asking,
        },
    )
    if not rows:
        return None
    width = len(Asked._fields)
    asked = Asked(*rows[0][:width])
    _check(asked, work)
    decided = [_Decided(*row[width:]) for row in rows if row[width] is not None]
    cost = work.cost if work.quantity is None else batch_cost(viewer, asked, work, work.quantity, now)
    budgets = _left(viewer, asked, decided, cost, now)
    of = {one.id: one for one in budgets}
    limits = [_limit_now(one, of[one.budget], asked) for one in decided if one.budget in of]
    return Headroom(asked.currency, decide(limits, cost, rehearsal=rehearsal), cost, budgets)


def _check(asked: Asked, work: Work) -> None:
    if work.workflow and asked.workflow is None:
        raise HeadroomError("workflow", "This account has no workflow with this key.")
    if work.meter and asked.meter is None:
        raise HeadroomError("meter", "No meter has this key.")
    if work.currency and work.currency != asked.currency:
        raise HeadroomError("currency", f"This account is in {asked.currency}: give its cost in {asked.currency}.")
    for name in work.dimensions:
        if name not in (asked.known_dimensions or ()):
            raise HeadroomError(name, f"“{name[:60]}” is neither a parameter nor a dimension of any meter.")


def _limit_now(one: _Decided, left: BudgetLeft, asked: Asked) -> LimitNow:
    return LimitNow(
        name=one.name,
        action=one.action or "",
        state=one.standing,
        amount=left.amount if left.limit is None else left.limit,
        used=left.used,
        is_dry_run=bool(one.is_dry_run),
        is_exempt=asked.workflow is not None and asked.workflow in (one.exempt_workflows or ()),
        ends_at=left.ends_at,
        acts_at=one.acts_at,
        lifted_until=one.lifted_until,
        throttle_percent=one.throttle_percent,
    )


def _left(viewer: Viewer, asked: Asked, decided: list[_Decided], cost: Decimal, now: datetime) -> list[BudgetLeft]:
    periods = {one.budget: period for one in decided if (period := one.period_at(now, asked.timezone)) is not None}
    counted = [one for one in decided if one.budget in periods and one.amount is not None]
    if not counted:
        return []
    named: dict[str, Any] = {
        "organization": viewer.organization_id,
        "account": asked.account,
        "today": day_of(now, zone_of(asked.timezone)),
        "old": OLD_DAYS,
        "budgets": [one.budget for one in counted],
        "firsts": [periods[one.budget].first for one in counted],
        "afters": [periods[one.budget].after for one in counted],
        "workflows": [one.workflow for one in counted],
        "meters": [one.meter for one in counted],
        "dimensions": [one.dimension for one in counted],
        "values": [one.value for one in counted],
    }
    used = {row[0]: row[1:] for row in _USED.rows(viewer, named)}
    return [_budget_left(one, periods[one.budget].end, used[one.budget], cost) for one in counted]


def _budget_left(one: _Decided, ends_at: datetime, sums: tuple[Any, ...], cost: Decimal) -> BudgetLeft:
    used, before_today, *_, low, middle, high = sums
    forecast = None
    if middle is not None:
        forecast = end_after(one.amount, fan_of(used, before_today, (low, middle, high)), cost)
    return BudgetLeft(
        one.budget, one.name, one.scope, one.amount, used, cost, ends_at, one.limit, one.standing, forecast
    )


def limit_amount(use: BudgetUse) -> Decimal:
    """Return the amount at which the budget's limit is reached; the budget's own without a limit."""
    return use.amount * use.limit.percent / 100 if use.limit else use.amount


def limit_states(viewer: Viewer, account: Account, now: datetime) -> dict[UUID, str]:
    """Return where the limits of the account's budgets stand in the present period; one of a past period is clear."""
    rows = LimitState.objects.visible_to(viewer).filter(account=account, period_end__gt=now)
    return dict(rows.values_list("budget_id", "state"))
