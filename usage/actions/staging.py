"""Events into the database at the speed of COPY: a temporary table, then one statement that keeps what is new.

COPY straight into a table with row-level security is refused, so the rows are staged; the policies are checked when
they move on. The statements here are the only ones that write events.
"""

from collections.abc import Iterable
from datetime import date, datetime
from io import StringIO
from typing import Any
from uuid import UUID
from weakref import WeakSet

import msgspec
from django.db import connection, transaction
from psycopg2.extras import execute_values

from consumption_cs.lib.ids import uuid7
from usage.calc.cloudevents import Event, canonical_json
from usage.calc.quantities import plain_text
from usage.calc.sums import Counted

_CREATE = """CREATE TEMPORARY TABLE IF NOT EXISTS ingest_stage (
    key uuid, digest bigint, occurred_at timestamptz, account_id uuid, meter_id uuid, workflow_id uuid,
    quantity numeric(38, 12), outcomes numeric(38, 12), succeeded boolean, attempt integer, environment text,
    counted boolean, value text, source text, event_id text, properties jsonb
) ON COMMIT DELETE ROWS"""
_COPY = "COPY ingest_stage FROM STDIN"
_KEEP_NEW = """WITH fresh AS (
    INSERT INTO usage_event_key (organization_id, key, digest, occurred_at)
    SELECT %(organization)s, key, digest, occurred_at FROM ingest_stage
    ON CONFLICT DO NOTHING RETURNING key
), stored AS (
    INSERT INTO usage_event (organization_id, batch_id, received_at, key, occurred_at, account_id, meter_id,
        workflow_id, quantity, outcomes, succeeded, attempt, environment, counted, value, source, event_id, properties)
    SELECT %(organization)s, %(batch)s, now(), key, occurred_at, account_id, meter_id,
        workflow_id, quantity, outcomes, succeeded, attempt, environment, counted, value, source, event_id, properties
    FROM ingest_stage JOIN fresh USING (key) WHERE account_id IS NOT NULL
)
SELECT key::text FROM ingest_stage WHERE NOT EXISTS (SELECT FROM fresh WHERE fresh.key = ingest_stage.key)"""

_NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_CHUNK = 64 * 1024

_staged_on: "WeakSet[object]" = WeakSet()
_known_months: set[tuple[int, int]] = set()


class Staged(msgspec.Struct):
    """One event on its way: with `counted` what its meter read, without it the `reason` to quarantine it."""

    event: Event
    key: str
    digest: int
    occurred_at: datetime
    properties: bytes
    counted: Counted | None = None
    reason: str = ""


def keep_new(organization_id: UUID, batch_id: int, staged: list[Staged]) -> dict[str, bool]:
    """Store the events whose keys were never seen. Returns the hex keys that were, and whether the payload differs.

    Inside `act_as`. Keys must be distinct. Rows go in by the order of their keys, so that two overlapping batches
    wait for each other but never in a circle.
    """
    raw = connection.connection
    with connection.cursor() as cursor:
        if raw not in _staged_on:
            cursor.execute(_CREATE)
            transaction.on_commit(lambda: _staged_on.add(raw))
        if not _is_outermost():
            cursor.execute("DELETE FROM ingest_stage")
        lines = [_line(one) for one in staged]
        lines.sort()
        cursor.copy_expert(_COPY, StringIO("".join(lines)), _CHUNK)
        cursor.execute(_KEEP_NEW, {"organization": organization_id, "batch": batch_id})
        seen = {key.replace("-", "") for (key,) in cursor.fetchall()}
        if not seen:
            return {}
        # A new snapshot: the first one does not see keys that another batch committed while this one waited.
        cursor.execute(
            "SELECT key::text, digest FROM usage_event_key WHERE organization_id = %s AND key = ANY(%s::uuid[])",
            [organization_id, list(seen)],
        )
        stored = {key.replace("-", ""): digest for key, digest in cursor.fetchall()}
    return {one.key: stored[one.key] != one.digest for one in staged if one.key in seen}


def next_batch_id() -> int:
    """A number for a batch, before its row is written: the sums are known only at the end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('usage_ingestbatch_id_seq')")
        (batch_id,) = cursor.fetchone()
        return int(batch_id)


def store_batch(
    organization_id: UUID, api_key_id: UUID | None, batch_id: int, events: int, sums: list[dict[str, Any]]
) -> None:
    """Write the batch that the tick will merge into the roll-ups."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO usage_ingestbatch (id, organization_id, api_key_id, events, sums)"
            " VALUES (%s, %s, %s, %s, %s)",
            [batch_id, organization_id, api_key_id, events, msgspec.json.encode(sums).decode()],
        )


def store_quarantined(organization_id: UUID, api_key_id: UUID | None, staged: list[Staged]) -> None:
    """Keep whole events aside whose account or meter is not known (yet). Their keys are stored already."""
    rows = [
        (uuid7(), organization_id, one.key, one.digest, one.reason, _detail(one), _payload(one), api_key_id,
         one.occurred_at)
        for one in staged
    ]  # fmt: skip
    with connection.cursor() as cursor:
        execute_values(
            cursor.cursor,
            "INSERT INTO usage_quarantinedevent (id, organization_id, key, digest, reason, detail, payload,"
            " api_key_id, occurred_at) VALUES %s",
            rows,
        )


def _detail(one: Staged) -> str:
    if one.reason == "unknown_type":
        return f"No meter reads events of the type “{one.event.type}”."
    return f"No account has the key “{one.event.subject}”."


def _payload(one: Staged) -> str:
    """The event as it came, every number with all its digits."""
    event = one.event
    whole: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "data": event.data,
        **(event.extensions or {}),
    }
    if event.time is not None:
        whole["time"] = event.time.isoformat()
    return canonical_json(whole).decode()


def _is_outermost() -> bool:
    """Whether committing the open block empties the staging table; a test's own transaction does not."""
    return len(connection.atomic_blocks) <= 1


def make_partitions_for(moments: Iterable[datetime]) -> None:
    """Make the monthly partitions of events at these times, if this process has not seen them yet."""
    months = {(moment.year, moment.month) for moment in moments} - _known_months
    if not months:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        for year, month in sorted(months):
            cursor.execute("SELECT usage_make_partition(%s)", [date(year, month, 1)])
    _known_months.update(months)


def forget_partitions() -> None:
    """Ask the database again: retention may have dropped what this process knew."""
    _known_months.clear()


def _line(one: Staged) -> str:
    """A row in COPY's text format."""
    counted, event = one.counted, one.event
    start = f"{one.key}\t{one.digest}\t{one.occurred_at.isoformat()}\t"
    if counted is None:
        return start + "\\N\t" * 12 + "\\N\n"
    reading = counted.reading
    quantity, outcomes, value = reading.quantity, reading.outcomes, reading.value
    texts = f"{reading.environment}\t{reading.counted}\t\\N\t{event.source}\t{event.id}\t{one.properties.decode()}\n"
    # All but a counted value were checked to be free of tabs and line breaks; the one backslash is that of the null.
    if value is not None or texts.count("\\") != 1:
        texts = _escaped(reading.environment, reading.counted, value, event.source, event.id, one.properties.decode())
    return (
        f"{start}{counted.account}\t{counted.meter}\t{counted.workflow or _NULL}\t"
        f"{quantity if type(quantity) is int else plain_text(quantity)}\t"
        f"{_NULL if outcomes is None else plain_text(outcomes)}\t"
        f"{_NULL if reading.succeeded is None else reading.succeeded}\t"
        f"{_NULL if reading.attempt is None else reading.attempt}\t{texts}"
    )


def _escaped(*fields: str | bool | None) -> str:
    return "\t".join(_NULL if field is None else str(field).translate(_ESCAPES) for field in fields) + "\n"
