"""What of each budget is used, for many accounts in a few queries: what rules, limits and pages look at."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from accounts.models import Account
from budgets.calc.budget_periods import BudgetPeriod, budget_period
from budgets.calc.budget_rules import PACE_MARGIN, PACES
from budgets.models import Budget, BudgetRule, BudgetVersion, Contract, Limit
from budgets.reports.decided_budgets import Decided, decided_budgets
from consumption_cs.lib.periods import HOUR, day_of, zone_of

ZERO = Decimal(0)
WINDOWS = (1, 6, 72)  # hours, of the two pairs of paces: 1 and 6, 6 and 72


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """One budget at one moment. Money in the account's currency.

    `first_day` to just before `after_day` are the period's local days, [`start`, `end`) the same in UTC. `used` is
    what was spent in it so far, without what was booked for closed periods; `before_today` the part of it before the
    account's local day. `windows` hold what was spent in the last 1, 6 and 72 hours (an hour begun counts as it
    is, the oldest by its share), and are empty unless they were asked for or a rule looks at them. `limit` is the one
    in force. `data_through`: the newest event of the period.
    """

    budget: Budget
    account: Account
    version: BudgetVersion
    rules: tuple[BudgetRule, ...]
    limit: Limit | None
    start: datetime
    end: datetime
    first_day: date
    after_day: date
    today: date
    used: Decimal = ZERO
    before_today: Decimal = ZERO
    outcomes: Decimal = ZERO
    finished: int = 0
    successes: int = 0
    data_through: datetime | None = None
    windows: dict[int, Decimal] = field(default_factory=dict)

    @property
    def amount(self) -> Decimal:
        return Decimal(self.version.amount)

    @property
    def percent(self) -> Decimal:
        """How much of the budget is used, in percent."""
        return self.used * 100 / self.amount

    @property
    def remaining(self) -> Decimal:
        """What is left of the budget; below zero once it is overspent."""
        return self.amount - self.used

    @property
    def overspent(self) -> Decimal:
        """By how much the budget is exceeded; zero while it is not."""
        return max(-self.remaining, ZERO)

    @property
    def period(self) -> BudgetPeriod:
        return BudgetPeriod(self.first_day, self.after_day, self.start, self.end)

    def window(self, hours: int) -> Decimal:
        """What was spent in the last 1, 6 or 72 hours."""
        return self.windows.get(hours, ZERO)

    @property
    def per_hour(self) -> Decimal:
        """What the budget allows on average in an hour of its period."""
        return self.amount * 3600 / Decimal((self.end - self.start).total_seconds())


# One row for each budget: its days are looked up by the key (organization, account, day).
WHOLE_DAYS = """
    SELECT coalesce(sum(spend - adjustment), 0), coalesce(sum(spend - adjustment) FILTER (WHERE day < part.today), 0),
        coalesce(sum(outcomes), 0), coalesce(sum(finished), 0), coalesce(sum(successes), 0), max(last_event_at)
    FROM account_day
    WHERE organization_id = %(organization)s AND account_id = part.account AND day >= part.first AND day < part.after
"""
PART_DAYS = """
    SELECT coalesce(sum(spend), 0), coalesce(sum(spend) FILTER (WHERE day < part.today), 0),
        coalesce(sum(outcomes), 0), coalesce(sum(finished), 0), coalesce(sum(successes), 0), max(last_event_at)
    FROM usage_day
    WHERE organization_id = %(organization)s AND account_id = part.account AND day >= part.first AND day < part.after
        AND (part.workflow IS NULL OR workflow_id = part.workflow) AND (part.meter IS NULL OR meter_id = part.meter)
        AND (part.dimension = '' OR CASE WHEN "group" = '' THEN false
            ELSE "group"::jsonb ->> part.dimension = part.value END)
"""
_USED = f"""
SELECT part.budget, days.*
FROM unnest(%(budgets)s::uuid[], %(accounts)s::uuid[], %(firsts)s::date[], %(afters)s::date[], %(todays)s::date[])
    AS part(budget, account, first, after, today)
CROSS JOIN LATERAL ({WHOLE_DAYS}) AS days
"""  # noqa: S608 - our own texts
_USED_PART = f"""
SELECT part.budget, days.*
FROM unnest(%(budgets)s::uuid[], %(accounts)s::uuid[], %(firsts)s::date[], %(afters)s::date[], %(todays)s::date[],
    %(workflows)s::uuid[], %(meters)s::uuid[], %(dimensions)s::text[], %(values)s::text[])
    AS part(budget, account, first, after, today, workflow, meter, dimension, value)
CROSS JOIN LATERAL ({PART_DAYS}) AS days
"""  # noqa: S608 - our own texts
# An hour's money is its row's share of the day's, by quantity; of a day's row without quantity, by events.
_HOURS = """
SELECT part.budget, hours.starts_at, sum(
    CASE WHEN days.quantity <> 0 THEN days.spend * hours.quantity / days.quantity
         WHEN days.events <> 0 THEN days.spend * hours.events / days.events ELSE 0 END)
FROM unnest(%(budgets)s::uuid[], %(accounts)s::uuid[], %(zones)s::text[], %(workflows)s::uuid[], %(meters)s::uuid[],
    %(dimensions)s::text[], %(values)s::text[]) AS part(budget, account, zone, workflow, meter, dimension, value)
JOIN usage_hour AS hours ON hours.organization_id = %(organization)s AND hours.account_id = part.account
    AND hours.starts_at > %(since)s AND hours.starts_at <= %(now)s
    AND (part.workflow IS NULL OR hours.workflow_id = part.workflow)
    AND (part.meter IS NULL OR hours.meter_id = part.meter)
    AND (part.dimension = '' OR CASE WHEN hours."group" = '' THEN false
        ELSE hours."group"::jsonb ->> part.dimension = part.value END)
JOIN usage_day AS days ON days.organization_id = hours.organization_id AND days.account_id = hours.account_id
    AND days.meter_id = hours.meter_id AND days.workflow_id IS NOT DISTINCT FROM hours.workflow_id
    AND days."group" = hours."group" AND days.day = (hours.starts_at AT TIME ZONE part.zone)::date
GROUP BY part.budget, hours.starts_at
"""


def budget_uses(
    organization_id: UUID,
    now: datetime,
    account_ids: Iterable[UUID | str] | None = None,
    *,
    budget_ids: Iterable[UUID] | None = None,
    with_windows: bool = False,
    moments: Mapping[UUID, datetime] | None = None,
    decided: Sequence[Decided] | None = None,
) -> list[BudgetUse]:
    """Return what of each budget in force is used in its period at `now`, in order of the budgets' ids.

    Budgets that have no period at `now` (before a custom one, or without a contract in force) are left out. A few
    queries whatever the number of budgets. `with_windows`: paces of all. `moments`: for these budgets, the period
    around another moment. `decided`: the budgets to look at, read already.
    """
    if decided is None:
        decided = decided_budgets(organization_id, account_ids, budget_ids)
    if not decided:
        return []
    at = {one.budget.pk: (moments or {}).get(one.budget.pk, now) for one in decided}
    budgets = [one.budget for one in decided]
    terms = _terms(organization_id, budgets)
    periods = {
        budget.pk: found
        for budget in budgets
        if (found := _period(budget, at[budget.pk], terms.get(budget.account_id, ()))) is not None
    }
    decided = [one for one in decided if one.budget.pk in periods]
    sums = _sums(organization_id, [one.budget for one in decided], periods, at)
    windows = _windows(organization_id, decided, periods, now, everything=with_windows)
    return [
        _use(one, at[one.budget.pk], periods[one.budget.pk], sums[one.budget.pk], windows.get(one.budget.pk, {}))
        for one in decided
    ]


def _use(one: Decided, now: datetime, period: BudgetPeriod, spent: "_Sums", windows: dict[int, Decimal]) -> BudgetUse:
    return BudgetUse(
        budget=one.budget,
        account=one.budget.account,
        version=one.version,
        rules=one.rules,
        limit=one.limit,
        start=period.start,
        end=period.end,
        first_day=period.first,
        after_day=period.after,
        today=day_of(now, zone_of(one.budget.account.timezone)),
        windows=windows,
        used=spent.used,
        before_today=spent.before_today,
        outcomes=spent.outcomes,
        finished=int(spent.finished),
        successes=int(spent.successes),
        data_through=spent.data_through,
    )


class _Sums(NamedTuple):
    """What the rows of a budget's days add up to."""

    used: Decimal
    before_today: Decimal
    outcomes: Decimal
    finished: int
    successes: int
    data_through: datetime | None


def _terms(organization_id: UUID, budgets: Sequence[Budget]) -> dict[UUID, list[tuple[date, date | None]]]:
    accounts = {budget.account_id for budget in budgets if budget.period == Budget.Period.TERM}
    found: dict[UUID, list[tuple[date, date | None]]] = defaultdict(list)
    if accounts:
        rows = Contract.objects.filter(organization_id=organization_id, account_id__in=accounts)
        for account, first, after in rows.order_by("starts_on").values_list("account_id", "starts_on", "ends_on"):
            found[account].append((first, after))
    return found


def _period(budget: Budget, now: datetime, terms: Sequence[tuple[date, date | None]]) -> BudgetPeriod | None:
    zone = zone_of(budget.account.timezone)
    today = day_of(now, zone)
    term = next((one for one in terms if one[0] <= today and (one[1] is None or today < one[1])), None)
    custom = (budget.starts_on, budget.ends_on) if budget.starts_on and budget.ends_on else None
    return budget_period(budget.period, now, zone, custom=custom, term=term)


def _sums(
    organization_id: UUID, budgets: Sequence[Budget], periods: dict[UUID, BudgetPeriod], at: dict[UUID, datetime]
) -> dict[UUID, _Sums]:
    whole = [budget for budget in budgets if budget.scope == Budget.Scope.ACCOUNT]
    parts = [budget for budget in budgets if budget.scope != Budget.Scope.ACCOUNT]
    found: dict[UUID, _Sums] = {}
    for statement, some in ((_USED, whole), (_USED_PART, parts)):
        if some:
            named = columns_of(some) | {
                "organization": organization_id,
                "firsts": [periods[budget.pk].first for budget in some],
                "afters": [periods[budget.pk].after for budget in some],
                "todays": [day_of(at[budget.pk], zone_of(budget.account.timezone)) for budget in some],
            }
            found |= {row[0]: _Sums(*row[1:]) for row in _rows(statement, named)}
    return found


def columns_of(budgets: Sequence[Budget]) -> dict[str, list[Any]]:
    """Return what says which rows of usage the budgets count, as columns for `unnest`."""
    return {
        "budgets": [budget.pk for budget in budgets],
        "accounts": [budget.account_id for budget in budgets],
        "workflows": [budget.workflow_id for budget in budgets],
        "meters": [budget.meter_id for budget in budgets],
        "dimensions": [budget.dimension for budget in budgets],
        "values": [budget.dimension_value for budget in budgets],
        "zones": [budget.account.timezone for budget in budgets],
    }


def _windows(
    organization_id: UUID,
    decided: Sequence[Decided],
    periods: dict[UUID, BudgetPeriod],
    now: datetime,
    *,
    everything: bool,
) -> dict[UUID, dict[int, Decimal]]:
    """Spend of the last hours. Three days are read only where the last six hours say that they may matter."""
    paced = [one for one in decided if everything or any(rule.kind in PACES for rule in one.rules)]
    if not paced:
        return {}
    found = _hours(organization_id, [one.budget for one in paced], WINDOWS[1], now)
    long = [one.budget for one in paced if everything or _may_be_slow(one, periods, found[one.budget.pk])]
    return found | (_hours(organization_id, long, WINDOWS[-1], now) if long else {})


def _may_be_slow(one: Decided, periods: dict[UUID, BudgetPeriod], windows: dict[int, Decimal]) -> bool:
    """Say whether the pace of six hours reaches a rule about it and three days, or nearly."""
    values = [rule.value for rule in one.rules if rule.kind == BudgetRule.Kind.VELOCITY_SLOW]
    if not values:
        return False
    period = periods[one.budget.pk]
    hours = Decimal((period.end - period.start).total_seconds()) / 3600
    return bool(windows[6] * hours >= min(values) * (1 - PACE_MARGIN) * one.version.amount * 6)


def _hours(
    organization_id: UUID, budgets: Sequence[Budget], most: int, now: datetime
) -> dict[UUID, dict[int, Decimal]]:
    named = columns_of(budgets) | {"organization": organization_id, "since": now - (most + 1) * HOUR, "now": now}
    found: dict[UUID, dict[int, Decimal]] = {budget.pk: dict.fromkeys(WINDOWS, ZERO) for budget in budgets}
    for budget, starts_at, spent in _rows(_HOURS, named):
        for hours in WINDOWS:
            # The hour that the window begins in counts by the part of it that lies in the window.
            inside = min((starts_at + HOUR - (now - hours * HOUR)) / HOUR, 1.0)
            if inside > 0 and spent:
                found[budget][hours] += spent if inside == 1.0 else spent * Decimal(str(round(inside, 6)))
    return found


def _rows(statement: str, named: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, named)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
