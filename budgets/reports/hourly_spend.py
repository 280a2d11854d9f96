"""Money by the hour. An hour has quantities only: its money is its share of the day's, by quantity."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection

from accounts.models import Account
from consumption_cs.lib.periods import HOUR
from consumption_cs.lib.tenancy import Viewer

# A day's row without quantity (a price for being there) is shared by events.
_HOURS = """
SELECT hours.starts_at, sum(
    CASE WHEN days.quantity <> 0 THEN days.spend * hours.quantity / days.quantity
         WHEN days.events <> 0 THEN days.spend * hours.events / days.events ELSE 0 END)
FROM usage_hour AS hours JOIN usage_day AS days ON days.organization_id = hours.organization_id
    AND days.account_id = hours.account_id AND days.meter_id = hours.meter_id
    AND days.workflow_id IS NOT DISTINCT FROM hours.workflow_id AND days."group" = hours."group"
    AND days.day = (hours.starts_at AT TIME ZONE %(zone)s)::date
WHERE hours.organization_id = %(organization)s AND hours.account_id = %(account)s
    AND hours.starts_at >= %(start)s AND hours.starts_at < %(end)s
    AND (%(workflow)s::uuid IS NULL OR hours.workflow_id = %(workflow)s::uuid)
GROUP BY hours.starts_at
"""


def hourly_spend(
    viewer: Viewer, account: Account, start: datetime, end: datetime, workflow_id: UUID | None = None
) -> list[tuple[datetime, Decimal]]:
    """Return (start of the hour, money in the account's currency) of each hour in [start, end), oldest first.

    Hours without use count 0. `start` is the start of an hour of the account's zone; hours are kept for 60 days.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _HOURS,
            {
                "organization": viewer.organization_id,
                "account": account.pk,
                "zone": account.timezone,
                "start": start,
                "end": end,
                "workflow": workflow_id,
            },
        )
        spent: dict[datetime, Decimal] = dict(cursor.fetchall())
    count = max(0, -((start - end) // HOUR))
    return [(start + index * HOUR, spent.get(start + index * HOUR) or Decimal(0)) for index in range(count)]
