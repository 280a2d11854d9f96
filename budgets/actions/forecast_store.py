"""Stores forecast runs, hundreds in one statement, with their paths in the database's own binary form."""

import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from django.contrib.postgres.fields import ArrayField
from django.db import connection
from psycopg2.extras import execute_values

from budgets.calc.usage_windows import Floats
from budgets.models import ForecastRun

# Not straight into the table: PostgreSQL refuses to copy into one with row-level security.
_STAGE = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS forecast_stage"
    " (id uuid, spend_p10 float8[], spend_p50 float8[], spend_p90 float8[]) ON COMMIT DELETE ROWS;"
    "ALTER TABLE forecast_stage ALTER spend_p10 SET STORAGE EXTERNAL, ALTER spend_p50 SET STORAGE EXTERNAL,"
    " ALTER spend_p90 SET STORAGE EXTERNAL; DELETE FROM forecast_stage"
)
_COPY = "COPY forecast_stage (id, spend_p10, spend_p50, spend_p90) FROM STDIN BINARY"
_FIELDS = [field for field in ForecastRun._meta.concrete_fields if not isinstance(field, ArrayField)]
_INSERT = """
INSERT INTO budgets_forecastrun ({names}, spend_p10, spend_p50, spend_p90)
SELECT {typed}, stage.spend_p10, stage.spend_p50, stage.spend_p90
FROM (VALUES %s) AS run ({names}) JOIN forecast_stage AS stage ON stage.id = run.id::uuid
"""
_SIGNATURE, _NO_FLAGS, _END = b"PGCOPY\n\xff\r\n\0", struct.pack(">ii", 0, 0), struct.pack(">h", -1)
_FLOAT8 = 701  # the type's number in PostgreSQL's catalogue


def store_runs(runs: Sequence[ForecastRun], spend: Floats) -> None:
    """Add the runs with their cumulative paths [runs, 3, days]; a run of basis “none” gets no days.

    Written as text, or through the ORM, the paths would take longer than all the rest of a run.
    """
    if not runs:
        return
    names = ", ".join(str(field.column) for field in _FIELDS)
    typed = ", ".join(f"run.{field.column}::{field.db_type(connection) or 'text'}" for field in _FIELDS)
    rows = [[_stored(getattr(run, field.attname)) for field in _FIELDS] for run in runs]
    known = [run.basis != ForecastRun.Basis.NONE for run in runs]
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
        cursor.copy_expert(_COPY, BytesIO(_binary([run.pk for run in runs], spend, known)))
        execute_values(cursor.cursor, _INSERT.format(names=names, typed=typed), rows, page_size=len(rows))


def _stored(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


def _binary(names: Sequence[UUID], spend: Floats, known: Sequence[bool]) -> bytes:
    """Return the rows of the staging table as COPY reads them: for each value its length in bytes and the bytes."""
    days = spend.shape[2]
    row = np.dtype([("fields", ">i2"), ("id_size", ">i4"), ("id", "V16"), ("arrays", _array(days), 3)])
    rows = np.zeros(len(names), row)
    rows["fields"], rows["id_size"] = 4, 16
    rows["id"] = np.frombuffer(b"".join(name.bytes for name in names), "V16")
    arrays = rows["arrays"]
    arrays["size"] = arrays.dtype["value"].itemsize
    value = arrays["value"]
    value["dimensions"], value["type"], value["days"], value["first"] = 1, _FLOAT8, days, 1
    value["items"]["size"], value["items"]["value"] = 8, _seven_digits(spend)
    told = [rows[at].tobytes() if known[at] else _without_days(name) for at, name in enumerate(names)]
    return _SIGNATURE + _NO_FLAGS + b"".join(told) + _END


def _seven_digits(values: Floats) -> Floats:
    """Round to seven significant digits, more than a forecast knows: the database packs them in a third less."""
    with np.errstate(divide="ignore"):
        places = 6 - np.floor(np.log10(np.abs(values)))
    places = np.clip(np.where(np.isfinite(places), places, 0.0), -300, 300)
    # A power of ten below one is not exact as a float: large values are divided, and multiplied again.
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
    return np.asarray(np.round(values * up / down) / up * down)


def _array(days: int) -> np.dtype[np.void]:
    item = np.dtype([("size", ">i4"), ("value", ">f8")])
    head = [(name, ">i4") for name in ("dimensions", "nulls", "type", "days", "first")]
    value = np.dtype([*head, ("items", item, days)])
    return np.dtype([("size", ">i4"), ("value", value)])


def _without_days(name: UUID) -> bytes:
    empty = struct.pack(">iiii", 12, 0, 0, _FLOAT8)  # no dimension
    return struct.pack(">hi", 4, 16) + name.bytes + 3 * empty
