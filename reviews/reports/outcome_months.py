"""What an outcome of each workflow cost, month by month: the spend of a month over the outcomes of its work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection

from accounts.models import Account
from consumption_cs.lib.display import plural_of
from consumption_cs.lib.money import exactly
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.unit_cost import cost_per_outcome
from reviews.reports.outcomes import OutcomeLine
from usage.models import Workflow

ZERO, THOUSAND = Decimal(0), Decimal(1000)

# Both halves are of the same days of work: those whose outcomes have had their lag to become known by.
_MONTHS = """
WITH lags AS (SELECT * FROM unnest(%(workflows)s::uuid[], %(lags)s::int[]) AS lags(workflow_id, days)),
halves AS (
    SELECT used.workflow_id, used.day, true AS is_work, used.spend, NULL::numeric AS outcomes
    FROM usage_day AS used JOIN lags USING (workflow_id)
    WHERE used.organization_id = %(organization)s AND used.account_id = %(account)s
        AND used.day >= %(start)s AND used.day < %(until)s - lags.days
    UNION ALL
    SELECT used.workflow_id, used.day - lags.days, false, NULL, used.outcomes
    FROM usage_day AS used JOIN lags USING (workflow_id)
    WHERE used.organization_id = %(organization)s AND used.account_id = %(account)s
        AND used.day >= %(start)s + lags.days AND used.day < %(until)s
)
SELECT workflow_id, date_trunc('month', day)::date, coalesce(sum(spend), 0), coalesce(sum(outcomes), 0)
FROM halves GROUP BY 1, 2 HAVING bool_or(is_work)
"""


@dataclass(frozen=True, slots=True)
class MonthCost:
    """One workflow in the days [month, `known_to`) of a month, in the account's currency.

    `known_to` is the month's end once all outcomes of its work are known, and the month itself while none is.
    `per_thousand` is the cost of 1,000 outcomes; None without outcomes.
    """

    month: date
    known_to: date
    spend: Decimal
    outcomes: Decimal
    per_thousand: Decimal | None

    @property
    def is_open(self) -> bool:
        """Whether outcomes of its work are still to come: its cost may yet change."""
        return self.known_to < add_months(self.month, 1)


@dataclass(frozen=True, slots=True)
class FlowMonths:
    """The months of one workflow, the oldest first, from the first in which it was used."""

    workflow: Workflow
    lag_days: int
    months: tuple[MonthCost, ...]

    @property
    def unit(self) -> str:
        return plural_of(self.workflow.outcome_unit)

    @property
    def closed(self) -> list[MonthCost]:
        """The months whose outcomes are all known and of which there were any."""
        return [one for one in self.months if not one.is_open and one.per_thousand is not None]

    @property
    def change(self) -> Decimal | None:
        """By which ratio the last of these months is dearer than the first; None with fewer than two."""
        known = [one.per_thousand for one in self.closed if one.per_thousand]
        return known[-1] / known[0] - 1 if len(known) > 1 else None


def outcome_months(
    viewer: Viewer, account: Account, lines: Sequence[OutcomeLine], months: Sequence[date], today: date
) -> list[FlowMonths]:
    """Return the months (their first days, in any order) of the workflows of `lines` that were used, the workflow on
    which most was spent first. One query."""
    lags = {line.workflow.pk: line.terms.lag_days if line.terms else 0 for line in lines}
    start = min(months)
    with connection.cursor() as cursor:
        cursor.execute(
            _MONTHS,
            {
                "organization": viewer.organization_id, "account": account.pk, "start": start, "until": today,
                "workflows": list(lags), "lags": list(lags.values()),
            },
        )  # fmt: skip
        sums = {(flow, month): (spend, outcomes) for flow, month, spend, outcomes in cursor.fetchall()}
    found = [
        FlowMonths(line.workflow, lag, _months(line.workflow.pk, lag, sums, sorted(months), today))
        for line in lines
        for lag in [lags[line.workflow.pk]]
    ]
    used = [one for one in found if one.months]
    return sorted(used, key=lambda one: (-sum(month.spend for month in one.months), one.workflow.name))


def _months(
    flow: UUID,
    lag: int,
    sums: Mapping[tuple[UUID, date], tuple[Decimal, Decimal]],
    months: Sequence[date],
    today: date,
) -> tuple[MonthCost, ...]:
    first = min((month for of, month in sums if of == flow), default=None)
    known_to = today - timedelta(days=lag)
    return tuple(
        _month(month, known_to, *sums.get((flow, month), (ZERO, ZERO)))
        for month in months
        if first is not None and month >= first
    )


@exactly
def _month(month: date, known_to: date, spend: Decimal, outcomes: Decimal) -> MonthCost:
    end = max(month, min(add_months(month, 1), known_to))
    return MonthCost(month, end, spend, outcomes, cost_per_outcome(spend * THOUSAND, outcomes))
