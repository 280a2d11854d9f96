"""A billing period taken apart by meter and by local day: what was rolled up, rated, adjusted, drawn and over."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from consumption_cs.lib.tenancy import Viewer
from usage.calc.billing_periods import Span
from usage.models import Meter


@dataclass(frozen=True, slots=True)
class Part:
    """One meter or one local day of a period; money in the account's currency. `ongoing`: today's, not booked yet."""

    meter_id: UUID | None
    meter_name: str
    unit: str
    day: date | None
    events: int
    rated_events: int
    quantity: Decimal
    rated: Decimal
    adjusted: Decimal
    drawn: Decimal
    overage: Decimal
    ongoing: Decimal

    @property
    def agrees(self) -> bool:
        return self.rated + self.adjusted == self.drawn + self.overage + self.ongoing


def meters_of(viewer: Viewer, account: Account, span: Span) -> list[Part]:
    """Return the period by meter, by name."""
    meters = {meter.pk: meter for meter in Meter.objects.visible_to(viewer)}
    rows = _rows(viewer, account, span, "meter_id")
    found = [Part(pk, meters[pk].name, meters[pk].unit, None, *figures) for pk, *figures in rows if pk in meters]
    return sorted(found, key=lambda part: part.meter_name.lower())


def days_of(viewer: Viewer, account: Account, span: Span) -> list[Part]:
    """Return the period's local days with any use or booking, the latest first; their quantities do not add up."""
    return [Part(None, "", "", *row) for row in sorted(_rows(viewer, account, span, "day"), reverse=True)]


# Days that are only in one of the tables count too: where two disagree is what one looks for.
_PARTS = """
SELECT {part}, sum(events)::bigint, sum(rated_events)::bigint, sum(quantity), sum(rated), sum(adjusted), sum(drawn),
    sum(overage), sum(ongoing)
FROM (
    SELECT day, meter_id, events, 0 AS rated_events, quantity, 0 AS rated, 0 AS adjusted, 0 AS drawn, 0 AS overage,
        0 AS ongoing
    FROM usage_day WHERE organization_id = %(organization)s AND account_id = %(account)s
    UNION ALL
    SELECT day, meter_id, 0, events, 0, coalesce(amount, 0), 0, 0, 0, 0
    FROM usage_rated_day WHERE organization_id = %(organization)s AND account_id = %(account)s
    UNION ALL
    SELECT day, meter_id, 0, 0, 0, 0, amount, 0, 0, 0
    FROM usage_adjustment WHERE organization_id = %(organization)s AND account_id = %(account)s
    UNION ALL
    SELECT day, meter_id, 0, 0, 0, 0, 0, CASE WHEN kind = 'drawn' THEN -amount ELSE 0 END,
        CASE WHEN kind = 'overage' THEN amount ELSE 0 END, 0
    FROM budgets_ledgerentry WHERE organization_id = %(organization)s AND account_id = %(account)s
        AND kind IN ('drawn', 'overage')
    UNION ALL
    SELECT latest_on, (part ->> 'meter')::uuid, 0, 0, 0, 0, 0, 0, 0,
        (part ->> 'amount')::numeric * CASE WHEN part ->> 'commit' IS NULL THEN 1 ELSE -1 END
    FROM budgets_ledgerstate AS state, jsonb_array_elements(state.ongoing) AS part
    WHERE state.organization_id = %(organization)s AND state.account_id = %(account)s
) AS rows
WHERE day >= %(start)s AND day < %(end)s
GROUP BY 1
"""


def _rows(viewer: Viewer, account: Account, span: Span, part: str) -> list[tuple[Any, ...]]:
    asked: dict[str, Any] = {
        "organization": viewer.organization_id,
        "account": account.pk,
        "start": span.start,
        "end": span.end,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PARTS.format(part=part), asked)
        return list(cursor.fetchall())
