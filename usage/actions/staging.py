"""Events into the database at the speed of COPY: a temporary table, then one statement that keeps what is new.

COPY straight into a table with row-level security is refused, so the rows are staged; the policies are checked when
they move on. The statements here are the only ones that write events.
"""

from collections.abc import Iterable
from datetime import date, datetime
from hashlib import blake2b
from io import BytesIO
from typing import Any
from uuid import UUID
from weakref import WeakSet

import msgspec
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg2.extras import execute_values

from consumption_cs.lib.ids import uuid7
from usage.calc.cloudevents import Event, canonical_json
from usage.calc.quantities import plain_text
from usage.calc.sums import Counted, ZoneOf, batch_sums

_COLUMNS = {
    "key": "uuid",
    "digest": "bigint",
    "occurred_at": "timestamptz",
    "account_id": "uuid",
    "meter_id": "uuid",
    "workflow_id": "uuid",
    "quantity": "numeric(38, 12)",
    "outcomes": "numeric(38, 12)",
    "succeeded": "boolean",
    "attempt": "integer",
    "environment": "text",
    "counted": "boolean",
    "value": "text",
    "source": "text",
    "event_id": "text",
    "properties": "jsonb",
}
_STORED = ", ".join(name for name in _COLUMNS if name != "digest")
_CREATE = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS ingest_stage "
    f"({', '.join(f'{name} {kind}' for name, kind in _COLUMNS.items())}) ON COMMIT DELETE ROWS"
)
_COPY = "COPY ingest_stage FROM STDIN"
# A handful of events goes in as values under the staging table's name: a real one costs more than they do.
_FEW = 5
_VALUES = f"ingest_stage ({', '.join(_COLUMNS)}) AS MATERIALIZED (VALUES {{}}), "
_ROW = f"({', '.join(f'%s::{kind}' for kind in _COLUMNS.values())})"
# The batch with the sums of all events is written only if all were new; else the caller sums those that were.
_KEEP_NEW = f"""batch AS MATERIALIZED (
    SELECT nextval('usage_ingestbatch_id_seq') AS id
), fresh AS (
    INSERT INTO usage_event_key (organization_id, key, digest, occurred_at)
    SELECT %s::uuid, key, digest, occurred_at FROM ingest_stage
    ON CONFLICT DO NOTHING RETURNING key
), stored AS (
    INSERT INTO usage_event (organization_id, batch_id, received_at, {_STORED})
    SELECT %s::uuid, (SELECT id FROM batch), now(), {_STORED}
    FROM ingest_stage JOIN fresh USING (key) WHERE account_id IS NOT NULL
), noted AS (
    INSERT INTO usage_ingestbatch (id, organization_id, api_key_id, events, sums)
    SELECT id, %s::uuid, %s::uuid, %s, %s::jsonb FROM batch WHERE %s = (SELECT count(*) FROM fresh)
)
SELECT key::text, (SELECT id FROM batch) FROM ingest_stage
WHERE NOT EXISTS (SELECT FROM fresh WHERE fresh.key = ingest_stage.key)"""  # noqa: S608 - names of columns

_NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_CHUNK = 64 * 1024

_staged_on: "WeakSet[object]" = WeakSet()
_known_months: set[tuple[int, int]] = set()


class Staged(msgspec.Struct):
    """One event on its way: with `counted` what its meter read, without it the `reason` to quarantine it.

    `occurred_at` is ISO text in UTC, `properties` the JSON to store.
    """

    event: Event
    key: str
    digest: int
    occurred_at: str
    properties: bytes
    counted: Counted | None = None
    reason: str = ""


def key_of(source: str, event_id: str) -> str:
    """What makes an event itself, as 32 hex digits. Neither part can hold the NUL that parts them."""
    return blake2b(f"{source}\0{event_id}".encode(), digest_size=16).hexdigest()


def reversal_key_of(source: str, event_id: str) -> str:
    """The key of the event that counts against the one which a replacement, the given event, replaces."""
    return key_of(source, f"{event_id}\0reversal")


def digest_of(event: Event, stamp: str, properties: bytes) -> int:
    """A 64-bit digest of what the event says, to tell a retry from another event with the same id.

    `stamp` is its own time as text, empty when it gives none.
    """
    head = f"{event.type}\0{event.subject}\0{stamp}\0".encode()
    return int.from_bytes(blake2b(head + properties, digest_size=8).digest(), "big", signed=True)


def store_new(
    organization_id: UUID, api_key_id: UUID | None, staged: list[Staged], zone_of: ZoneOf, sums: str | None = None
) -> dict[str, bool]:
    """Store the events whose keys were never seen, and the batch of their sums that the tick will merge.

    Inside `act_as`. Keys must be distinct. Returns the keys that were seen before and whether their payload differs.
    `sums` stands for the sums when they are not those of the events, as with corrections; then all should be new.
    Events go in by the order of their keys, so that overlapping batches wait for each other but never in a circle.
    """
    staged = sorted(staged, key=_key_of)
    countable = [one.counted for one in staged if one.counted is not None]
    with connection.cursor() as cursor:
        source = _stage_few(cursor, staged) if len(staged) <= _FEW else _stage_many(cursor, staged, sums)
        noted = [organization_id, api_key_id, len(countable), sums or _sums_of(countable, zone_of)]
        whole = len(staged) if countable else -1
        cursor.execute(f"WITH {source}{_KEEP_NEW}", [organization_id, organization_id, *noted, whole])
        rows = cursor.fetchall()
        if not rows:
            return {}
        seen = {key.replace("-", "") for key, _ in rows}
        new = [one.counted for one in staged if one.counted is not None and one.key not in seen]
        if new:
            cursor.execute(
                "INSERT INTO usage_ingestbatch (id, organization_id, api_key_id, events, sums)"
                " VALUES (%s, %s, %s, %s, %s)",
                [rows[0][1], organization_id, api_key_id, len(new), _sums_of(new, zone_of)],
            )
        # A new snapshot: the first one does not see keys that another batch committed while this one waited.
        cursor.execute(
            "SELECT key::text, digest FROM usage_event_key WHERE organization_id = %s AND key = ANY(%s::uuid[])",
            [organization_id, list(seen)],
        )
        stored = {key.replace("-", ""): digest for key, digest in cursor.fetchall()}
    return {one.key: stored[one.key] != one.digest for one in staged if one.key in seen}


def _key_of(one: Staged) -> str:
    return one.key


def _sums_of(countable: list[Counted], zone_of: ZoneOf) -> str:
    sums = batch_sums([counted for counted in countable if counted.reading.counted], zone_of)
    return msgspec.json.encode(sums).decode()


def _stage_many(cursor: CursorWrapper, staged: list[Staged], sums: str | None) -> str:
    """Fill the staging table; returns nothing to put before the statement that reads it."""
    raw = connection.connection
    if raw not in _staged_on:
        cursor.execute(_CREATE)
        transaction.on_commit(lambda: _staged_on.add(raw))
    # Corrections follow the other events of their batch; and in tests no commit has emptied it since the last request.
    if sums is not None or len(connection.atomic_blocks) > 1:
        cursor.execute("DELETE FROM ingest_stage")
    cursor.copy_expert(_COPY, BytesIO("".join([_line(one) for one in staged]).encode()), _CHUNK)
    return ""


def _stage_few(cursor: CursorWrapper, staged: list[Staged]) -> str:
    """The events as the text of a table that stands in for the staging table."""
    return _VALUES.format(", ".join(cursor.mogrify(_ROW, _fields(one)).decode().replace("%", "%%") for one in staged))


def store_quarantined(organization_id: UUID, api_key_id: UUID | None, staged: list[Staged]) -> None:
    """Keep whole events aside whose account or meter is not known (yet). Their keys are stored already."""
    rows = [
        (uuid7(), organization_id, one.key, one.digest, one.reason, detail_of(one), _payload(one), api_key_id,
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


def detail_of(one: Staged) -> str:
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
    start = f"{one.key}\t{one.digest}\t{one.occurred_at}\t"
    if counted is None:
        return start + "\\N\t" * 12 + "\\N\n"
    reading = counted.reading
    quantity, outcomes, value = reading.quantity, reading.outcomes, reading.value
    texts = f"{reading.environment}\t{reading.counted}\t\\N\t{event.source}\t{event.id}\t{one.properties.decode()}\n"
    # All but a counted value were checked to be free of tabs and line breaks; the one backslash is that of the null.
    if value is not None or texts.count("\\") != 1:
        texts = "\t".join(map(_escaped, _fields(one)[10:])) + "\n"
    return (
        f"{start}{counted.account}\t{counted.meter}\t{counted.workflow or _NULL}\t"
        f"{quantity if type(quantity) is int else plain_text(quantity)}\t"
        f"{_NULL if outcomes is None else plain_text(outcomes)}\t"
        f"{_NULL if reading.succeeded is None else reading.succeeded}\t"
        f"{_NULL if reading.attempt is None else reading.attempt}\t{texts}"
    )


def _escaped(field: object) -> str:
    return _NULL if field is None else str(field).translate(_ESCAPES)


def _fields(one: Staged) -> list[str | int | bool | None]:
    """A row as values, in the order of the columns."""
    counted, event = one.counted, one.event
    start: list[str | int | bool | None] = [one.key, one.digest, one.occurred_at]
    if counted is None:
        return start + [None] * (len(_COLUMNS) - len(start))
    reading = counted.reading
    outcomes = None if reading.outcomes is None else plain_text(reading.outcomes)
    return [
        *start,
        *(counted.account, counted.meter, counted.workflow, plain_text(reading.quantity), outcomes),
        *(reading.succeeded, reading.attempt, reading.environment, reading.counted, reading.value),
        *(event.source, event.id, one.properties.decode()),
    ]
