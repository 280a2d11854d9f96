"""Whose forecast is due: a new local day began, settlement moved the account by more than 2 %, or a plan changed."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from budgets.models import ForecastRun

MOVED_BY = 0.02

_DUE = """
SELECT * FROM (SELECT account.id::text, CASE
    WHEN latest.made_at IS NULL OR latest.as_of < (%(now)s::timestamptz AT TIME ZONE account.timezone)::date
        THEN 'nightly'
    WHEN latest.made_at < greatest(
            (SELECT max(greatest(created_at, cancelled_at)) FROM budgets_plannedactivity AS plan
                WHERE plan.organization_id = account.organization_id AND plan.account_id = account.id),
            (SELECT max(created_at) FROM budgets_commit AS made
                WHERE made.organization_id = account.organization_id AND made.account_id = account.id),
            (SELECT max(created_at) FROM budgets_commitchange AS change
                WHERE change.organization_id = account.organization_id AND change.account_id = account.id))
        THEN 'changed'
    WHEN settlement.settled_at > latest.made_at AND (
        abs(left_now.settled - latest.remaining) > %(moved)s * greatest(latest.remaining, 1)
        OR abs(spent.spend - (latest.details ->> 'spent_28')::float8)
            > %(moved)s * greatest((latest.details ->> 'spent_28')::float8, 1))
        THEN 'moved'
    END AS cause
FROM accounts_account AS account
LEFT JOIN LATERAL (
    SELECT as_of, made_at, remaining, details FROM budgets_forecastrun AS run
    WHERE run.organization_id = account.organization_id AND run.account_id = account.id
    ORDER BY as_of DESC, made_at DESC LIMIT 1
) AS latest ON true
LEFT JOIN usage_settlement AS settlement ON settlement.organization_id = account.organization_id
    AND settlement.account_id = account.id
LEFT JOIN LATERAL (
    SELECT sum(settled) AS settled FROM budgets_commitbalance AS balance
    WHERE balance.organization_id = account.organization_id AND balance.account_id = account.id
) AS left_now ON settlement.settled_at > latest.made_at
LEFT JOIN LATERAL (
    SELECT coalesce(sum(spend - adjustment), 0) AS spend FROM account_day
    WHERE account_day.organization_id = account.organization_id AND account_day.account_id = account.id
        AND day < latest.as_of AND day >= latest.as_of - 28
) AS spent ON settlement.settled_at > latest.made_at
WHERE account.organization_id = %(organization)s
) AS due WHERE cause IS NOT NULL ORDER BY 1
"""


class Due(NamedTuple):
    """An account and why its forecast is due."""

    account: str
    cause: str


def forecasts_due(organization_id: UUID, now: datetime) -> list[Due]:
    """Return the accounts whose latest run is not up to date. Inside the organization's tenant scope."""
    arguments: dict[str, UUID | datetime | float] = {
        "organization": organization_id,
        "now": now,
        "moved": MOVED_BY,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, arguments)
        return [Due(account, ForecastRun.Cause(cause).value) for account, cause in cursor.fetchall()]
