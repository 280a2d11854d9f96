"""Conservation: what was accepted, what the roll-ups hold and what was rated are the same, to the last digit."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from consumption_cs.lib.tenancy import Viewer

# Hours are kept for 60 days; those of a day that has begun to leave are not compared.
DAYS_COMPARED_BY_HOUR = timedelta(days=58)

# Batches that wait for the tick are left out; those that it set aside are not, for their usage is missing. Each
# statement sees one snapshot, so it may run while events come in. A reversal counts against its original. Max and
# latest meters with dimensions are compared by their number of events only: an event does not keep its group.
_ACCEPTED_AND_DAYS = """
WITH corrections AS MATERIALIZED (
    SELECT original_key, reversal_key FROM usage_correction WHERE organization_id = %(organization)s
), events AS (
    SELECT event.key, event.account_id, event.meter_id, meter.aggregation, meter.dimensions = '{}' AS is_whole,
        coalesce(workflow_id::text, '') AS workflow, quantity, value, occurred_at,
        (occurred_at AT TIME ZONE account.timezone)::date AS day,
        reversal_key IS NOT NULL AS is_reversal
    FROM usage_event AS event
    JOIN usage_meter AS meter ON meter.organization_id = event.organization_id AND meter.id = event.meter_id
    JOIN accounts_account AS account
        ON account.organization_id = event.organization_id AND account.id = event.account_id
    LEFT JOIN corrections ON reversal_key = event.key
    WHERE event.organization_id = %(organization)s AND counted AND NOT EXISTS (
        SELECT FROM usage_ingestbatch AS batch
        WHERE batch.organization_id = %(organization)s AND batch.id = event.batch_id
            AND batch.rolled_at IS NULL AND batch.failures < 3)
), taken_back AS MATERIALIZED (
    SELECT original_key AS key FROM corrections JOIN events ON key = reversal_key WHERE is_reversal
), standing AS (
    SELECT * FROM events
    WHERE NOT is_reversal AND NOT EXISTS (SELECT FROM taken_back WHERE taken_back.key = events.key)
), added AS (
    SELECT account_id, meter_id, aggregation, is_whole, sum(quantity) AS total,
        sum(CASE WHEN is_reversal THEN -1 ELSE 1 END) AS events
    FROM events GROUP BY 1, 2, 3, 4
), by_day AS (
    SELECT account_id, meter_id, max(quantity) AS greatest,
        (array_agg(quantity ORDER BY occurred_at DESC, quantity DESC))[1] AS latest
    FROM standing WHERE aggregation IN ('max', 'latest') GROUP BY account_id, meter_id, day, workflow
), whole AS (
    SELECT account_id, meter_id, sum(greatest) AS greatest, sum(latest) AS latest FROM by_day GROUP BY 1, 2
), different AS (
    SELECT account_id, meter_id, count(DISTINCT (date_trunc('month', day), value)) AS total
    FROM standing WHERE aggregation = 'unique' GROUP BY 1, 2
), accepted AS (
    SELECT account_id, meter_id, events, CASE aggregation
        WHEN 'unique' THEN coalesce(different.total, 0)
        WHEN 'max' THEN coalesce(greatest, 0)
        WHEN 'latest' THEN coalesce(latest, 0)
        ELSE added.total END AS quantity,
        is_whole OR aggregation IN ('sum', 'count', 'unique') AS comparable
    FROM added LEFT JOIN whole USING (account_id, meter_id) LEFT JOIN different USING (account_id, meter_id)
), days AS (
    SELECT account_id, meter_id, sum(events) AS events, sum(quantity) AS quantity
    FROM usage_day WHERE organization_id = %(organization)s GROUP BY 1, 2
)
SELECT account_id::text, meter_id::text, coalesce(accepted.events, 0), coalesce(days.events, 0),
    coalesce(accepted.quantity, 0), coalesce(days.quantity, 0)
FROM accepted FULL JOIN days USING (account_id, meter_id)
WHERE accepted.events IS DISTINCT FROM days.events
    OR comparable AND accepted.quantity IS DISTINCT FROM days.quantity
ORDER BY account_id, meter_id
"""

_DAYS_AND_HOURS = """
WITH days AS (
    SELECT account_id, meter_id, sum(events) AS events, sum(quantity) AS quantity
    FROM usage_day WHERE organization_id = %(organization)s AND day >= %(since)s GROUP BY 1, 2
), hours AS (
    SELECT account_id, meter_id, sum(events) AS events, sum(quantity) AS quantity
    FROM usage_hour JOIN accounts_account AS account
        ON account.organization_id = usage_hour.organization_id AND account.id = usage_hour.account_id
    WHERE usage_hour.organization_id = %(organization)s
        AND (starts_at AT TIME ZONE account.timezone)::date >= %(since)s
    GROUP BY 1, 2
)
SELECT account_id::text, meter_id::text, coalesce(days.events, 0), coalesce(hours.events, 0),
    coalesce(days.quantity, 0), coalesce(hours.quantity, 0)
FROM days FULL JOIN hours USING (account_id, meter_id)
LEFT JOIN usage_meter AS meter ON meter.organization_id = %(organization)s AND meter.id = meter_id
WHERE days.events IS DISTINCT FROM hours.events
    OR meter.aggregation IN ('sum', 'count', 'unique') AND days.quantity IS DISTINCT FROM hours.quantity
ORDER BY account_id, meter_id
"""

_DAYS_AND_TOTALS = """
WITH lines AS (
    SELECT organization_id, account_id, day, events, spend FROM usage_day WHERE organization_id = %(organization)s
    UNION ALL
    -- What a minimum spend added without any use that day.
    SELECT organization_id, account_id, day, 0, amount FROM usage_rated_day AS rated
    WHERE organization_id = %(organization)s AND rated.events = 0 AND NOT EXISTS (
        SELECT FROM usage_day AS used WHERE used.organization_id = rated.organization_id
            AND used.account_id = rated.account_id AND used.day = rated.day AND used.meter_id = rated.meter_id)
), days AS (
    SELECT account_id, sum(events) AS events, coalesce(sum(spend), 0) AS spend
    FROM lines WHERE NOT EXISTS (
        SELECT FROM usage_touched_day AS mark WHERE mark.organization_id = lines.organization_id
            AND mark.account_id = lines.account_id AND mark.day = lines.day)
    GROUP BY 1
), totals AS (
    SELECT account_id, sum(events) AS events, sum(spend - adjustment) AS spend
    FROM account_day WHERE organization_id = %(organization)s AND NOT EXISTS (
        SELECT FROM usage_touched_day AS mark WHERE mark.organization_id = account_day.organization_id
            AND mark.account_id = account_day.account_id AND mark.day = account_day.day)
    GROUP BY 1
)
SELECT account_id::text, NULL, coalesce(days.events, 0), coalesce(totals.events, 0),
    coalesce(days.spend, 0), coalesce(totals.spend, 0)
FROM days FULL JOIN totals USING (account_id)
WHERE days.events IS DISTINCT FROM totals.events OR days.spend IS DISTINCT FROM totals.spend
ORDER BY account_id
"""

_STEPS = {
    "accepted and rolled up by day": _ACCEPTED_AND_DAYS,
    "rolled up by day and by hour": _DAYS_AND_HOURS,
    "rated and totalled": _DAYS_AND_TOTALS,
}


class Difference(NamedTuple):
    """An account (and meter) for which two steps of the way disagree: events and quantities, or spend."""

    step: str
    account_id: str
    meter_id: str | None
    events: int
    events_after: int
    amount: Decimal
    amount_after: Decimal

    def __str__(self) -> str:
        meter = f", meter {self.meter_id}" if self.meter_id else ""
        return (
            f"{self.step}: account {self.account_id}{meter}: {self.events} events, {self.amount:f} before; "
            f"{self.events_after} events, {self.amount_after:f} after"
        )


def differences(viewer: Viewer, now: datetime) -> list[Difference]:
    """Return all differences in the viewer's organization; none when everything is conserved. Within `act_as`.

    Reads every event, so it is for a nightly job. Presumes that accounts kept their time zone.
    """
    since = (now - DAYS_COMPARED_BY_HOUR).date()
    found = []
    with connection.cursor() as cursor:
        # Where statistics are missing or old, the planner would join all events in loops.
        cursor.execute("SET LOCAL enable_nestloop = off")
        for step, statement in _STEPS.items():
            cursor.execute(statement, {"organization": viewer.organization_id, "since": since})
            found += [Difference(step, *row) for row in cursor.fetchall()]
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
    return found
