"""What each workflow did day by day, read at once for many accounts: what reliability and breadth are made of."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

import numpy as np
from django.db import connection

from budgets.calc.usage_windows import Floats
from usage.models import Workflow

DAYS = 56
_COLUMNS = 6

# As text, in any order: numpy reads a list of numbers in one go, where a row a day would be a million objects.
_DAYS = """
SELECT account_id::text, workflow_id, string_agg(
    concat_ws(' ', ago, spend, events, finished, successes, outcomes), ' ')
FROM (
    SELECT usage_day.account_id, workflow_id, wanted.today - day AS ago, sum(coalesce(spend, 0)) AS spend,
        sum(events) AS events, sum(finished) AS finished, sum(successes) AS successes, sum(outcomes) AS outcomes
    FROM unnest(%(accounts)s::uuid[], %(today)s::date[]) AS wanted(account_id, today)
    JOIN usage_day ON usage_day.organization_id = %(organization)s AND usage_day.account_id = wanted.account_id
        AND usage_day.day < wanted.today AND usage_day.day >= wanted.today - %(days)s
    GROUP BY 1, 2, 3
) AS days
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class WorkflowDays:
    """One workflow's last closed local days, oldest first, ending yesterday: float64 [DAYS] each.

    `spend` in the account's currency at its rates; `finished` and `successes` are attempts that said how they ended.
    `workflow_id` None: use that names no workflow.
    """

    workflow_id: UUID | None
    name: str
    stage: str
    success_target: Decimal | None
    spend: Floats
    events: Floats
    finished: Floats
    successes: Floats
    outcomes: Floats


def workflow_days(organization_id: UUID, today: Mapping[str, date]) -> dict[str, list[WorkflowDays]]:
    """Return the workflows of the accounts in `today`, those without use in the last 56 days as zeros. Two queries."""
    read = _read(organization_id, today)
    rows = Workflow.objects.filter(organization_id=organization_id, account__in=list(today)).order_by("pk")
    found: dict[str, list[WorkflowDays]] = defaultdict(list)
    for workflow in rows:
        account = str(workflow.account_id)
        days = read.pop((account, workflow.pk), None)
        found[account].append(
            WorkflowDays(workflow.pk, workflow.name, workflow.stage, workflow.success_target, *_columns(days))
        )
    for (account, _), days in read.items():
        found[account].append(WorkflowDays(None, "Without a workflow", "", None, *_columns(days)))
    return found


def _read(organization_id: UUID, today: Mapping[str, date]) -> dict[tuple[str, UUID | None], Floats]:
    with connection.cursor() as cursor:
        cursor.execute(
            _DAYS,
            {
                "organization": organization_id,
                "accounts": list(today),
                "today": list(today.values()),
                "days": DAYS,
            },
        )
        return {(account, workflow): _filled(text) for account, workflow, text in cursor.fetchall()}


def _filled(text: str) -> Floats:
    """Return [columns, DAYS]; a day without a row is a day without use."""
    rows = np.fromstring(text, sep=" ").reshape(-1, _COLUMNS)
    found = np.zeros((_COLUMNS - 1, DAYS))
    found[:, DAYS - rows[:, 0].astype(np.intp)] = rows[:, 1:].T
    return found


def _columns(days: Floats | None) -> Floats:
    return np.zeros((_COLUMNS - 1, DAYS)) if days is None else days
