"""Closing an import: its rows become events, slice by slice in the order of the file, each exactly once.

The batches of their sums are held until the last is there, so that the tick counts none of them before all.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import DateField
from django.db.models.functions import TruncMonth

from accounts.models import Account
from consumption_cs.lib.periods import zone_of
from usage.actions.directory import Directory
from usage.actions.imports import stage
from usage.actions.staging import make_partitions_for
from usage.calc.import_sums import Quarter, hour_sums
from usage.models import BadRow, ImportChange, ImportChunk, ImportRow, ImportSum, UsageImport

SLICE = 10_000  # events a transaction
DROPPED = 20_000  # rows a transaction
CHUNKS_DROPPED = 100
FIRST = UUID(int=0)
LAST = 2**62

_EVENT = (
    "key, occurred_at, account_id, meter_id, quantity, outcomes, succeeded, attempt, environment, counted, value, "
    "source, event_id, properties"
)
_BOUND = """
SELECT line FROM usage_import_row
WHERE organization_id = %(organization)s AND usage_import_id = %(usage_import)s AND line > %(low)s
ORDER BY line OFFSET %(skip)s LIMIT 1
"""
_SLICE = """
SELECT * FROM usage_import_row
WHERE organization_id = %(organization)s AND usage_import_id = %(usage_import)s AND line > %(low)s
    AND line <= %(high)s AND NOT is_known
"""
_WORKFLOWS = f"""
SELECT DISTINCT account_id::text, workflow_key FROM ({_SLICE}) AS slice WHERE workflow_key <> ''
"""  # noqa: S608 - a query of ours
_STORE = f"""
WITH slice AS MATERIALIZED (
    SELECT slice.*, made.workflow_id FROM ({_SLICE}) AS slice
    LEFT JOIN unnest(%(accounts)s::uuid[], %(keys)s::text[], %(workflows)s::uuid[])
        AS made(account_id, workflow_key, workflow_id) USING (account_id, workflow_key)
), fresh AS (
    INSERT INTO usage_event_key (organization_id, key, digest, occurred_at)
    SELECT organization_id, key, digest, occurred_at FROM slice ORDER BY key
    ON CONFLICT DO NOTHING RETURNING key
), told AS MATERIALIZED (
    SELECT slice.* FROM slice JOIN fresh USING (key)
), stored AS (
    INSERT INTO usage_event (organization_id, batch_id, received_at, workflow_id, {_EVENT})
    SELECT organization_id, %(batch)s, now(), workflow_id, {_EVENT} FROM told
)
"""  # noqa: S608 - names of columns
# Rows whose event came in otherwise since they were checked: they do not belong to the import, whatever becomes of it.
_MARK_KNOWN = """
UPDATE usage_import_row AS kept SET is_known = true
WHERE organization_id = %(organization)s AND usage_import_id = %(usage_import)s AND line > %(low)s
    AND line <= %(high)s AND NOT is_known AND NOT EXISTS (
        SELECT FROM usage_event WHERE usage_event.organization_id = kept.organization_id
        AND usage_event.key = kept.key AND usage_event.occurred_at = kept.occurred_at
        AND usage_event.account_id = kept.account_id AND usage_event.batch_id = %(batch)s)
"""


# Of events that the import brought: corrected after its check, so perhaps while their batches were held.
_CORRECTED = """
SELECT EXISTS (
    SELECT FROM usage_correction AS correction
    WHERE correction.organization_id = %(organization)s AND correction.received_at >= %(since)s AND EXISTS (
        SELECT FROM usage_import_row AS kept WHERE kept.organization_id = %(organization)s
            AND kept.usage_import_id = %(usage_import)s AND kept.key = correction.original_key AND NOT kept.is_known))
"""
_RELEASE = """
UPDATE usage_ingestbatch SET held_for = NULL, received_at = now(), failures = %(failures)s
WHERE organization_id = %(organization)s AND rolled_at IS NULL AND held_for = %(usage_import)s
"""


def make_room(one: UsageImport) -> None:
    """Make the event table's partitions for the days of the import; a day has a part in two of UTC."""
    days = ImportSum.objects.filter(organization=one.organization_id, usage_import=one.pk)
    found = days.annotate(month=TruncMonth("day", output_field=DateField())).values_list("month", flat=True).distinct()
    moments = set()
    for month in found:
        first = datetime(month.year, month.month, 1, tzinfo=UTC)
        moments |= {first - timedelta(days=1), first, first + timedelta(days=32)}
    make_partitions_for(moments)


def close_slice(one: UsageImport, directory: Directory) -> bool:
    """Store the next events of an import that is locked, and hold the batch of their sums; returns whether there are
    more. Once all is `release`d, the tick and the settlement take over, as with any accepted batch.
    """
    names = _names(one) | {"low": one.position.get("after", -1)}
    with connection.cursor() as cursor:
        cursor.execute(_BOUND, names | {"skip": SLICE - 1})
        found = cursor.fetchone()
        names["high"] = found[0] if found else LAST
        names |= _workflows(cursor, names, directory)
        cursor.execute("SELECT nextval('usage_ingestbatch_id_seq')")
        names["batch"] = cursor.fetchone()[0]
        # The parts of the statement have no statistics, and a loop in a loop over ten thousand rows takes seconds.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(_STORE + stage.grouped("told", rich=stage.is_rich(one)), names)
        rows = cursor.fetchall()
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
        quarters, stored = [], 0
        for *fields, count in rows:
            quarters.append(Quarter(*fields))
            stored += count
        if stored:
            _note_batch(cursor, one, names["batch"], stored, [part for part in quarters if part.events], directory)
        cursor.execute(f"SELECT count(*) FROM ({_SLICE}) AS slice", names)  # noqa: S608 - a query of ours
        if cursor.fetchone()[0] > stored:
            cursor.execute(_MARK_KNOWN, names)
            _count_lost(one, cursor.rowcount)
    one.done += stored
    one.position = {"after": names["high"]}
    return found is not None


def _workflows(cursor: Any, names: dict[str, Any], directory: Directory) -> dict[str, list[str]]:
    """The workflows that the slice names: made here, not before, for nothing of an open import is seen."""
    cursor.execute(_WORKFLOWS, names)
    wanted = set(cursor.fetchall())
    missing = wanted - directory.workflows.keys()
    if missing:
        directory.workflows.update(directory.find_or_make(missing))  # forgotten if this transaction fails
    made = {name: directory.workflows[name] for name in wanted}
    return {
        "accounts": [account for account, _ in made],
        "keys": [key for _, key in made],
        "workflows": list(made.values()),
    }


def _note_batch(
    cursor: Any, one: UsageImport, batch: int, events: int, quarters: list[Quarter], directory: Directory
) -> None:
    zones = {part.account for part in quarters}
    learn_zones(directory, zones)
    sums = msgspec.json.encode(hour_sums(quarters, directory.zone_of)).decode()
    cursor.execute(
        "INSERT INTO usage_ingestbatch (id, organization_id, api_key_id, events, sums, held_for)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [batch, one.organization_id, one.api_key_id, events, sums, one.pk],
    )


def release(one: UsageImport) -> None:
    """Let everything that was held for the import count, from one moment on.

    If any of its events was corrected meanwhile, its batches are late as those that failed once are: the tick reads
    what cannot be subtracted from the events anew.
    """
    names = _names(one) | {"since": one.validated_at or one.created_at}
    with connection.cursor() as cursor:
        cursor.execute(_CORRECTED, names)
        was_corrected = cursor.fetchone()[0]
        cursor.execute(_RELEASE, names | {"failures": int(was_corrected)})


def learn_zones(directory: Directory, accounts: set[str]) -> None:
    """Look up the time zones of accounts by id."""
    missing = accounts - directory.zones.keys()
    if missing:
        rows = Account.objects.filter(organization=directory.organization_id, pk__in=missing)
        directory.zones.update({str(pk): zone_of(name) for pk, name in rows.values_list("pk", "timezone")})


def _count_lost(one: UsageImport, lost: int) -> None:
    one.rows_new -= lost
    one.rows_known += lost
    one.todo = max(one.todo - lost, one.done)


def drop_rows(one: UsageImport) -> bool:
    """Delete some of what an import was read into; returns whether there is more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM usage_import_row WHERE organization_id = %(organization)s AND ctid = ANY(ARRAY("
            "SELECT ctid FROM usage_import_row WHERE organization_id = %(organization)s"
            " AND usage_import_id = %(usage_import)s LIMIT %(count)s))",
            _names(one) | {"count": DROPPED},
        )
        deleted = cursor.rowcount
    one.done += deleted
    if deleted == DROPPED:
        return True
    for model in (BadRow, ImportSum, ImportChange):
        model.objects.filter(organization=one.organization_id, usage_import=one.pk).delete()
    return False


def drop_file(one: UsageImport) -> bool:
    """Delete some chunks of the file; returns whether there are more."""
    chunks = ImportChunk.objects.filter(organization=one.organization_id, usage_import=one.pk)
    numbers = list(chunks.order_by("number").values_list("number", flat=True)[:CHUNKS_DROPPED])
    chunks.filter(number__in=numbers).delete()
    return len(numbers) == CHUNKS_DROPPED


def has_rows(one: UsageImport) -> bool:
    """Whether anything of it is staged."""
    return bool(ImportRow.objects.filter(organization=one.organization_id, usage_import=one.pk).exists())


def _names(one: UsageImport) -> dict[str, Any]:
    return {"organization": one.organization_id, "usage_import": one.pk}
