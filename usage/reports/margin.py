"""What is left of each account's revenue after the vendor's own cost. Only for the vendor's staff."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from usage.calc.margin import CostLine, Margin, margin
from usage.models import Meter, Workflow

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Months:
    """Whole calendar months [start, end) of each account's local days, and as many right before them."""

    start: date
    end: date

    @property
    def before(self) -> date:
        """The first day of the months to compare with."""
        count = (self.end.year - self.start.year) * 12 + self.end.month - self.start.month
        return add_months(self.start, -count)


@dataclass
class Part:
    """What was used in one stretch of time: lines with their cost, and what could not be reckoned.

    `adjusted` is the part of the revenue that was booked for closed periods; `unpriced_events` are those without a
    price, which are in neither revenue nor cost. Read the figures only when all lines are there.
    """

    lines: list[CostLine] = field(default_factory=list)
    adjusted: Decimal = ZERO
    unpriced_events: int = 0
    events: int = 0

    @cached_property
    def margin(self) -> Margin:
        return margin(self.lines)

    @property
    def revenue(self) -> Decimal:
        return self.margin.revenue

    @cached_property
    def cost(self) -> Decimal | None:
        """What the covered use cost the vendor; None when no cost is known at all."""
        return self.margin.cost if any(line.unit_cost is not None for line in self.lines) else None

    @cached_property
    def costless(self) -> Decimal:
        """Revenue of use whose cost is not known: it is left out of the margin."""
        return sum((line.revenue for line in self.lines if line.unit_cost is None), ZERO)

    @property
    def left(self) -> Decimal | None:
        """Covered revenue less its cost."""
        return None if self.cost is None else self.revenue - self.costless - self.cost

    @property
    def ratio(self) -> Decimal | None:
        """The part of the covered revenue that is left; below 0 where it costs more."""
        return None if self.margin.percent is None else self.margin.percent / 100

    @property
    def coverage(self) -> Decimal | None:
        """The part of the revenue whose cost is known, 0 to 1; None without revenue."""
        return None if self.margin.coverage_percent is None else self.margin.coverage_percent / 100


@dataclass(slots=True)
class MarginLine:
    """One account, meter or workflow: these months and those before. `missing`: meters that lack a cost here."""

    name: str
    key: str
    pk: UUID | None
    now: Part = field(default_factory=Part)
    before: Part = field(default_factory=Part)
    missing: dict[UUID, str] = field(default_factory=dict)

    @property
    def change(self) -> Decimal | None:
        """How much the margin ratio gained on the months before; None unless both are known."""
        here, there = self.now.ratio, self.before.ratio
        return None if here is None or there is None else here - there

    @property
    def change_points(self) -> Decimal | None:
        """The same in percentage points."""
        return None if self.change is None else self.change * 100

    @property
    def is_negative(self) -> bool:
        left = self.now.left
        return left is not None and left < 0


@dataclass(slots=True)
class AccountMargin(MarginLine):
    """The margin of one customer, in its currency."""

    currency: str = ""


@dataclass(frozen=True, slots=True)
class AccountDetail:
    """One account's margin by meter and by workflow; both add up to `whole`."""

    whole: MarginLine
    meters: list[MarginLine]
    workflows: list[MarginLine]


def account_margins(viewer: Viewer, months: Months) -> list[AccountMargin]:
    """Return the accounts with any use or revenue in these months or those before: negative margins first."""
    accounts = {row.pk: row for row in Account.objects.visible_to(viewer)}
    meters = _meter_names(viewer)
    found: dict[UUID, AccountMargin] = {}
    for row in _rows(viewer, months):
        account = accounts[row.account_id]
        line = found.setdefault(
            account.pk, AccountMargin(account.name, account.key, account.pk, currency=account.currency)
        )
        _add(line, row, meters)
    return sorted(found.values(), key=in_order_of_worry)


def account_detail(viewer: Viewer, account: Account, months: Months) -> AccountDetail:
    """Return one account's margin, whole and in its parts."""
    meters = _meter_names(viewer)
    flows = dict(Workflow.objects.visible_to(viewer).filter(account=account).values_list("pk", "name"))
    whole = MarginLine(account.name, account.key, account.pk)
    by_meter: dict[UUID | None, MarginLine] = {}
    by_flow: dict[object, MarginLine] = {}
    for row in _rows(viewer, months, account):
        name = meters.get(row.meter_id, "")
        own = by_meter.setdefault(row.meter_id, MarginLine(name, "", row.meter_id))
        if row.is_adjustment:
            flow = by_flow.setdefault("adjusted", MarginLine("Booked for closed periods", "adjusted", None))
        else:
            label = flows.get(row.workflow_id, "") if row.workflow_id else "No workflow named"
            flow = by_flow.setdefault(row.workflow_id, MarginLine(label, "", row.workflow_id))
        for line in (whole, own, flow):
            _add(line, row, meters)
    by_worry = [sorted(parts.values(), key=in_order_of_worry) for parts in (by_meter, by_flow)]
    return AccountDetail(whole, *by_worry)


def in_order_of_worry(line: MarginLine) -> tuple[object, ...]:
    """Negative margins first, the most money lost on top; then by revenue."""
    left = line.now.left or ZERO
    return (not line.is_negative, left if line.is_negative else -line.now.revenue, line.name.lower())


def total_of(lines: Iterable[MarginLine], name: str) -> MarginLine:
    """Add up lines of one currency."""
    total = MarginLine(name, "", None)
    for line in lines:
        for part, mine in ((line.now, total.now), (line.before, total.before)):
            mine.lines += part.lines
            mine.adjusted += part.adjusted
            mine.unpriced_events += part.unpriced_events
            mine.events += part.events
        total.missing |= line.missing
    return total


def _meter_names(viewer: Viewer) -> dict[UUID, str]:
    return dict(Meter.objects.visible_to(viewer).values_list("pk", "name"))


@dataclass(frozen=True, slots=True)
class _Row:
    account_id: UUID
    meter_id: UUID
    workflow_id: UUID | None
    is_now: bool
    is_adjustment: bool
    unit_cost: Decimal | None
    revenue: Decimal
    quantity: Decimal
    unpriced_events: int
    events: int


# Each series of costs becomes ranges of days once; the use is then joined to them by hash, never day by day. The use
# of an account's own card is in its currency, so costs of another currency do not count. Adjustments bring revenue
# alone, covered if the meter's cost is known: their quantity is in the days it was used on, and so is its cost.
_SQL = """
WITH cost AS MATERIALIZED (
    SELECT meter_id, account_id, workflow_id, currency, unit_cost, effective_on,
        lead(effective_on, 1, 'infinity') OVER (
            PARTITION BY meter_id, account_id, workflow_id, currency ORDER BY effective_on) AS until
    FROM usage_vendorcost WHERE organization_id = %(organization)s
), used AS (
    SELECT u.account_id, u.meter_id, {workflow} AS workflow_id, u.day >= %(start)s AS is_now, false AS is_adjustment,
        COALESCE(own.unit_cost, their.unit_cost, everyones.unit_cost) AS unit_cost,
        u.spend, u.quantity, u.events
    FROM usage_day u
    JOIN accounts_account a ON a.organization_id = u.organization_id AND a.id = u.account_id
    LEFT JOIN cost own ON own.meter_id = u.meter_id AND own.account_id = u.account_id
        AND own.workflow_id = u.workflow_id AND own.currency = a.currency
        AND u.day >= own.effective_on AND u.day < own.until
    LEFT JOIN cost their ON their.meter_id = u.meter_id AND their.account_id = u.account_id
        AND their.workflow_id IS NULL AND their.currency = a.currency
        AND u.day >= their.effective_on AND u.day < their.until
    LEFT JOIN cost everyones ON everyones.meter_id = u.meter_id AND everyones.account_id IS NULL
        AND everyones.currency = a.currency AND u.day >= everyones.effective_on AND u.day < everyones.until
    WHERE u.organization_id = %(organization)s AND u.day >= %(before)s AND u.day < %(end)s {one_account}
)
SELECT account_id, meter_id, workflow_id, is_now, is_adjustment, unit_cost,
    COALESCE(sum(spend), 0), COALESCE(sum(quantity) FILTER (WHERE spend IS NOT NULL), 0),
    COALESCE(sum(events) FILTER (WHERE spend IS NULL), 0)::bigint, sum(events)::bigint
FROM used GROUP BY 1, 2, 3, 4, 5, 6
UNION ALL
SELECT u.account_id, u.meter_id, NULL::uuid, u.day >= %(start)s, true, min(c.unit_cost) * 0, sum(u.amount), 0, 0, 0
FROM usage_adjustment u
JOIN accounts_account a ON a.organization_id = u.organization_id AND a.id = u.account_id
LEFT JOIN LATERAL (
    SELECT unit_cost FROM cost WHERE cost.meter_id = u.meter_id AND cost.currency = a.currency
        AND (cost.account_id IS NULL OR cost.account_id = u.account_id) AND cost.effective_on <= u.day LIMIT 1
) c ON true
WHERE u.organization_id = %(organization)s AND u.day >= %(before)s AND u.day < %(end)s {one_account}
GROUP BY 1, 2, 3, 4
"""


_WAYS = ("nestloop", "mergejoin", "sort")


def _rows(viewer: Viewer, months: Months, account: Account | None = None) -> list[_Row]:
    sql = _SQL.format(
        workflow="u.workflow_id" if account else "NULL::uuid",
        one_account="AND u.account_id = %(account)s" if account else "",
    )
    asked: dict[str, Any] = {
        "organization": viewer.organization_id,
        "before": months.before,
        "start": months.start,
        "end": months.end,
        "account": account.pk if account else None,
    }
    with connection.cursor() as cursor:
        # Row-level security hides from the planner how many rows there are: left alone it would walk all of the costs
        # for each row of use, which takes a minute where these take a second.
        cursor.execute("; ".join(f"SET LOCAL enable_{way} = off" for way in _WAYS))
        cursor.execute(sql, asked)
        rows = [_Row(*row) for row in cursor.fetchall()]
        cursor.execute("; ".join(f"SET LOCAL enable_{way} = on" for way in _WAYS))
    return rows


def _add(line: MarginLine, row: _Row, meters: dict[UUID, str]) -> None:
    part = line.now if row.is_now else line.before
    part.events += row.events
    part.unpriced_events += row.unpriced_events
    part.adjusted += row.revenue if row.is_adjustment else ZERO
    if row.is_adjustment or row.events > row.unpriced_events:
        part.lines.append(CostLine(row.revenue, row.quantity, row.unit_cost))
    if row.unit_cost is None and row.is_now:
        line.missing[row.meter_id] = meters.get(row.meter_id, "")
