"""Scores forecasts once the truth is known: spend after 7, 30 and 90 days, and the date of running out."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from consumption_cs.lib.tenancy import Viewer, act_as

HORIZONS = (7, 30, 90)
RUN_OUT = 0  # the score of a date, in days from the forecast
WINDOW = timedelta(days=180)

# One run a day and account counts: the last one, which is what people saw.
_SCORE = """
INSERT INTO budgets_forecastscore (id, organization_id, account_id, run_id, days, as_of, p10, p50, p90, actual)
SELECT gen_random_uuid(), run.organization_id, run.account_id, run.id, horizon.days, run.as_of,
    run.spend_p10[horizon.days], run.spend_p50[horizon.days], run.spend_p90[horizon.days],
    coalesce((SELECT sum(spend - adjustment) FROM account_day WHERE account_day.organization_id = run.organization_id
        AND account_day.account_id = run.account_id AND day >= run.as_of AND day < run.as_of + horizon.days),
        0)::float8
FROM (
    SELECT DISTINCT ON (account_id, as_of) * FROM budgets_forecastrun
    WHERE organization_id = %(organization)s AND basis = 'model' AND as_of >= %(oldest)s
    ORDER BY account_id, as_of, made_at DESC
) AS run
JOIN accounts_account AS account ON account.organization_id = run.organization_id AND account.id = run.account_id
CROSS JOIN unnest(%(horizons)s::int[]) AS horizon(days)
WHERE run.as_of + horizon.days <= (%(now)s::timestamptz AT TIME ZONE account.timezone)::date
    AND NOT EXISTS (SELECT FROM budgets_forecastscore AS scored WHERE scored.organization_id = run.organization_id
        AND scored.run_id = run.id AND scored.days = horizon.days)
ON CONFLICT DO NOTHING
"""

# The first overage after the forecast is the day on which the commits had run out.
_SCORE_DATES = """
INSERT INTO budgets_forecastscore (id, organization_id, account_id, run_id, days, as_of, p10, p50, p90, actual)
SELECT gen_random_uuid(), run.organization_id, run.account_id, run.id, 0, run.as_of, run.exhaust_p10 - run.as_of,
    run.exhaust_p50 - run.as_of, coalesce(run.exhaust_p90, run.term_ends_on, run.as_of + 400) - run.as_of,
    emptied.day - run.as_of
FROM (
    SELECT DISTINCT ON (account_id, as_of) * FROM budgets_forecastrun
    WHERE organization_id = %(organization)s AND basis = 'model' AND remaining > 0 AND as_of >= %(oldest)s
    ORDER BY account_id, as_of, made_at DESC
) AS run
CROSS JOIN LATERAL (
    SELECT min(day) AS day FROM budgets_ledgerentry AS entry
    WHERE entry.organization_id = run.organization_id AND entry.account_id = run.account_id
        AND entry.kind = 'overage' AND entry.amount > 0 AND entry.day >= run.as_of AND entry.reverses_id IS NULL
        AND NOT EXISTS (SELECT FROM budgets_ledgerentry AS reversal WHERE reversal.organization_id =
            entry.organization_id AND reversal.reverses_id = entry.id)
) AS emptied
WHERE emptied.day > run.as_of AND run.exhaust_p10 IS NOT NULL AND run.exhaust_p50 IS NOT NULL
    AND NOT EXISTS (SELECT FROM budgets_forecastscore AS scored WHERE scored.organization_id = run.organization_id
        AND scored.run_id = run.id AND scored.days = 0)
ON CONFLICT DO NOTHING
"""


def score_runs(organization_id: UUID, now: datetime) -> int:
    """Score every run whose 7, 30 or 90 days have passed, or whose commits have run out; return how many scores.

    A second call changes nothing. Runs older than the longest horizon and the window are left alone.
    """
    arguments: dict[str, Any] = {
        "organization": organization_id,
        "horizons": list(HORIZONS),
        "now": now,
        "oldest": (now - WINDOW - timedelta(days=max(HORIZONS))).date(),
    }
    made = 0
    with act_as(Viewer(organization_id)), connection.cursor() as cursor:
        for statement in (_SCORE, _SCORE_DATES):
            cursor.execute(statement, arguments)
            made += cursor.rowcount
    return made
