"""What each workflow did in the two periods that a value review compares: the sums that all its figures rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Sum

from accounts.models import Account
from budgets.calc.bridge import Work
from consumption_cs.lib.tenancy import Viewer
from usage.models import AccountDay, Meter, Workflow

ZERO = Decimal(0)
Days = tuple[date, date]  # [start, end), local days of the account
BESIDE = ""  # the line of what no workflow used: corrections, minimum spends, use without a name

# Outcomes become known a workflow's lag after the work: those of the days of a period are counted that much later.
_SUMS = """
SELECT wanted.number, coalesce(days.workflow_id::text, ''), days.meter_id::text,
    coalesce(sum(days.quantity) FILTER (WHERE days.day < wanted.ends_on AND days.day >= wanted.starts_on), 0),
    coalesce(sum(days.events) FILTER (WHERE days.day < wanted.ends_on AND days.day >= wanted.starts_on), 0)::bigint,
    coalesce(sum(days.finished) FILTER (WHERE days.day < wanted.ends_on AND days.day >= wanted.starts_on), 0)::bigint,
    coalesce(sum(days.successes) FILTER (WHERE days.day < wanted.ends_on AND days.day >= wanted.starts_on), 0)::bigint,
    coalesce(sum(days.spend) FILTER (WHERE days.day < wanted.ends_on AND days.day >= wanted.starts_on), 0),
    coalesce(sum(days.outcomes) FILTER (WHERE days.day < wanted.ends_on + coalesce(lags.days, 0)
        AND days.day >= wanted.starts_on + coalesce(lags.days, 0)), 0)
FROM unnest(%(starts)s::date[], %(ends)s::date[]) WITH ORDINALITY AS wanted(starts_on, ends_on, number)
JOIN usage_day AS days ON days.organization_id = %(organization)s AND days.account_id = %(account)s
    AND days.day >= wanted.starts_on AND days.day < least(wanted.ends_on + %(longest)s, %(until)s)
LEFT JOIN unnest(%(workflows)s::uuid[], %(lags)s::int[]) AS lags(workflow_id, days)
    ON lags.workflow_id = days.workflow_id
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What one meter counted for one workflow in a period; a lagged outcome belongs to the day of its work."""

    workflow: str  # id as text; BESIDE: of none
    meter: str
    units: Decimal
    events: int
    finished: int
    successes: int
    spend: Decimal
    outcomes: Decimal


@dataclass(frozen=True, slots=True)
class Flow:
    """One workflow in a period, over all its meters. `attempts` are what finished, else the events."""

    attempts: int
    successes: int
    spend: Decimal
    outcomes: Decimal
    finished: int


@dataclass(frozen=True, slots=True)
class Sums:
    """One period. `spend` is the account's in total; `beside` the part of it that is of no workflow's use."""

    lines: Sequence[Line]
    flows: Mapping[str, Flow]
    spend: Decimal
    beside: Decimal
    days_with_data: int

    @property
    def outcomes(self) -> Decimal:
        return sum((flow.outcomes for flow in self.flows.values()), ZERO)

    @property
    def attempts(self) -> int:
        return sum(flow.attempts for flow in self.flows.values())

    @property
    def successes(self) -> int:
        return sum(flow.successes for flow in self.flows.values())

    def works(self) -> list[Work]:
        """Return the lines of the bridge; with what is beside them they add up to `spend`."""
        works = [
            Work(
                line.workflow, line.units, Decimal(self.flows[line.workflow].attempts),
                self.flows[line.workflow].outcomes, line.spend, line.meter,
                self._delivered(line.workflow),
            )
            for line in self.lines
        ]  # fmt: skip
        # In every period, so that corrections of one only do not read as work that began or ended.
        return [*works, Work(BESIDE, ZERO, *self._of_none(), self.beside, "beside")]

    def _delivered(self, workflow: str) -> Decimal | None:
        flow = self.flows[workflow]
        return Decimal(flow.successes) if flow.finished > 0 and flow.successes > 0 else None

    def _of_none(self) -> tuple[Decimal, Decimal]:
        none = self.flows.get(BESIDE)
        return (Decimal(none.attempts), none.outcomes) if none else (ZERO, ZERO)


def period_sums(
    viewer: Viewer, account: Account, periods: Sequence[Days], lags: Mapping[str, int], until: date
) -> list[Sums]:
    """Return the sums of each period, of days before `until` only. Two queries."""
    rows: list[list[Line]] = [[] for _ in periods]
    with connection.cursor() as cursor:
        cursor.execute(
            _SUMS,
            {
                "organization": viewer.organization_id, "account": account.pk,
                "starts": [start for start, _ in periods], "ends": [end for _, end in periods], "until": until,
                "workflows": [UUID(name) for name in lags], "lags": list(lags.values()),
                "longest": max(lags.values(), default=0),
            },
        )  # fmt: skip
        for number, *line in cursor.fetchall():
            rows[number - 1].append(Line(*line))
    totals = _totals(viewer, account, periods, until)
    return [_sums(lines, *total) for lines, total in zip(rows, totals, strict=True)]


def _totals(viewer: Viewer, account: Account, periods: Sequence[Days], until: date) -> list[tuple[Decimal, int]]:
    found = []
    for start, end in periods:
        days = AccountDay.objects.visible_to(viewer).filter(account=account, day__gte=start, day__lt=min(end, until))
        kept: dict[str, Any] = days.aggregate(spend=Sum("spend", default=ZERO), days=Count("day"))
        found.append((kept["spend"], kept["days"]))
    return found


def _sums(lines: Sequence[Line], spend: Decimal, days: int) -> Sums:
    flows = {
        name: _flow([line for line in lines if line.workflow == name]) for name in {one.workflow for one in lines}
    }
    return Sums(lines, flows, spend, spend - sum((line.spend for line in lines), ZERO), days)


def _flow(lines: Sequence[Line]) -> Flow:
    finished = sum(line.finished for line in lines)
    return Flow(
        attempts=finished or sum(line.events for line in lines),
        successes=sum(line.successes for line in lines),
        spend=sum((line.spend for line in lines), ZERO),
        outcomes=sum((line.outcomes for line in lines), ZERO),
        finished=finished,
    )


def names_of(viewer: Viewer, account: Account) -> dict[str, Workflow]:
    """Return the account's workflows by id as text."""
    return {str(flow.pk): flow for flow in Workflow.objects.visible_to(viewer).filter(account=account)}


def meters_of(viewer: Viewer) -> dict[str, str]:
    """Return the units of the organization's meters by id as text."""
    return {str(meter.pk): meter.unit for meter in Meter.objects.visible_to(viewer)}
