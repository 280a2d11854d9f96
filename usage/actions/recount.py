"""Quantities that are no sums, read from the events anew: the greatest, the latest, the number of different values.

Taking back an event cannot be subtracted from them. Only corrections come here, and batches that failed before.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from accounts.models import Account
from consumption_cs.lib.periods import add_months, day_start, zone_of
from usage.actions import upserts
from usage.actions.corrections import GROUP, group_text
from usage.calc.merging import Sum, day_key, hash_of, hour_key, merge
from usage.calc.sums import QUARTER, place_of
from usage.models import Meter, UsageDay

DAY = timedelta(days=1)

# Events that stand: of batches that are merged (or are being merged now), and not taken back by such a one. One
# statement, and so one snapshot: a batch that comes meanwhile is not seen.
_STANDING = f"""
WITH waiting AS MATERIALIZED (
    SELECT id FROM usage_ingestbatch
    WHERE organization_id = %(organization)s AND rolled_at IS NULL AND failures < 3 AND id <> ALL(%(merging)s)
), corrections AS MATERIALIZED (
    SELECT original_key, reversal_key FROM usage_correction
    WHERE organization_id = %(organization)s AND account_id = %(account)s
        AND original_at >= %(start)s AND original_at < %(end)s
), merged AS MATERIALIZED (
    SELECT event.key, occurred_at, workflow_id, quantity, value, {GROUP} AS grouped,
        floor(extract(epoch FROM occurred_at) / {QUARTER})::bigint AS quarter, reversal_key IS NOT NULL AS is_reversal
    FROM usage_event AS event
    JOIN usage_meter AS meter ON meter.organization_id = event.organization_id AND meter.id = event.meter_id
    LEFT JOIN corrections ON reversal_key = event.key
    WHERE event.organization_id = %(organization)s AND event.account_id = %(account)s
        AND occurred_at >= %(start)s AND occurred_at < %(end)s AND meter_id = %(meter)s AND counted
        AND NOT EXISTS (SELECT FROM waiting WHERE waiting.id = batch_id)
), taken_back AS MATERIALIZED (
    SELECT original_key AS key FROM corrections JOIN merged ON key = reversal_key WHERE is_reversal
), standing AS (
    SELECT * FROM merged
    WHERE NOT is_reversal AND NOT EXISTS (SELECT FROM taken_back WHERE taken_back.key = merged.key)
)
"""  # noqa: S608 - a number and an expression of this project
_SELECT = {
    Meter.Aggregation.MAX: "SELECT quarter, workflow_id::text, grouped, max(quantity), max(occurred_at), NULL"
    " FROM standing GROUP BY 1, 2, 3",
    Meter.Aggregation.LATEST: "SELECT quarter, workflow_id::text, grouped,"
    " (array_agg(quantity ORDER BY occurred_at DESC, quantity DESC))[1], max(occurred_at), NULL"
    " FROM standing GROUP BY 1, 2, 3",
    # A value counts where it occurred first. Then the values of which no event stands any more.
    Meter.Aggregation.UNIQUE: ", first AS ("
    "SELECT DISTINCT ON (value) quarter, workflow_id, grouped, occurred_at FROM standing"
    " ORDER BY value, occurred_at, key)"
    " SELECT quarter, workflow_id::text, grouped, count(*), max(occurred_at), NULL FROM first GROUP BY 1, 2, 3"
    " UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, value FROM (SELECT value FROM merged JOIN taken_back USING (key)"
    " EXCEPT SELECT value FROM standing) AS released",
}
_CLEAR = """
UPDATE {table} SET quantity = 0{clear} WHERE organization_id = %(organization)s AND account_id = %(account)s
    AND meter_id = %(meter)s AND {start} >= %(start)s AND {start} < %(end)s
"""
# A latest meter's rows hold the time of the event whose value they hold; later ones are compared with it.
_CLEAR_LATEST = ", last_event_at = %(nothing_at)s"
_FORGET_VALUES = """
DELETE FROM usage_unique_value WHERE organization_id = %s AND account_id = %s AND meter_id = %s AND month = %s
    AND value_hash = ANY(%s::uuid[])
"""


class Target(NamedTuple):
    """What is recounted: a meter's use on one local day; of a meter that counts different values, in one month."""

    account: str
    meter: str
    day: date


def recounts_of(parts: Iterable[Sum]) -> set[Target]:
    """The days of parts of sums that cannot be merged alone."""
    return {Target(part.account, part.meter, part.day) for part in parts}


class Recount:
    """The recount of one merge, in its transaction: `mark` before any day's row is locked, `run` after the sums."""

    def __init__(self, organization_id: UUID, wanted: set[Target], merging: list[int]) -> None:
        self.organization_id = organization_id
        self.merging = merging
        meters = Meter.objects.filter(
            organization_id=organization_id,
            pk__in={target.meter for target in wanted},
            aggregation__in=list(_SELECT),
        )
        self.kinds: dict[str, str] = {}
        self.grouped: set[str] = set()  # those that tell groups apart
        for pk, kind, dimensions in meters.values_list("pk", "aggregation", "dimensions"):
            self.kinds[str(pk)] = kind
            if dimensions:
                self.grouped.add(str(pk))
        self.greatest = frozenset(meter for meter, kind in self.kinds.items() if kind == Meter.Aggregation.MAX)
        accounts = Account.objects.filter(
            organization_id=organization_id, pk__in={target.account for target in wanted}
        )
        self.zones: dict[str, ZoneInfo] = {
            str(pk): zone_of(timezone) for pk, timezone in accounts.values_list("pk", "timezone")
        }
        self.wanted = wanted
        self.targets = sorted({self._whole(target) for target in wanted if target.meter in self.kinds})

    def mark(self, touched: dict[upserts.Mark, datetime], reasons: dict[upserts.Mark, str]) -> None:
        """Add the days to be settled: values of a month may be counted on another day of it afterwards."""
        for target in self.targets:
            if self.kinds[target.meter] != Meter.Aggregation.UNIQUE:
                continue
            causes = [(one.account, one.day) for one in self.wanted if self._whole(one) == target]
            since = min(touched[mark] for mark in causes)
            reason = next((reasons[mark] for mark in causes if mark in reasons), "")
            for day in self._days_with_use(target):
                mark = (target.account, day)
                touched[mark] = min(since, touched.get(mark, since))
                if reason:
                    reasons.setdefault(mark, reason)

    def run(self, window_start: datetime) -> None:
        """Write the quantities as the events that stand have them."""
        for target in self.targets:
            rows = self._read(target)
            counted = [self._sum(target, *row) for *row, released in rows if released is None]
            hours = merge(counted, hour_key, self.greatest)
            self._clear(target)
            self._release(target, [released for *_, released in rows if released is not None])
            recent = [hour for hour in hours if hour.hour >= window_start]
            upserts.set_hours(self.organization_id, recent)
            upserts.set_days(self.organization_id, merge(hours, day_key, self.greatest))

    def _whole(self, target: Target) -> Target:
        unique = self.kinds.get(target.meter) == Meter.Aggregation.UNIQUE
        return target._replace(day=target.day.replace(day=1)) if unique else target

    def _end(self, target: Target) -> date:
        unique = self.kinds[target.meter] == Meter.Aggregation.UNIQUE
        return add_months(target.day, 1) if unique else target.day + DAY

    def _days_with_use(self, target: Target) -> list[date]:
        rows = UsageDay.objects.filter(
            organization_id=self.organization_id, account_id=target.account, meter_id=target.meter,
            day__gte=target.day, day__lt=self._end(target),
        )  # fmt: skip
        return list(rows.order_by("day").values_list("day", flat=True).distinct())

    def _span(self, target: Target) -> Mapping[str, Any]:
        zone = self.zones[target.account]
        return {
            "organization": self.organization_id,
            "account": target.account,
            "meter": target.meter,
            "merging": self.merging,
            "start": day_start(target.day, zone),
            "end": day_start(self._end(target), zone),
            "nothing_at": day_start(target.day, zone),
        }

    def _read(self, target: Target) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            # Where statistics are missing or old, the planner would join all events of the month in loops. A month
            # may have millions of them; giving up would hold up the organization's other events for ever.
            cursor.execute("SET LOCAL enable_nestloop = off; SET LOCAL statement_timeout = 0")
            cursor.execute(_STANDING + _SELECT[Meter.Aggregation(self.kinds[target.meter])], self._span(target))
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            cursor.execute("SET LOCAL enable_nestloop TO DEFAULT; SET LOCAL statement_timeout TO DEFAULT")
            return rows

    def _sum(
        self, target: Target, quarter: int, workflow: str | None, group: str | None, quantity: Decimal, last: datetime
    ) -> Sum:
        last_at = last.astimezone(UTC)
        is_latest = self.kinds[target.meter] == Meter.Aggregation.LATEST
        hour, day = place_of(quarter, self.zones[target.account])
        return Sum(
            account=target.account,
            meter=target.meter,
            workflow=workflow,
            group=group_text(group) if target.meter in self.grouped else "",
            hour=datetime.fromisoformat(hour),
            day=date.fromisoformat(day),
            quantity=Decimal(quantity),
            events=0,
            finished=0,
            successes=0,
            outcomes=Decimal(0),
            last_at=last_at,
            value_at=last_at if is_latest else None,
        )

    def _clear(self, target: Target) -> None:
        latest = self.kinds[target.meter] == Meter.Aggregation.LATEST
        span = dict(self._span(target))
        with connection.cursor() as cursor:
            for table, start in (("usage_hour", "starts_at"), ("usage_day", "day")):
                if table == "usage_day":
                    span |= {"start": target.day, "end": self._end(target)}
                cursor.execute(_CLEAR.format(table=table, start=start, clear=_CLEAR_LATEST if latest else ""), span)

    def _release(self, target: Target, values: list[str]) -> None:
        """Let go of values that no event has any more, so that they count again when they come again."""
        if values:
            with connection.cursor() as cursor:
                hashes = [hash_of(value) for value in values]
                cursor.execute(_FORGET_VALUES, [self.organization_id, *target, hashes])
