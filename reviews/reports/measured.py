"""The metrics, health and signals of accounts as the daily look left them: what pages, plays and exports read."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from reviews.models import AccountMetrics, HealthDay

NOT_MEASURED = "Not measured yet: it is done every night."


@dataclass(frozen=True, slots=True)
class Measured:
    """One account's metrics as of the end of local `day`; `day` None: never measured.

    `values` is {name: {"value", "reason", "inputs"}} as it is kept; read it through `number`, `reason`, `inputs`.
    """

    account_id: UUID
    day: date | None = None
    values: dict[str, Any] = field(default_factory=dict)
    data_through: datetime | None = None
    computed_at: datetime | None = None

    def number(self, name: str) -> Decimal | None:
        """The metric's value; None: not known, for `reason(name)`."""
        text = self.values.get(name, {}).get("value")
        return None if text is None else Decimal(text)

    def reason(self, name: str) -> str:
        """Why the metric is not known; "" when it is."""
        found = self.values.get(name)
        return NOT_MEASURED if found is None else str(found.get("reason", ""))

    def inputs(self, name: str) -> dict[str, Any]:
        """What the metric was computed from."""
        return self.values.get(name, {}).get("inputs") or {}


def latest_metrics(organization_id: UUID, account_ids: Collection[UUID]) -> dict[UUID, Measured]:
    """Return the newest metrics of each account; one without has `day` None. One query."""
    rows = AccountMetrics.objects.filter(organization_id=organization_id, account__in=list(account_ids))
    newest = rows.order_by("account_id", "-day").distinct("account_id")
    found = {row.account_id: _measured(row) for row in newest}
    return {pk: found.get(pk) or Measured(pk) for pk in account_ids}


def metrics_on(organization_id: UUID, account_ids: Collection[UUID], day: date) -> dict[UUID, Measured]:
    """Return each account's newest metrics of `day` or before; one without has `day` None. One query."""
    rows = AccountMetrics.objects.filter(organization_id=organization_id, account__in=list(account_ids), day__lte=day)
    found = {row.account_id: _measured(row) for row in rows.order_by("account_id", "-day").distinct("account_id")}
    return {pk: found.get(pk) or Measured(pk) for pk in account_ids}


def metric_history(
    organization_id: UUID, account_ids: Collection[UUID], since: date, names: Iterable[str]
) -> dict[UUID, list[tuple[date, dict[str, Decimal | None]]]]:
    """Return {account: [(day, {name: value})]}, oldest first, from `since` on. One query."""
    wanted = list(names)
    rows = AccountMetrics.objects.filter(
        organization_id=organization_id, account__in=list(account_ids), day__gte=since
    )
    found: dict[UUID, list[tuple[date, dict[str, Decimal | None]]]] = defaultdict(list)
    for row in rows.order_by("account_id", "day"):
        measured = _measured(row)
        found[row.account_id].append((row.day, {name: measured.number(name) for name in wanted}))
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


def _measured(row: AccountMetrics) -> Measured:
    return Measured(row.account_id, row.day, row.values, row.data_through, row.computed_at)
