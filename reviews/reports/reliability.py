"""Which workflows fail or waste most, over all accounts of an organization: 28 closed days against the 28 before."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import day_of, day_start, zone_of
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.waste import Waste, waste
from reviews.reports.waste_then import DAYS, Used, windows
from usage.calc.intervals import ENOUGH_RUNS, wilson
from usage.models import Workflow

ZERO = Decimal(0)
USUAL_TARGET = Decimal("0.95")  # where a workflow has none of its own
STATES = {
    "below": "Below target",
    "perhaps": "Perhaps below",
    "met": "On target",
    "few": "Too few to say",
    "silent": "Says nothing",
}
TONES = {"below": "bad", "perhaps": "warn", "met": "good"}
MOST_ERRORS = 3

# What a failed event says of its error, in the order in which people name it. "error" may be text or an object.
_ERRORS = """
WITH failed AS (
    SELECT events.account_id, events.workflow_id, left(coalesce(
        nullif(events.properties->>'error_code', ''), nullif(events.properties->>'error_type', ''),
        CASE jsonb_typeof(events.properties->'error')
            WHEN 'object' THEN coalesce(events.properties->'error'->>'code', events.properties->'error'->>'type',
                events.properties->'error'->>'message')
            WHEN 'string' THEN nullif(events.properties->>'error', '') END,
        events.properties->>'status_code', events.properties->>'status', ''), 60) AS error
    FROM unnest(%(accounts)s::uuid[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
        AS wanted(account_id, starts_at, ends_at)
    JOIN usage_event AS events ON events.organization_id = %(organization)s AND events.account_id = wanted.account_id
        AND events.occurred_at >= wanted.starts_at AND events.occurred_at < wanted.ends_at
    WHERE events.counted AND events.succeeded IS FALSE AND events.quantity >= 0
), counted AS (
    SELECT account_id, workflow_id, error, count(*) AS times,
        row_number() OVER (PARTITION BY account_id, workflow_id ORDER BY count(*) DESC, error) AS place
    FROM failed GROUP BY 1, 2, 3
)
SELECT account_id, workflow_id, error, times FROM counted WHERE place <= %(most)s ORDER BY 1, 2, place
"""

_NUMBERED = """
SELECT EXISTS (SELECT 1 FROM usage_event WHERE organization_id = %(organization)s
    AND occurred_at >= %(since)s AND attempt IS NOT NULL)
"""


@dataclass(slots=True)
class Line:
    """One workflow of an account. Amounts in `currency`; `used` None: nothing in these 28 days."""

    account: Account
    workflow_id: UUID | None
    name: str
    stage: str
    target: Decimal | None
    used: Used | None
    before: Used | None
    waste: Waste
    waste_before: Waste
    errors: list[tuple[str, int]] = field(default_factory=list)

    @property
    def currency(self) -> str:
        return self.account.currency

    @property
    def owners(self) -> list[str]:
        return [one.name or one.email for one in (self.account.csm, self.account.field_cto) if one]

    @property
    def wanted(self) -> Decimal:
        """The target, or the usual one."""
        return USUAL_TARGET if self.target is None else self.target

    @property
    def finished(self) -> int:
        return self.used.finished if self.used else 0

    @property
    def rate(self) -> Decimal | None:
        """Successes ÷ finished attempts, 0 to 1; None with fewer than 30 finished."""
        return _rate(self.used)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the rate."""
        if self.used is None or self.rate is None:
            return None
        return wilson(min(max(self.used.successes, 0), self.used.finished), self.used.finished)

    @property
    def change_points(self) -> Decimal | None:
        """Points by which the rate moved on the 28 days before; None unless both are known."""
        now, then = self.rate, _rate(self.before)
        return None if now is None or then is None else (now - then) * 100

    @property
    def gap(self) -> Decimal:
        """Points by which the rate is below its target; 0 where it is not, or is not known."""
        return ZERO if self.rate is None else max((self.wanted - self.rate) * 100, ZERO)

    @property
    def state(self) -> str:
        """A key of STATES. Surely below is what even the interval's upper end does not lift to the target."""
        if self.used is None or not self.used.finished:
            return "silent"
        interval = self.interval
        if interval is None or self.rate is None:
            return "few"
        if self.rate >= self.wanted:
            return "met"
        return "below" if interval[1] < float(self.wanted) else "perhaps"

    @property
    def tone(self) -> str:
        return TONES.get(self.state, "none")

    @property
    def state_name(self) -> str:
        return STATES[self.state]

    @property
    def is_live(self) -> bool:
        return self.stage in (Workflow.Stage.PRODUCTION, Workflow.Stage.HARDENED, Workflow.Stage.SCALED)

    @property
    def waste_change(self) -> Decimal | None:
        """What more was wasted than in the 28 days before; None where there was no use then."""
        return None if self.before is None else self.waste.total - self.waste_before.total


@dataclass(frozen=True, slots=True)
class AccountWaste:
    """What one account wasted, minimums included, now and in the 28 days before."""

    account: Account
    waste: Waste
    before: Waste


@dataclass(frozen=True, slots=True)
class Known:
    """What the events of these days say at all: without it the reason is told instead of a zero."""

    attempts: bool
    hashes: bool
    faults: bool
    outcomes: bool


@dataclass(frozen=True, slots=True)
class Board:
    """All workflows that were used in 56 days, the worst first, and the accounts, the most wasted first."""

    lines: list[Line]
    accounts: list[AccountWaste]
    known: Known


def reliability_board(viewer: Viewer, now: datetime) -> Board:
    """Return the board of the viewer's organization; five queries for any number of accounts. Errors come apart."""
    accounts = {one.pk: one for one in Account.objects.visible_to(viewer).select_related("csm", "field_cto")}
    today = days_of(accounts.values(), now)
    here, there = windows(viewer.organization_id, today)
    flows = {flow.pk: flow for flow in Workflow.objects.visible_to(viewer)}
    before = {(row.account_id, row.workflow_id): row for rows in there.used.values() for row in rows}
    after = {(row.account_id, row.workflow_id): row for rows in here.used.values() for row in rows}
    lines = [
        _line(accounts[key[0]], flows.get(key[1]) if key[1] else None, after.get(key), before.get(key))
        for key in {**before, **after}
    ]
    wasted = [
        AccountWaste(account, here.waste_of(pk), there.waste_of(pk))
        for pk, account in accounts.items()
        if pk in here.used or pk in here.minimums
    ]
    wasted.sort(key=lambda one: (-one.waste.total, one.account.name))
    return Board(sorted(lines, key=worst_first), wasted, _known(viewer, now, after.values()))


def days_of(accounts: Iterable[Account], now: datetime) -> dict[UUID, date]:
    """Return the local day of each account."""
    return {account.pk: day_of(now, zone_of(account.timezone)) for account in accounts}


def worst_first(line: Line) -> tuple[Any, ...]:
    """Surely below target before perhaps; then live before others, and the widest gap."""
    states = ("below", "perhaps", "met", "few", "silent")
    share = line.waste.percent or ZERO
    return (
        states.index(line.state),
        not line.is_live,
        -line.gap,
        -share,
        line.account.name.lower(),
        line.name.lower(),
    )


def add_errors(lines: Sequence[Line], viewer: Viewer, now: datetime) -> None:
    """Fill the most frequent errors of these lines, as their events name them; "" is a failure without a word."""
    wanted = {
        line.account.pk: line.account for line in lines if line.used and line.used.successes < line.used.finished
    }
    if not wanted:
        return
    today = days_of(wanted.values(), now)
    with connection.cursor() as cursor:
        cursor.execute(
            _ERRORS,
            {
                "organization": viewer.organization_id,
                "accounts": [str(pk) for pk in wanted],
                "starts": [_midnight(today[pk] - timedelta(days=DAYS), account) for pk, account in wanted.items()],
                "ends": [_midnight(today[pk], account) for pk, account in wanted.items()],
                "most": MOST_ERRORS,
            },
        )
        found: dict[tuple[UUID, UUID | None], list[tuple[str, int]]] = defaultdict(list)
        for account, workflow, error, times in cursor.fetchall():
            found[account, workflow].append((error, times))
    for line in lines:
        line.errors = found.get((line.account.pk, line.workflow_id), [])


@exactly
def sum_of(parts: Iterable[Waste]) -> Waste:
    """Return the sum of wastes of one currency."""
    parts = list(parts)
    names = ("failed", "retries", "duplicates", "beyond_quota", "idle_minimum", "total", "spend", "credit_candidate")
    sums = {name: sum((getattr(one, name) for one in parts), ZERO) for name in names}
    return Waste(**sums, percent=sums["total"] / sums["spend"] * 100 if sums["spend"] > 0 else None)


def by_currency(accounts: Iterable[AccountWaste]) -> list[tuple[str, Waste, Waste]]:
    """Return (currency, waste, waste before): amounts of different currencies are never added up. Most used first."""
    groups: Mapping[str, list[AccountWaste]] = defaultdict(list)
    for one in accounts:
        groups[one.account.currency].append(one)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(code, sum_of(one.waste for one in rows), sum_of(one.before for one in rows)) for code, rows in ordered]


def _line(account: Account, flow: Workflow | None, used: Used | None, before: Used | None) -> Line:
    return Line(
        account,
        flow.pk if flow else None,
        flow.name if flow else "Without a workflow",
        flow.stage if flow else "",
        flow.success_target if flow else None,
        used,
        before,
        waste(used.uses() if used else []),
        waste(before.uses() if before else []),
    )


def _rate(used: Used | None) -> Decimal | None:
    if used is None or used.finished < ENOUGH_RUNS:
        return None
    return Decimal(min(max(used.successes, 0), used.finished)) / used.finished


def _known(viewer: Viewer, now: datetime, used: Iterable[Used]) -> Known:
    rows = list(used)
    with connection.cursor() as cursor:
        cursor.execute(_NUMBERED, {"organization": viewer.organization_id, "since": now - timedelta(days=DAYS)})
        numbered = bool(cursor.fetchone()[0])
    return Known(
        numbered,
        any(row.hashed for row in rows),
        any(row.told for row in rows),
        any(row.finished for row in rows),
    )


def _midnight(day: date, account: Account) -> datetime:
    return day_start(day, zone_of(account.timezone))
