"""The statements that write roll-ups, a whole tick's rows at a time, in the order of their unique keys."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import DateTimeField, Func

from usage.calc.merging import Sighting, Sum

Mark = tuple[str, date]  # an account and one of its local days
CLOCK = Func(function="clock_timestamp", output_field=DateTimeField())

_QUANTITY = {
    "add": "kept.quantity + excluded.quantity",
    "max": "GREATEST(kept.quantity, excluded.quantity)",
    # A latest meter's rows hold the last event's value, so the times of the events decide; of two at one moment the
    # greater, as in `merge`.
    "latest": "CASE WHEN (excluded.last_event_at, excluded.quantity) > (kept.last_event_at, kept.quantity)"
    " THEN excluded.quantity ELSE kept.quantity END",
}

_UPSERT = """
INSERT INTO {table} AS kept (organization_id, account_id, {start}, meter_id, workflow_id, "group",
    quantity, events, finished, successes, outcomes, last_event_at)
SELECT %s, a, {short}, m, w, g, q, n, f, s, o, l
FROM json_to_recordset(%s) AS new(a uuid, h timestamptz, d date, m uuid, w uuid, g text,
    q numeric, n bigint, f bigint, s bigint, o numeric, l timestamptz)
ON CONFLICT (organization_id, account_id, {start}, meter_id, workflow_id, "group") DO UPDATE SET
    quantity = {quantity},
    events = kept.events + excluded.events,
    finished = kept.finished + excluded.finished,
    successes = kept.successes + excluded.successes,
    outcomes = kept.outcomes + excluded.outcomes,
    last_event_at = GREATEST(kept.last_event_at, excluded.last_event_at)
"""

# DO UPDATE even if nothing changes: the mark gets a new version, which a settlement under way does not clear.
_MARK = """
INSERT INTO usage_touched_day AS kept (organization_id, account_id, day, received_at, reason)
SELECT %s, a, d, r, coalesce(w, '') FROM json_to_recordset(%s) AS new(a uuid, d date, r timestamptz, w text)
ON CONFLICT (organization_id, account_id, day) DO UPDATE SET
    received_at = LEAST(kept.received_at, excluded.received_at),
    reason = CASE WHEN excluded.reason = '' OR strpos(kept.reason, excluded.reason) > 0 THEN kept.reason
        WHEN kept.reason = '' THEN excluded.reason ELSE left(kept.reason || '; ' || excluded.reason, 1000) END
"""

# A row that is not there would be one whose meter told other groups apart when its events came.
_SET = """
INSERT INTO {table} AS kept (organization_id, account_id, {start}, meter_id, workflow_id, "group",
    quantity, events, finished, successes, outcomes, last_event_at)
SELECT %s, a, {short}, m, w, g, q, 0, 0, 0, 0, l
FROM json_to_recordset(%s) AS new(a uuid, h timestamptz, d date, m uuid, w uuid, g text, q numeric, l timestamptz)
ON CONFLICT (organization_id, account_id, {start}, meter_id, workflow_id, "group") DO UPDATE SET
    quantity = excluded.quantity, last_event_at = GREATEST(kept.last_event_at, excluded.last_event_at)
"""

_NEW_VALUES = """
INSERT INTO usage_unique_value (organization_id, account_id, meter_id, month, value_hash)
SELECT %s, a, m, d, v FROM json_to_recordset(%s) AS new(a uuid, m uuid, d date, v uuid)
ON CONFLICT DO NOTHING
RETURNING account_id::text, meter_id::text, month::text, value_hash::text
"""


def add_hours(organization_id: UUID, hours: Iterable[Sum], greatest: frozenset[str]) -> None:
    """Add sums of hours to `usage_hour`."""
    _add("usage_hour", "starts_at", "h", organization_id, hours, greatest)


def add_days(organization_id: UUID, days: Iterable[Sum], greatest: frozenset[str]) -> None:
    """Add sums of days to `usage_day`."""
    _add("usage_day", "day", "d", organization_id, days, greatest)


def set_hours(organization_id: UUID, hours: Iterable[Sum]) -> None:
    """Write the quantities of hours over what `usage_hour` has; what was counted beside them stays."""
    _execute(_SET.format(table="usage_hour", start="starts_at", short="h"), organization_id, list(hours))


def set_days(organization_id: UUID, days: Iterable[Sum]) -> None:
    """Write the quantities of days over what `usage_day` has; what was counted beside them stays."""
    _execute(_SET.format(table="usage_day", start="day", short="d"), organization_id, list(days))


def _add(
    table: str, start: str, short: str, organization_id: UUID, sums: Iterable[Sum], greatest: frozenset[str]
) -> None:
    # Always in this order, in which settlement locks the rows too: neither can wait for the other in a circle.
    for kind, part in sorted(_by_kind(sums, greatest).items()):
        _execute(
            _UPSERT.format(table=table, start=start, short=short, quantity=_QUANTITY[kind]), organization_id, part
        )


def _by_kind(sums: Iterable[Sum], greatest: frozenset[str]) -> dict[str, list[Sum]]:
    kinds: dict[str, list[Sum]] = {}
    for part in sums:
        kind = "latest" if part.value_at else "max" if part.meter in greatest else "add"
        kinds.setdefault(kind, []).append(part)
    return kinds


def mark_days(
    organization_id: UUID, touched: Mapping[Mark, datetime], reasons: Mapping[Mark, str] | None = None
) -> None:
    """Mark accounts' days as awaiting settlement since the given moments; an older mark keeps its own.

    `reasons` say why the money of some of them changes, if it is not new use.
    """
    rows: list[dict[str, Any]] = [
        {"a": account, "d": day, "r": since} for (account, day), since in sorted(touched.items())
    ]
    if reasons:
        for row in rows:
            row["w"] = reasons.get((row["a"], row["d"]), "")
    _execute(_MARK, organization_id, rows)


def insert_new_values(organization_id: UUID, sightings: Iterable[Sighting]) -> list[Sighting]:
    """Remember the values and return those that had not been seen before."""
    rows = [{"a": s.account, "m": s.meter, "d": s.month, "v": s.value_hash} for s in sorted(sightings)]
    return [Sighting(*row) for row in _execute(_NEW_VALUES, organization_id, rows)] if rows else []


def _execute(statement: str, organization_id: UUID, rows: Any) -> list[tuple[Any, ...]]:
    """Run one statement for all rows: as one JSON text they cost least on both sides. Returns what it returns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, [organization_id, msgspec.json.encode(rows).decode()])
        return cursor.fetchall() if cursor.description else []
