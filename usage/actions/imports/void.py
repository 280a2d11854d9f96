"""Taking back events in bulk: those of a replaced window that a file does not have, and those of an undone import.

Each gets what a `void` that is sent gets: an event that counts against it, and a row that says which and why.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from django.db import connection

from usage.actions.corrections import GROUP, group_text, hold_corrections
from usage.actions.directory import Directory
from usage.actions.imports import stage
from usage.actions.imports.close import FIRST, learn_zones
from usage.actions.staging import key_of
from usage.calc.import_sums import Quarter, hour_sums
from usage.calc.sums import place_of
from usage.models import UsageImport, Workflow

SLICE = 2_000  # events a transaction
STRETCH = timedelta(days=1)  # of a window at once

_GROUP = (
    f"CASE WHEN cardinality(of_meter.dimensions) > 0 THEN coalesce({GROUP.replace('meter.', 'of_meter.')}, '{{}}') END"
)
_WINDOW = f"""
SELECT event.*, {_GROUP} AS "group" FROM usage_event AS event
JOIN usage_meter AS of_meter ON of_meter.organization_id = event.organization_id AND of_meter.id = event.meter_id
WHERE event.organization_id = %(organization)s AND event.meter_id = %(meter)s
    AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
    AND (%(accounts)s::uuid[] = '{{}}' OR event.account_id = ANY(%(accounts)s::uuid[]))
    AND NOT EXISTS (SELECT FROM usage_import_row AS kept WHERE kept.organization_id = event.organization_id
        AND kept.usage_import_id = %(usage_import)s AND kept.key = event.key)
    AND NOT EXISTS (SELECT FROM usage_correction AS done WHERE done.organization_id = event.organization_id
        AND (done.original_key = event.key))
    AND NOT EXISTS (SELECT FROM usage_correction AS done WHERE done.organization_id = event.organization_id
        AND done.account_id = event.account_id AND done.reversal_key = event.key)
"""  # noqa: S608 - names of columns
_FOUND = stage.grouped(f"({_WINDOW})", rich=False)
_PICK_WINDOW = f"SELECT key::text, account_id, occurred_at FROM ({_WINDOW}) AS picked LIMIT %(count)s"  # noqa: S608
_PICK_ROWS = """
SELECT key::text, account_id, occurred_at FROM usage_import_row
WHERE organization_id = %(organization)s AND usage_import_id = %(usage_import)s AND key > %(low)s AND NOT is_known
ORDER BY key LIMIT %(count)s
"""
_VOID = f"""
WITH picked AS MATERIALIZED (
    SELECT * FROM unnest(%(keys)s::uuid[], %(accounts)s::uuid[], %(times)s::timestamptz[], %(reversals)s::uuid[],
        %(ids)s::text[]) AS picked(key, account_id, occurred_at, reversal_key, reversal_id)
), original AS MATERIALIZED (
    SELECT event.*, picked.reversal_key, picked.reversal_id, {_GROUP} AS "group" FROM picked
    JOIN usage_event AS event ON event.organization_id = %(organization)s AND event.account_id = picked.account_id
        AND event.occurred_at = picked.occurred_at AND event.key = picked.key
    JOIN usage_meter AS of_meter ON of_meter.organization_id = event.organization_id AND of_meter.id = event.meter_id
), corrected AS (
    INSERT INTO usage_correction
        (id, organization_id, account_id, kind, original_key, original_at, reversal_key, reason)
    SELECT gen_random_uuid(), organization_id, account_id, 'void', key, occurred_at, reversal_key, %(reason)s
    FROM original ORDER BY key
    ON CONFLICT DO NOTHING RETURNING original_key
), taken AS MATERIALIZED (
    SELECT original.* FROM original JOIN corrected ON corrected.original_key = original.key
), keyed AS (
    INSERT INTO usage_event_key (organization_id, key, digest, occurred_at)
    SELECT organization_id, reversal_key, 0, occurred_at FROM taken ORDER BY reversal_key
), stored AS (
    INSERT INTO usage_event (organization_id, key, occurred_at, received_at, batch_id, account_id, meter_id,
        workflow_id, quantity, outcomes, succeeded, attempt, environment, counted, value, source, event_id, properties)
    SELECT organization_id, reversal_key, occurred_at, now(), %(batch)s, account_id, meter_id, workflow_id, -quantity,
        -outcomes, succeeded, attempt, environment, counted, value, %(source)s, reversal_id,
        jsonb_build_object('id', event_id, 'source', source, 'reason', %(reason)s::text)
    FROM taken
)
{stage.grouped("taken", rich=False)}
"""  # noqa: S608 - names of columns


class Picked(NamedTuple):
    """An event to take back."""

    key: str
    account_id: Any
    occurred_at: datetime


def find_window(one: UsageImport, directory: Directory) -> bool:
    """Add up the next stretch of the window that the file replaces; returns whether there is more of it."""
    start, end = _stretch(one)
    with connection.cursor() as cursor:
        cursor.execute(_FOUND, _window(one, start, end))
        rows = cursor.fetchall()
    learn_zones(directory, {row[0] for row in rows})
    keys = _workflow_keys(one, {row[3] for row in rows if row[3]})
    parts = []
    for *fields, count in rows:
        quarter = _with_group(Quarter(*fields))
        parts.append(_voided(quarter, count, keys.get(quarter.workflow or "", ""), directory))
        one.events_voided += count
    stage.add_parts(one, parts)
    return _go_on(one, end)


def void_window_slice(one: UsageImport, directory: Directory, now: datetime) -> bool:
    """Take back the next events of the window that are not in the file; returns whether there are more."""
    start, end = _stretch(one)
    with connection.cursor() as cursor:
        cursor.execute(_PICK_WINDOW, _window(one, start, end) | {"count": SLICE})
        picked = [Picked(*row) for row in cursor.fetchall()]
    reason = f"The import of {one} replaced the window of this event"
    one.done += void(one, picked, reason, directory)
    return True if len(picked) == SLICE else _go_on(one, end)


def undo_slice(one: UsageImport, directory: Directory, now: datetime) -> bool:
    """Take back the next events of a closed import; returns whether there are more."""
    with connection.cursor() as cursor:
        names: dict[str, Any] = {"organization": one.organization_id, "usage_import": one.pk, "count": SLICE}
        cursor.execute(_PICK_ROWS, names | {"low": one.position.get("after", str(FIRST))})
        picked = [Picked(*row) for row in cursor.fetchall()]
    reason = f"The import of {one} was undone: {one.reason}"
    void(one, picked, reason, directory)
    one.done += len(picked)
    if picked:
        one.position = {"after": picked[-1].key}
    return len(picked) == SLICE


def void(one: UsageImport, picked: Sequence[Picked], reason: str, directory: Directory) -> int:
    """Take these events back, each at most once; those that were corrected before stay so. Returns how many were.

    The sums are held until the import is `release`d.
    """
    if not picked:
        return 0
    hold_corrections(one.organization_id)
    source = f"import/{one.pk}"
    ids = [f"void/{row.key.replace('-', '')}" for row in picked]
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('usage_ingestbatch_id_seq')")
        batch = cursor.fetchone()[0]
        cursor.execute(
            _VOID,
            {
                "organization": one.organization_id,
                "keys": [row.key for row in picked],
                "accounts": [row.account_id for row in picked],
                "times": [row.occurred_at for row in picked],
                "reversals": [key_of(source, event_id) for event_id in ids],
                "ids": ids,
                "source": source,
                "batch": batch,
                "reason": reason,
            },
        )
        rows = cursor.fetchall()
        count = sum(row[-1] for row in rows)
        if count:
            learn_zones(directory, {row[0] for row in rows})
            quarters = [_with_group(Quarter(*fields)) for *fields, _ in rows]
            sums = msgspec.json.encode(sums_against(quarters, directory, reason)).decode()
            cursor.execute(
                "INSERT INTO usage_ingestbatch (id, organization_id, events, sums, held_for)"
                " VALUES (%s, %s, %s, %s, %s)",
                [batch, one.organization_id, count, sums, one.pk],
            )
    return int(count)


def sums_against(quarters: Iterable[Quarter], directory: Directory, reason: str) -> list[dict[str, Any]]:
    """What taking those events back adds to the roll-ups: what they added, negative, and why.

    A greatest, latest or different value cannot be subtracted: `x` asks the tick to read it from the events anew.
    """
    counted = [part for part in quarters if part.events]
    additive = {part.meter for part in counted if part.aggregation in ("sum", "count")}
    sums = hour_sums(counted, directory.zone_of)
    for part in sums:
        for name in ("n", "f", "s"):
            part[name] = -part[name]
        part["o"] = _minus(part["o"])
        part.pop("u", None)
        part.pop("lt", None)
        part |= {"q": _minus(part["q"])} if part["m"] in additive else {"q": "0", "x": True}
        part["r"] = reason
    return sums


def _minus(number: str) -> str:
    return number if number == "0" else number[1:] if number.startswith("-") else f"-{number}"


def _with_group(part: Quarter) -> Quarter:
    """The group in the text that the roll-ups have; the database writes its own."""
    return part._replace(group=group_text(part.group) if part.group is not None else "")


def _voided(part: Quarter, count: int, workflow_key: str, directory: Directory) -> stage.DayPart:
    zero = part.total * 0
    day = place_of(part.quarter, directory.zone_of(part.account))[1]
    return stage.DayPart(
        part.account, part.meter, day, workflow_key, part.group, 0, 0, count, 0, zero, part.events,
        part.total if part.aggregation in ("sum", "count") else zero, part.last_at, part.aggregation,
    )  # fmt: skip


def _workflow_keys(one: UsageImport, ids: set[str]) -> dict[str, str]:
    rows = Workflow.objects.filter(organization=one.organization_id, pk__in=ids)
    return {str(pk): key for pk, key in rows.values_list("pk", "key")}


def _stretch(one: UsageImport) -> tuple[datetime, datetime]:
    """The part of the window that is next."""
    assert one.window_from is not None  # noqa: S101 - only imports that replace a window come here
    assert one.window_to is not None  # noqa: S101 - as above
    begun = one.position.get("from")
    start = datetime.fromisoformat(begun) if begun else one.window_from
    return start, min(start + STRETCH, one.window_to)


def _go_on(one: UsageImport, end: datetime) -> bool:
    one.position = {"from": end.isoformat()}
    return one.window_to is not None and end < one.window_to


def _window(one: UsageImport, start: datetime, end: datetime) -> dict[str, Any]:
    return {
        "organization": one.organization_id,
        "usage_import": one.pk,
        "meter": one.window_meter_id,
        "accounts": list(one.window_accounts),
        "start": start,
        "end": end,
    }
