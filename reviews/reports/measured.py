"""The metrics, health and signals of accounts as the daily look left them: what pages, plays and exports read."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django.db.models.fields.json import KeyTextTransform
from psycopg2 import sql

from reviews.models import AccountMetrics, HealthDay

NOT_MEASURED = "Not measured yet: it is done every night."


@dataclass(frozen=True, slots=True)
class Measured:
    """One account's metrics as of the end of local `day`; `day` None: never measured.

    Read through `number`, `reason` and `inputs`. Without reasons and inputs where only numbers were asked for.
    """

    account_id: UUID
    day: date | None = None
    numbers: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    kept_inputs: dict[str, Any] = field(default_factory=dict)
    data_through: datetime | None = None
    computed_at: datetime | None = None

    def number(self, name: str) -> Decimal | None:
        """The metric's value; None: not known, for `reason(name)`."""
        text = self.numbers.get(name)
        return None if text is None else Decimal(text)

    def reason(self, name: str) -> str:
        """Why the metric is not known; "" when it is."""
        return "" if name in self.numbers else self.reasons.get(name, NOT_MEASURED)

    def inputs(self, name: str) -> dict[str, Any]:
        """What the metric was computed from."""
        return self.kept_inputs.get(name) or {}


# One look into the index for each account: DISTINCT ON would read all its days.
_NEWEST = """
SELECT kept.account_id, kept.day, kept.data_through, kept.computed_at, {what}
FROM unnest(%(accounts)s::uuid[]) AS wanted(id)
CROSS JOIN LATERAL (
    SELECT * FROM reviews_accountmetrics
    WHERE organization_id = %(organization)s AND account_id = wanted.id AND day <= %(day)s
    ORDER BY day DESC LIMIT 1
) AS kept
"""
# Picks some numbers where they are kept: what is not read need not be sent and parsed.
_PICKED = " CROSS JOIN LATERAL jsonb_to_record(kept.numbers) AS picked({columns})"


def latest_metrics(
    organization_id: UUID, account_ids: Collection[UUID], *, numbers_only: bool = False
) -> dict[UUID, Measured]:
    """Return the newest metrics of each account; one without has `day` None. One query.

    `numbers_only`: without reasons and inputs, for lists of many accounts.
    """
    return metrics_on(organization_id, account_ids, date.max, numbers_only=numbers_only)


def latest_numbers(organization_id: UUID, account_ids: Collection[UUID], names: Sequence[str]) -> dict[UUID, Measured]:
    """Return the newest of these metrics of each account and no other: for pages of thousands. One query."""
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in names)
    query = sql.SQL(_NEWEST + _PICKED).format(what=sql.SQL("picked.*"), columns=columns)
    found: dict[UUID, Measured] = {}
    for account, day, data_through, computed_at, *texts in _newest(query, organization_id, account_ids, date.max):
        numbers = {name: text for name, text in zip(names, texts, strict=True) if text is not None}
        found[account] = Measured(account, day, numbers, {}, {}, data_through, computed_at)
    return {pk: found.get(pk) or Measured(pk) for pk in account_ids}


def metrics_on(
    organization_id: UUID, account_ids: Collection[UUID], day: date, *, numbers_only: bool = False
) -> dict[UUID, Measured]:
    """Return each account's newest metrics of `day` or before; one without has `day` None. One query."""
    what = "kept.numbers" if numbers_only else "kept.numbers, kept.reasons, kept.inputs"
    query = sql.SQL(_NEWEST).format(what=sql.SQL(what))
    found: dict[UUID, Measured] = {}
    for account, on, data_through, computed_at, *texts in _newest(query, organization_id, account_ids, day):
        numbers, reasons, inputs = [*(orjson.loads(text) for text in texts), {}, {}][:3]
        found[account] = Measured(account, on, numbers, reasons, inputs, data_through, computed_at)
    return {pk: found.get(pk) or Measured(pk) for pk in account_ids}


def _newest(query: sql.Composed, organization_id: UUID, account_ids: Collection[UUID], day: date) -> list[Any]:
    named: dict[str, Any] = {"organization": organization_id, "accounts": [str(pk) for pk in account_ids], "day": day}
    with connection.cursor() as cursor:
        cursor.execute(query, named)
        return cursor.fetchall()


def metric_history(
    organization_id: UUID, account_ids: Collection[UUID], since: date, names: Iterable[str]
) -> dict[UUID, list[tuple[date, dict[str, Decimal | None]]]]:
    """Return {account: [(day, {name: value})]}, oldest first, from `since` on. One query."""
    wanted = list(names)
    rows = AccountMetrics.objects.filter(
        organization_id=organization_id, account__in=list(account_ids), day__gte=since
    )
    found: dict[UUID, list[tuple[date, dict[str, Decimal | None]]]] = defaultdict(list)
    texts = [KeyTextTransform(name, "numbers") for name in wanted]
    for account, day, *values in rows.order_by("account_id", "day").values_list("account_id", "day", *texts):
        numbers = [None if text is None else Decimal(text) for text in values]
        found[account].append((day, dict(zip(wanted, numbers, strict=True))))
    return found


def latest_health(organization_id: UUID, account_ids: Collection[UUID]) -> dict[UUID, HealthDay]:
    """Return the newest health of each account that has any. One query. An override is not in it."""
    rows = HealthDay.objects.filter(organization_id=organization_id, account__in=list(account_ids))
    return {row.account_id: row for row in rows.order_by("account_id", "-day").distinct("account_id")}


def health_history(
    organization_id: UUID, account_ids: Collection[UUID], since: date
) -> dict[UUID, Sequence[HealthDay]]:
    """Return {account: its health, a row a day, oldest first} from `since` on. One query."""
    found: dict[UUID, list[HealthDay]] = defaultdict(list)
    rows = HealthDay.objects.filter(organization_id=organization_id, account__in=list(account_ids), day__gte=since)
    for row in rows.order_by("account_id", "day"):
        found[row.account_id].append(row)
    return dict(found)
