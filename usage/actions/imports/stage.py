"""Rows of an import into the database by COPY: a temporary table, then one statement that keeps what is new to it."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any, NamedTuple
from weakref import WeakSet

from django.db import connection, transaction

from usage.actions.staging import Staged
from usage.calc.quantities import plain_text
from usage.calc.sums import QUARTER
from usage.models import Meter, UsageImport

COLUMNS = {
    "line": "bigint",
    "key": "uuid",
    "digest": "bigint",
    "occurred_at": "timestamptz",
    "account_id": "uuid",
    "meter_id": "uuid",
    "workflow_key": "text",
    '"group"': "text",
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
_NAMES = ", ".join(COLUMNS)
_CREATE = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS import_stage "
    f"({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())}) ON COMMIT DELETE ROWS"
)
_COPY = "COPY import_stage FROM STDIN"
# What the rows of one quarter of an hour add up to. `source` is a table of events; `latest` and `different` cost a
# sort, so they are asked for only where a meter needs them.
_GROUPED = f"""
SELECT rows.account_id::text, rows.meter_id::text, meter.aggregation, rows.workflow_id::text, rows."group",
    floor(extract(epoch FROM rows.occurred_at) / {QUARTER})::bigint AS quarter,
    count(*) FILTER (WHERE rows.counted), count(*) FILTER (WHERE rows.counted AND rows.succeeded IS NOT NULL),
    count(*) FILTER (WHERE rows.counted AND rows.succeeded),
    coalesce(sum(rows.outcomes) FILTER (WHERE rows.counted), 0),
    coalesce(sum(rows.quantity) FILTER (WHERE rows.counted), 0),
    coalesce(max(rows.quantity) FILTER (WHERE rows.counted), 0),
    {{latest}},
    coalesce(max(rows.occurred_at) FILTER (WHERE rows.counted), max(rows.occurred_at)),
    {{different}},
    count(*)
FROM {{source}} AS rows
JOIN usage_meter AS meter ON meter.organization_id = %(organization)s AND meter.id = rows.meter_id
GROUP BY rows.account_id, rows.meter_id, meter.aggregation, rows.workflow_id, rows."group", quarter
"""  # noqa: S608 - names of columns
_LATEST = """coalesce((array_agg(rows.quantity ORDER BY rows.occurred_at DESC, rows.quantity DESC)
        FILTER (WHERE rows.counted AND meter.aggregation = 'latest'))[1], 0)"""
_DIFFERENT = "coalesce(array_agg(DISTINCT rows.value) FILTER (WHERE rows.counted AND rows.value IS NOT NULL), '{}')"
_KEEP = f"""
WITH kept AS (
    INSERT INTO usage_import_row (organization_id, usage_import_id, is_known, {_NAMES})
    SELECT %(organization)s, %(usage_import)s, line = ANY(%(known)s::bigint[]), {_NAMES}
    FROM import_stage ORDER BY key
    ON CONFLICT DO NOTHING
    RETURNING is_known
)
SELECT count(*) FILTER (WHERE NOT is_known), count(*) FILTER (WHERE is_known) FROM kept
"""  # noqa: S608 - names of columns
# LATERAL, so that no plan reads a whole table for a slice: the temporary table has no statistics.
_REPEATED = """
SELECT stage.line, kept.line, stage.digest <> kept.digest FROM import_stage AS stage CROSS JOIN LATERAL (
    SELECT line, digest FROM usage_import_row WHERE organization_id = %(organization)s
        AND usage_import_id = %(usage_import)s AND usage_import_row.key = stage.key LIMIT 1
) AS kept WHERE kept.line <> stage.line
"""
_KNOWN = """
SELECT stage.line, stage.key, known.digest <> stage.digest FROM import_stage AS stage CROSS JOIN LATERAL (
    SELECT digest FROM usage_event_key WHERE organization_id = %(organization)s AND usage_event_key.key = stage.key
    LIMIT 1
) AS known
"""
_CORRECTED = """
SELECT original_key FROM usage_correction WHERE organization_id = %s AND original_key = ANY(%s::uuid[])
"""
# What a row needs of its account and meter is looked up by row: a join would be planned without statistics.
_SUM = """
WITH picked AS MATERIALIZED (
    SELECT account_id, meter_id, workflow_key, "group", is_known, counted, quantity, occurred_at,
        (occurred_at AT TIME ZONE (SELECT timezone FROM accounts_account AS account
            WHERE account.organization_id = rows.organization_id AND account.id = rows.account_id))::date AS day,
        (SELECT aggregation FROM usage_meter AS meter
            WHERE meter.organization_id = rows.organization_id AND meter.id = rows.meter_id) AS aggregation
    FROM usage_import_row AS rows
    WHERE organization_id = %(organization)s AND usage_import_id = %(usage_import)s
        AND line > %(low)s AND line <= %(high)s
)
INSERT INTO usage_import_sum AS kept (organization_id, usage_import_id, account_id, meter_id, day, workflow_key,
    "group", rows_new, rows_known, rows_voided, events, quantity, voided_events, voided_quantity, last_event_at)
SELECT %(organization)s, %(usage_import)s, account_id, meter_id, day, workflow_key, "group",
    count(*) FILTER (WHERE NOT is_known), count(*) FILTER (WHERE is_known), 0,
    count(*) FILTER (WHERE NOT is_known AND counted),
    coalesce(CASE aggregation WHEN 'max' THEN max(quantity) FILTER (WHERE NOT is_known AND counted)
        WHEN 'latest' THEN {latest}
        WHEN 'unique' THEN 0 ELSE sum(quantity) FILTER (WHERE NOT is_known AND counted) END, 0),
    0, 0, coalesce(max(occurred_at) FILTER (WHERE NOT is_known AND counted), max(occurred_at))
FROM picked
GROUP BY account_id, meter_id, aggregation, day, workflow_key, "group"
"""
_LATEST_OF_DAY = """(array_agg(quantity ORDER BY occurred_at DESC, quantity DESC)
            FILTER (WHERE NOT is_known AND counted AND aggregation = 'latest'))[1]"""
_ON_CONFLICT = """
ON CONFLICT (organization_id, usage_import_id, account_id, meter_id, day, workflow_key, "group") DO UPDATE SET
    rows_new = kept.rows_new + excluded.rows_new,
    rows_known = kept.rows_known + excluded.rows_known,
    rows_voided = kept.rows_voided + excluded.rows_voided,
    events = kept.events + excluded.events,
    quantity = CASE (SELECT aggregation FROM usage_meter AS meter
            WHERE meter.organization_id = kept.organization_id AND meter.id = kept.meter_id)
        WHEN 'max' THEN GREATEST(kept.quantity, excluded.quantity)
        WHEN 'latest' THEN CASE WHEN (excluded.last_event_at, excluded.quantity) > (kept.last_event_at, kept.quantity)
            THEN excluded.quantity ELSE kept.quantity END
        ELSE kept.quantity + excluded.quantity END,
    voided_events = kept.voided_events + excluded.voided_events,
    voided_quantity = kept.voided_quantity + excluded.voided_quantity,
    last_event_at = GREATEST(kept.last_event_at, excluded.last_event_at)
"""
_ADD = """
INSERT INTO usage_import_sum AS kept (organization_id, usage_import_id, account_id, meter_id, day, workflow_key,
    "group", rows_new, rows_known, rows_voided, events, quantity, voided_events, voided_quantity, last_event_at)
SELECT %(organization)s, %(usage_import)s, part.account_id, part.meter_id, part.day, part.workflow_key, part."group",
    part.rows_new, part.rows_known, part.rows_voided, part.events, part.quantity, part.voided_events,
    part.voided_quantity, part.last_event_at
FROM unnest(%(account_id)s::uuid[], %(meter_id)s::uuid[], %(day)s::date[], %(workflow_key)s::text[],
    %(group)s::text[], %(rows_new)s::bigint[], %(rows_known)s::bigint[], %(rows_voided)s::bigint[],
    %(events)s::bigint[], %(quantity)s::numeric[], %(voided_events)s::bigint[], %(voided_quantity)s::numeric[],
    %(last_event_at)s::timestamptz[])
    AS part(account_id, meter_id, day, workflow_key, "group", rows_new, rows_known, rows_voided, events, quantity,
        voided_events, voided_quantity, last_event_at)
"""

_NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_staged_on: "WeakSet[object]" = WeakSet()


class DayPart(NamedTuple):
    """What is added to one row of `usage_import_sum`."""

    account_id: str
    meter_id: str
    day: date | str
    workflow_key: str
    group: str
    rows_new: int
    rows_known: int
    rows_voided: int
    events: int
    quantity: Decimal
    voided_events: int
    voided_quantity: Decimal
    last_event_at: Any
    aggregation: str = "sum"


class Kept(NamedTuple):
    """What is known of staged rows: (line, first line, differs) of those that stood in the file before, and (line,
    differs, was corrected) of events that came before."""

    repeated: list[tuple[int, int, bool]]
    known: list[tuple[int, bool, bool]]


def grouped(source: str, *, rich: bool) -> str:
    """The query that sums a table of events by quarters of an hour; `rich` for meters that keep no sums."""
    latest, different = (_LATEST, _DIFFERENT) if rich else ("0::numeric", "'{}'::text[]")
    return _GROUPED.format(source=source, latest=latest, different=different)


def stage(one: UsageImport, rows: Sequence[tuple[int, Staged]]) -> Kept:
    """Look which of these rows are known, without keeping any yet; then `keep` the good ones."""
    arguments = _names(one)
    with connection.cursor() as cursor:
        _fill(cursor, rows)
        cursor.execute(_REPEATED, arguments)
        repeated = cursor.fetchall()
        cursor.execute(_KNOWN, arguments)
        known = cursor.fetchall()
        corrected = set()
        if known:
            cursor.execute(_CORRECTED, [one.organization_id, [key for _, key, _ in known]])
            corrected = {key for (key,) in cursor.fetchall()}
    return Kept(repeated, [(line, differs, key in corrected) for line, key, differs in known])


def keep(one: UsageImport, kept: Kept, without: Iterable[int]) -> tuple[int, int]:
    """Keep the staged rows except those lines; returns how many are new and how many were known."""
    without = list(without)
    with connection.cursor() as cursor:
        if without:
            cursor.execute("DELETE FROM import_stage WHERE line = ANY(%s)", [without])
        cursor.execute(_KEEP, _names(one) | {"known": [line for line, _, _ in kept.known]})
        new, known = cursor.fetchone()
    return new, known


def sum_lines(one: UsageImport, low: int, high: int) -> None:
    """Add the kept rows of these lines (low exclusive) to the sums by local day."""
    query = _SUM.format(latest=_LATEST_OF_DAY if is_rich(one) else "NULL")
    with connection.cursor() as cursor:
        cursor.execute(query + _ON_CONFLICT, _names(one) | {"low": low, "high": high})


def is_rich(one: UsageImport) -> bool:
    """Whether the organization has meters that keep a latest value or count different ones."""
    kinds = (Meter.Aggregation.LATEST, Meter.Aggregation.UNIQUE)
    return bool(Meter.objects.filter(organization=one.organization_id, aggregation__in=kinds).exists())


def add_parts(one: UsageImport, parts: Iterable[DayPart]) -> None:
    """Add to the sums by day."""
    merged = _merged(parts)
    if not merged:
        return
    arrays = {name: list(column) for name, column in zip(DayPart._fields, zip(*merged, strict=True), strict=True)}
    with connection.cursor() as cursor:
        cursor.execute(_ADD + _ON_CONFLICT, _names(one) | arrays)


def _merged(parts: Iterable[DayPart]) -> list[DayPart]:
    """One part for each day, in the order of the keys."""
    whole: dict[tuple[Any, ...], list[DayPart]] = {}
    for part in parts:
        whole.setdefault(part[:5], []).append(part)
    return [_together(group) for _, group in sorted(whole.items(), key=lambda item: tuple(map(str, item[0])))]


def _together(parts: list[DayPart]) -> DayPart:
    first = parts[0]
    if len(parts) == 1:
        return first
    return first._replace(
        rows_new=sum(part.rows_new for part in parts),
        rows_known=sum(part.rows_known for part in parts),
        rows_voided=sum(part.rows_voided for part in parts),
        events=sum(part.events for part in parts),
        quantity=_quantity(parts),
        voided_events=sum(part.voided_events for part in parts),
        voided_quantity=sum((part.voided_quantity for part in parts), Decimal(0)),
        last_event_at=max(part.last_event_at for part in parts),
    )


def _quantity(parts: list[DayPart]) -> Decimal:
    if parts[0].aggregation == "max":
        return max(part.quantity for part in parts)
    if parts[0].aggregation == "latest":
        return max((part.last_event_at, part.quantity) for part in parts)[1]
    return sum((part.quantity for part in parts), Decimal(0))


def _names(one: UsageImport) -> dict[str, Any]:
    return {"organization": one.organization_id, "usage_import": one.pk}


def _fill(cursor: Any, rows: Sequence[tuple[int, Staged]]) -> None:
    raw = connection.connection
    if raw not in _staged_on:
        cursor.execute(_CREATE)
        transaction.on_commit(lambda: _staged_on.add(raw))
    cursor.execute("DELETE FROM import_stage")  # of a slice that was tried before in this transaction
    cursor.copy_expert(_COPY, BytesIO("".join([_line(line, one) for line, one in rows]).encode()), 64 * 1024)


def _line(line: int, one: Staged) -> str:
    """A row in COPY's text format."""
    counted, event = one.counted, one.event
    assert counted is not None  # noqa: S101 - the others were refused
    reading = counted.reading
    quantity, outcomes = reading.quantity, reading.outcomes
    texts = [reading.workflow or "", reading.group, reading.environment, event.source, event.id]
    texts.append(one.properties.decode())
    value = reading.value
    # All but a counted value were checked to be free of tabs and line breaks.
    if value is not None or "\\" in "".join(texts):
        texts = [_escaped(text) for text in texts]
        value = _escaped(value)
    workflow, group, environment, source, event_id, properties = texts
    return (
        f"{line}\t{one.key}\t{one.digest}\t{one.occurred_at}\t{counted.account}\t{counted.meter}\t{workflow}\t{group}\t"
        f"{quantity if type(quantity) is int else plain_text(quantity)}\t"
        f"{_NULL if outcomes is None else plain_text(outcomes)}\t"
        f"{_NULL if reading.succeeded is None else reading.succeeded}\t"
        f"{_NULL if reading.attempt is None else reading.attempt}\t{environment}\t{reading.counted}\t"
        f"{_NULL if value is None else value}\t{source}\t{event_id}\t{properties}\n"
    )


def _escaped(field: object) -> str:
    return _NULL if field is None else str(field).translate(_ESCAPES)
