"""The tick: merge the sums of accepted batches into hours and days, each exactly once."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from django.db import DataError, IntegrityError, connection, transaction

from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions import upserts
from usage.actions.recount import Recount, recounts_of
from usage.calc.merging import Sum, day_key, first_sightings, hour_key, merge, read_sums
from usage.models import MAX_FAILURES, IngestBatch, Meter

logger = logging.getLogger(__name__)

MAX_BATCHES = 500
MAX_EVENTS = 100_000
HOURS_KEPT = timedelta(days=60)
# What a row itself is to blame for. Anything else (no connection, a lock that took too long) is tried again.
_POISON = (DataError, IntegrityError, ValueError, ArithmeticError)

# The claim carries the sums along, which are read (and decompressed) only for the batches that are taken. A join with
# the table instead is at the mercy of its statistics, and a queue's are always wrong.
_CLAIM = """
WITH claimed AS MATERIALIZED (
    SELECT id, received_at, sums, failures, events FROM usage_ingestbatch
    WHERE organization_id = %(organization)s AND rolled_at IS NULL AND failures < %(max_failures)s AND held_for IS NULL
    ORDER BY id LIMIT %(max_batches)s FOR UPDATE SKIP LOCKED
), counted AS (SELECT *, sum(events) OVER (ORDER BY id) AS running FROM claimed)
SELECT id, received_at, sums::text, failures FROM counted
WHERE running <= %(max_events)s OR running = events
ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Batch:
    id: int
    received_at: datetime
    sums: str
    failures: int


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What one tick did."""

    batches: int = 0
    failed: int = 0

    @property
    def found_work(self) -> bool:
        return bool(self.batches or self.failed)


def roll_up(organization_id: UUID, now: datetime, max_batches: int = MAX_BATCHES) -> RolledUp:
    """Merge up to `max_batches` waiting batches of one organization, in one transaction of its own.

    Claims rows, so that any number of callers may run at once and none counts a batch twice; does nothing when
    another is at it. A batch that cannot be merged is set aside after three attempts (see `_isolate`) and never
    holds up the others. Raises OperationalError when the database goes away; then nothing has happened.
    """
    with act_as(Viewer(organization_id)):
        if not hold_roll_up(organization_id, wait=False):
            return RolledUp()
        batches = _claim(organization_id, max_batches)
        if not batches:
            return RolledUp()
        greatest = frozenset(
            str(pk)
            for pk in Meter.objects.filter(
                organization_id=organization_id, aggregation=Meter.Aggregation.MAX
            ).values_list("pk", flat=True)
        )
        return _RollUp(organization_id, now, greatest).run(batches)


def hold_roll_up(organization_id: UUID, *, wait: bool) -> bool:
    """Until the transaction ends, let no other tick of this organization start. False when another is at it."""
    function = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtextextended('roll up ' || %s, 0))", [str(organization_id)])
        return wait or bool(cursor.fetchone()[0])


def _claim(organization_id: UUID, max_batches: int) -> list[Batch]:
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "organization": organization_id,
                "max_failures": MAX_FAILURES,
                "max_batches": max_batches,
                "max_events": MAX_EVENTS,
            },
        )
        return [Batch(*row) for row in cursor.fetchall()]


class _RollUp:
    """One tick of one organization."""

    def __init__(self, organization_id: UUID, now: datetime, greatest: frozenset[str]) -> None:
        self.organization_id = organization_id
        self.window_start = now - HOURS_KEPT
        self.greatest = greatest
        self.failed = 0

    def run(self, batches: list[Batch]) -> RolledUp:
        merged = self._merge_what_can_be(batches)
        IngestBatch.objects.filter(organization_id=self.organization_id, pk__in=merged).update(
            rolled_at=upserts.CLOCK, error=""
        )
        return RolledUp(len(merged), self.failed)

    def _merge_what_can_be(self, batches: list[Batch]) -> list[int]:
        """Return the ids of the merged batches. When some fail, halves are tried until the culprit is alone."""
        try:
            with transaction.atomic():
                self._merge([(batch, read_sums(batch.sums)) for batch in batches])
            return [batch.id for batch in batches]
        except _POISON as error:
            if len(batches) == 1:
                self._isolate(batches[0], error)
                return []
        middle = len(batches) // 2
        return self._merge_what_can_be(batches[:middle]) + self._merge_what_can_be(batches[middle:])

    def _isolate(self, batch: Batch, error: Exception) -> None:
        """Note the failure; at the third, merge the sums that can be and keep only the others, for all to see."""
        self.failed += 1
        failures = batch.failures + 1
        changes: dict[str, object] = {"failures": failures, "error": f"{type(error).__name__}: {error}"[:2000]}
        if failures >= MAX_FAILURES:
            logger.error("batch %s cannot be rolled up and is set aside: %s", batch.id, error)
            changes["sums"] = self._merge_one_by_one(batch)
        IngestBatch.objects.filter(organization_id=self.organization_id, pk=batch.id).update(**changes)

    def _merge_one_by_one(self, batch: Batch) -> list[object]:
        left = []
        for part in msgspec.json.decode(batch.sums):
            try:
                with transaction.atomic():
                    self._merge([(batch, read_sums(msgspec.json.encode([part])))])
            except _POISON:
                left.append(part)
        return left

    def _merge(self, batches: list[tuple[Batch, list[Sum]]]) -> None:
        """Add the batches to the roll-ups. Marks come first: settlement too locks a mark before its day's rows."""
        hours = merge((part for _, parts in batches for part in parts), hour_key, self.greatest)
        touched, reasons = _touched(batches)
        recount = self._recount(batches)
        if recount:
            recount.mark(touched, reasons)
        upserts.mark_days(self.organization_id, touched, reasons)
        sightings = first_sightings(hours)
        for new in upserts.insert_new_values(self.organization_id, sightings):
            sightings[new].quantity += 1
        for hour in hours:
            hour.values = ()  # counted
        recent = [hour for hour in hours if hour.hour >= self.window_start]
        upserts.add_hours(self.organization_id, recent, self.greatest)
        upserts.add_days(self.organization_id, merge(hours, day_key, self.greatest), self.greatest)
        if recount:
            recount.run(self.window_start)

    def _recount(self, batches: list[tuple[Batch, list[Sum]]]) -> Recount | None:
        """What must be read from the events anew.

        That is what a correction took back from a meter that does not add up; and what a batch brings late, after
        failures, for an event of it may have been corrected meanwhile.
        """
        wanted = recounts_of(
            part
            for batch, parts in batches
            for part in parts
            if part.recount or (batch.failures and (part.value_at or part.values or part.meter in self.greatest))
        )
        return Recount(self.organization_id, wanted, [batch.id for batch, _ in batches]) if wanted else None


def _touched(
    batches: Iterable[tuple[Batch, list[Sum]]],
) -> tuple[dict[upserts.Mark, datetime], dict[upserts.Mark, str]]:
    """Account and day → when the oldest of its batches came; and why its money changes, if it is not new use."""
    touched: dict[upserts.Mark, datetime] = {}
    reasons: dict[upserts.Mark, list[str]] = {}
    for batch, parts in batches:
        for part in parts:
            mark = (part.account, part.day)
            touched[mark] = min(batch.received_at, touched.get(mark, batch.received_at))
            if part.reason:
                reasons.setdefault(mark, []).append(part.reason)
    return touched, {mark: _in_short(list(dict.fromkeys(texts))) for mark, texts in reasons.items()}


def _in_short(reasons: list[str]) -> str:
    return reasons[0] if len(reasons) == 1 else f"{len(reasons)} corrections, the first: {reasons[0]}"
