"""Money by hour of many accounts and of each of their workflows, as matrices for the detector."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from django.db import connection

from accounts.models import Account
from budgets.calc.usage_windows import Floats
from consumption_cs.lib.periods import HOUR, hour_of, zone_of

WINDOW_HOURS = 60 * 24  # usage_hour keeps 60 days

# An hour's money is its share of its day's, by quantity, or by events where nothing was measured. Meters that are
# muted at any time of the window are left out of all of it, so that what is usual does not change at its edge.
_SERIES = """
WITH wanted AS (
    SELECT * FROM unnest(%(accounts)s::uuid[], %(zones)s::text[], %(untils)s::timestamptz[])
        AS one(account_id, zone, until)
), hours AS MATERIALIZED (
    SELECT hours.account_id, hours.workflow_id, coalesce(hours.workflow_id, %(none)s::uuid) AS work, hours.meter_id,
        hours."group", (hours.starts_at AT TIME ZONE wanted.zone)::date AS day,
        extract(epoch FROM wanted.until - hours.starts_at)::int / 3600 AS ago, hours.quantity, hours.events
    FROM wanted JOIN usage_hour AS hours ON hours.account_id = wanted.account_id
    WHERE hours.organization_id = %(organization)s AND hours.account_id = ANY(%(accounts)s::uuid[])
        AND hours.starts_at >= wanted.until - make_interval(hours => %(window)s) AND hours.starts_at < wanted.until
        AND NOT EXISTS (
            SELECT FROM unnest(%(muted_accounts)s::uuid[], %(muted_meters)s::uuid[]) AS muted(account, meter)
            WHERE muted.account = hours.account_id AND muted.meter = hours.meter_id)
), days AS MATERIALIZED (
    SELECT days.account_id, coalesce(days.workflow_id, %(none)s::uuid) AS work, days.meter_id, days."group", days.day,
        (CASE WHEN days.quantity <> 0 THEN days.spend / days.quantity END)::float8 AS per_unit,
        (CASE WHEN days.events <> 0 THEN days.spend / days.events END)::float8 AS per_event
    FROM usage_day AS days
    WHERE days.organization_id = %(organization)s AND days.account_id = ANY(%(accounts)s::uuid[])
        AND days.day >= (SELECT min(until) FROM wanted)::date - %(window)s / 24 - 2
)
SELECT hours.account_id, hours.workflow_id, array_agg(hours.ago)::text,
    array_agg(coalesce(hours.quantity::float8 * days.per_unit, hours.events * days.per_event, 0))::text
FROM hours JOIN days USING (account_id, work, meter_id, "group", day)
GROUP BY hours.account_id, hours.workflow_id
"""


@dataclass(frozen=True, slots=True)
class HourlySeries:
    """Money of an account's closed hours, or of one workflow's. `hours` [n], the last one ends at `until`.

    NaN before the first hour with use.
    """

    account: Account
    workflow_id: UUID | None
    until: datetime
    hours: Floats

    def moment(self, index: int) -> datetime:
        """When the hour in column `index` starts."""
        return self.until - (len(self.hours) - index) * HOUR

    def index(self, moment: datetime) -> int:
        """The column of the hour that starts at `moment`; below zero before the window."""
        return len(self.hours) - (self.until - moment) // HOUR


def hourly_series(
    organization_id: UUID, accounts: Sequence[Account], now: datetime, muted: Mapping[UUID, set[UUID]]
) -> list[HourlySeries]:
    """Return the series of the accounts (workflow None) and of their workflows, up to each one's last closed hour.

    `muted`: meters to leave out, by account. Accounts and workflows without use in the window have none.
    """
    until = {account.pk: hour_of(now, zone_of(account.timezone)).start for account in accounts}
    by_id = {account.pk: account for account in accounts}
    pairs = [(account, meter) for account, meters in muted.items() for meter in meters]
    with connection.cursor() as cursor:
        # The planner expects a handful of rows: it would walk each account's days once for every hour, and hours
        # that do not fit into memory are sorted on disk.
        cursor.execute("SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB'")
        cursor.execute(
            _SERIES,
            {
                "organization": organization_id,
                "accounts": list(by_id),
                "zones": [account.timezone for account in accounts],
                "untils": [until[account.pk] for account in accounts],
                "window": WINDOW_HOURS,
                "none": UUID(int=0),  # equal to itself, unlike null: the rows can be hashed
                "muted_accounts": [account for account, _ in pairs],
                "muted_meters": [meter for _, meter in pairs],
            },
        )
        rows = cursor.fetchall()
        cursor.execute("SET LOCAL enable_nestloop = on; SET LOCAL work_mem = DEFAULT")
    totals: dict[UUID, Floats] = defaultdict(lambda: np.zeros(WINDOW_HOURS))
    found = []
    for account_id, workflow_id, ago, money in rows:
        at = WINDOW_HOURS - _numbers(ago).astype(np.intp)
        hours: Floats = np.bincount(at, _numbers(money), WINDOW_HOURS).astype(np.float64)
        totals[account_id] += hours
        if workflow_id is not None:
            found.append(HourlySeries(by_id[account_id], workflow_id, until[account_id], _from_first(hours)))
    whole = [HourlySeries(by_id[pk], None, until[pk], _from_first(hours)) for pk, hours in totals.items()]
    return whole + found


def _numbers(text: str) -> Floats:
    """Read an array as PostgreSQL writes it: ten times as fast as number by number."""
    return np.fromstring(text[1:-1], sep=",")


def _from_first(hours: Floats) -> Floats:
    used = np.flatnonzero(hours)
    out = np.maximum(hours, 0.0)  # a correction may take more from an hour than it had
    out[: used[0] if used.size else len(hours)] = np.nan
    return out
