"""What is left of an account's budgets and whether work may run now: three round trips to the database.

Asked by gateways before each batch of work, many times a second: plain statements, no objects of the ORM.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from accounts.models import Account
from budgets.calc.budget_periods import BudgetPeriod, budget_period
from budgets.calc.headroom import Answer, EndAfter, LimitNow, cost_of, decide, end_after
from budgets.models import LimitState
from budgets.reports.budget_figures import AHEAD, OLD_DAYS, fan_of
from budgets.reports.budget_use import PART_DAYS, WHOLE_DAYS, BudgetUse
from consumption_cs.lib.money import exactly, exponent
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.prepared import Prepared
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import billing_span
from usage.calc.metering import group_of
from usage.calc.price_book import Dated, InForce, PriceBook
from usage.calc.prices import Price, Usage
from usage.calc.rate_card import Matrix
from usage.calc.rated_days import Running
from usage.models import Meter

ZERO, HUNDRED = Decimal(0), Decimal(100)

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
# The prices of one meter, and where each of its lines stands: the newest rated day of the open billing period.
_PRICED = Prepared(
    "headroom_priced",
    """
SELECT (SELECT json_agg(json_build_array(id, meter_id, account_id, currency, effective_on, terms::text))
        FROM usage_price WHERE organization_id = %(organization)s::uuid AND in_force AND meter_id = %(meter)s::uuid
            AND (account_id IS NULL OR account_id = %(account)s::uuid)),
    (SELECT json_agg(json_build_array(cell, total_quantity::text, total_events, total_due::text, total_amount::text))
        FROM (SELECT DISTINCT ON (cell) * FROM usage_rated_day
            WHERE organization_id = %(organization)s::uuid AND account_id = %(account)s::uuid
                AND meter_id = %(meter)s::uuid AND day >= %(first)s::date AND day <= %(today)s::date
            ORDER BY cell, day DESC) AS newest)
""",
)
# What a batch adds to the day's quantity cannot be told for the others.
_ADDED_UP = (Meter.Aggregation.SUM, Meter.Aggregation.COUNT, Meter.Aggregation.UNIQUE)


class HeadroomError(ValueError):
    """What is asked cannot be answered; `name` is the parameter that is to blame. The message says what to do."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(words)
        self.name = name


@dataclass(frozen=True, slots=True)
class Work:
    """What is about to run: keys of its workflow and meter, values of the meter's dimensions (key, team, release).

    It costs `cost` in the account's currency, or what `quantity` of the meter, in so many events, comes to.
    """

    workflow: str = ""
    meter: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    cost: Decimal = ZERO
    currency: str = ""
    quantity: Decimal | None = None
    events: int = 1


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


class _Asked(NamedTuple):
    """The account and what the work names, as `_DECIDED` has them first."""

    account: UUID
    currency: str
    timezone: str
    billing_day: int
    closed_until: Any
    workflow: UUID | None
    meter: UUID | None
    aggregation: str | None
    dimensions: list[str] | None
    known_dimensions: list[str] | None


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
    width = len(_Asked._fields)
    asked = _Asked(*rows[0][:width])
    _check(asked, work)
    decided = [_Decided(*row[width:]) for row in rows if row[width] is not None]
    cost = work.cost if work.quantity is None else _cost(viewer, asked, work, work.quantity, now)
    budgets = _left(viewer, asked, decided, cost, now)
    of = {one.id: one for one in budgets}
    limits = [_limit_now(one, of[one.budget], asked) for one in decided if one.budget in of]
    return Headroom(asked.currency, decide(limits, cost, rehearsal=rehearsal), cost, budgets)


def _check(asked: _Asked, work: Work) -> None:
    if work.workflow and asked.workflow is None:
        raise HeadroomError("workflow", "This account has no workflow with this key.")
    if work.meter and asked.meter is None:
        raise HeadroomError("meter", "No meter has this key.")
    if work.currency and work.currency != asked.currency:
        raise HeadroomError("currency", f"This account is in {asked.currency}: give its cost in {asked.currency}.")
    for name in work.dimensions:
        if name not in (asked.known_dimensions or ()):
            raise HeadroomError(name, f"“{name[:60]}” is neither a parameter nor a dimension of any meter.")


def _limit_now(one: _Decided, left: BudgetLeft, asked: _Asked) -> LimitNow:
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


def _left(viewer: Viewer, asked: _Asked, decided: list[_Decided], cost: Decimal, now: datetime) -> list[BudgetLeft]:
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


def _cost(viewer: Viewer, asked: _Asked, work: Work, quantity: Decimal, now: datetime) -> Decimal:
    """What the quantity adds to the open billing period, through the tiers that are used already."""
    if asked.meter is None:
        raise HeadroomError("meter", "Say of which meter the quantity is.")
    if asked.aggregation not in _ADDED_UP:
        raise HeadroomError("quantity", "This meter does not add up what is used: send the cost instead.")
    today = max(day_of(now, zone_of(asked.timezone)), asked.closed_until or date.min)
    first = billing_span(today, asked.billing_day, asked.closed_until).start
    named = {"organization": viewer.organization_id, "account": asked.account, "meter": asked.meter}
    ((prices, rated),) = _PRICED.rows(viewer, named | {"first": first, "today": today})
    book = PriceBook(
        Dated(pk, meter, account, currency, date.fromisoformat(effective_on), terms)
        for pk, meter, account, currency, effective_on, terms in prices or ()
    )
    in_force = book.on(today, str(asked.meter), str(asked.account), asked.currency)
    cell = group_of(tuple(asked.dimensions or ()), work.dimensions)
    price, line = _price(in_force, cell, asked)
    before = next((_running(row) for row in rated or () if _same_cell(row[0], line)), Running())
    usage = Usage(quantity, work.events, supplied=quantity)
    cost = cost_of(price, before, usage, places=exponent(asked.currency))
    if cost is None:
        raise HeadroomError("quantity", "So much would cost more than anybody could pay: use a smaller quantity.")
    return cost


def _price(in_force: InForce | None, group: str, asked: _Asked) -> tuple[Price, str]:
    """Return the price and the cell of it in which this group counts."""
    if in_force is None:
        raise HeadroomError("meter", f"This meter has no price in {asked.currency} today: send the cost instead.")
    cell = in_force.cell_of(group)
    price = in_force.price_of(cell)
    if price is None:
        names = ", ".join(in_force.price.dimensions) if isinstance(in_force.price, Matrix) else ""
        hint = f"give its {names} as a parameter" if names else "send the cost instead"
        raise HeadroomError("meter", f"This meter has no price for what is named: {hint}.")
    if in_force.needs_events:
        raise HeadroomError("quantity", "The price of this meter looks at single events: send the cost instead.")
    return price, cell


def _running(row: list[Any]) -> Running:
    _, quantity, events, gross, amount = row
    total = Decimal(quantity)
    return Running(Usage(total, events, supplied=total), Decimal(gross), Decimal(amount))


def _same_cell(stored: str, asked: str) -> bool:
    """Whether it is the same cell of a matrix, whose values a query can give as texts only."""
    return bool(stored) == bool(asked) and _as_texts(stored) == _as_texts(asked)


def _as_texts(cell: str) -> dict[str, str]:
    values = json.loads(cell, parse_float=str, parse_int=str) if cell else {}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def limit_amount(use: BudgetUse) -> Decimal:
    """Return the amount at which the budget's limit is reached; the budget's own without a limit."""
    return use.amount * use.limit.percent / 100 if use.limit else use.amount


def limit_states(viewer: Viewer, account: Account, now: datetime) -> dict[UUID, str]:
    """Return where the limits of the account's budgets stand in the present period; one of a past period is clear."""
    rows = LimitState.objects.visible_to(viewer).filter(account=account, period_end__gt=now)
    return dict(rows.values_list("budget_id", "state"))
