"""A table of (series, time, quantity) as CloudEvents whose ids never change, so that sending twice counts once."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from consumption_cs.lib.money import round_to
from usage.calc.quantities import PLACES, BadQuantity, read_quantity

# What the columns are called in most tables, tried in this order.
SERIES = ("account", "subject", "series", "unique_id", "customer", "id")
TIMES = ("time", "timestamp", "ds", "date", "datetime")
QUANTITIES = ("quantity", "value", "y", "usage", "amount")
_CHUNK_ROWS = 1000


class BadTable(ValueError):
    """The table cannot be sent; the message names the row or column and what to change."""


class Columns(NamedTuple):
    """The names of the three columns."""

    series: str
    time: str
    quantity: str


class Row(NamedTuple):
    """One measurement. The time is aware; a table without time zones is taken to be in UTC."""

    series: str
    time: datetime
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """What a table holds: rows, the span of time, and the exact sum of each series."""

    rows: int
    first: datetime
    last: datetime
    sums: dict[str, Decimal]


def find_columns(path: Path, asked: str = "") -> Columns:
    """Return the columns named by `asked` ("series,time,quantity"), or those that have usual names."""
    names = _names(path)
    if asked:
        wanted = [name.strip() for name in asked.split(",")]
        missing = [name for name in wanted if name not in names]
        if len(wanted) != 3 or missing:
            raise BadTable(f"Name three columns of {', '.join(names)}; not there: {', '.join(missing) or 'none'}.")
        return Columns(*wanted)
    found = [next((name for name in usual if name in names), "") for usual in (SERIES, TIMES, QUANTITIES)]
    if not all(found):
        raise BadTable(
            f"Which columns hold series, time and quantity? Say --columns with three of {', '.join(names)}."
        )
    return Columns(*found)


def read_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Yield the rows in the order of the file. Raises BadTable at the first that cannot be sent exactly.

    Texts, decimals and integers are taken to the last digit. Binary floating point never was exact: it is read as
    the shortest decimal that stands for it, with 12 places at most.
    """
    raw = _parquet_rows(path, columns) if path.suffix == ".parquet" else _csv_rows(path, columns)
    for number, (series, time, quantity) in enumerate(raw, 1):
        try:
            yield Row(_series(series), _time(time), _quantity(quantity))
        except (ValueError, InvalidOperation) as error:
            raise BadTable(f"Row {number:,}: {error}.") from error


def count_rows(path: Path) -> int:
    """Return how many rows the table has; for CSV the number of lines, which is close enough to show progress."""
    if path.suffix == ".parquet":
        return int(pq.ParquetFile(path).metadata.num_rows)
    with path.open("rb") as file:
        return max(sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b"")) - 1, 0)


def summarize(rows: Iterable[Row]) -> Summary:
    """Read a table once. Raises BadTable for an empty one."""
    sums: dict[str, Decimal] = {}
    count, first, last = 0, datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    for row in rows:
        count += 1
        first, last = min(first, row.time), max(last, row.time)
        sums[row.series] = sums.get(row.series, Decimal(0)) + row.quantity
    if not count:
        raise BadTable("The table has no rows.")
    return Summary(count, first, last, sums)


def events_of(rows: Iterable[Row], source: str, event_type: str, shift: timedelta = timedelta()) -> Iterator[Any]:
    """Yield a CloudEvent for each row.

    An id is made of the series and the time in the table, and of a number for rows that share both. So a table that
    grew may be sent again: what was sent stays sent. `shift` moves when the events happened, not their ids.
    """
    seen: dict[int, int] = {}
    for row in rows:
        moment = row.time.astimezone(UTC).isoformat().replace("+00:00", "Z")
        name = f"{row.series}@{moment}"
        again = seen[hash(name)] = seen.get(hash(name), 0) + 1
        happened = (row.time + shift).astimezone(UTC).isoformat().replace("+00:00", "Z") if shift else moment
        yield {
            "specversion": "1.0",
            "id": name if again == 1 else f"{name}#{again}",
            "source": source,
            "type": event_type,
            "subject": row.series,
            "time": happened,
            "data": {"quantity": row.quantity},
        }


def weeks_until(last: datetime, now: datetime) -> timedelta:
    """Return the whole weeks that bring `last` into the seven days before `now`; weekdays and hours stay."""
    return timedelta(weeks=max((now - last) // timedelta(weeks=1), 0))


def _names(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return list(pq.read_schema(path).names)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def _parquet_rows(path: Path, columns: Columns) -> Iterator[tuple[Any, Any, Any]]:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=_CHUNK_ROWS, columns=list(columns)):
        yield from zip(*(_values(batch.column(name)) for name in columns), strict=True)


def _values(column: Any) -> list[Any]:
    # numpy keeps single precision apart, whose shortest decimal has fewer digits than that of the double.
    if pa.types.is_floating(column.type) and not column.null_count:
        return list(column.to_numpy())
    if pa.types.is_timestamp(column.type):
        return list(column.cast(pa.timestamp("us", column.type.tz), safe=False).to_pylist())
    return list(column.to_pylist())


def _csv_rows(path: Path, columns: Columns) -> Iterator[tuple[Any, Any, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader)]
        places = [header.index(name) for name in columns]
        for cells in reader:
            if cells:
                yield tuple(cells[place] if place < len(cells) else None for place in places)  # type: ignore[misc]


def _series(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    if not text:
        raise ValueError("no series is named")
    return text


def _time(value: Any) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime):
        raise ValueError("there is no time")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _quantity(value: Any) -> Decimal:
    if value is None:
        raise ValueError("there is no quantity")
    number = Decimal(str(value).strip())
    if isinstance(value, float | np.floating) and number.is_finite():
        number = round_to(number, PLACES) if number.as_tuple().exponent < -PLACES else number  # type: ignore[operator]
    try:
        return Decimal(read_quantity(number))
    except BadQuantity as error:
        raise ValueError(f"the quantity {error}") from error
