"""Downloads of imports: what was wrong, what would change, and files to begin with."""

import io
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

import orjson

from consumption_cs.lib.csv_files import write_rows
from usage.calc.import_reasons import row_reason
from usage.models import BadRow, ImportChange

TEMPLATE_COLUMNS = (
    "id", "source", "time", "account", "meter", "quantity", "workflow", "outcome", "success", "attempt",
    "environment", "region",
)  # fmt: skip
_ERROR = ("line", "reason", "what_to_do", "detail", "begins_with")
_CHANGE = (
    "account", "name", "meter", "currency", "from", "until", "new_events", "known_events", "events_taken_back",
    "quantity_now", "quantity_after", "spend_now", "spend_after", "difference", "adjustment_of_closed_periods",
)  # fmt: skip


def errors_csv(rows: Iterable[BadRow]) -> bytes:
    """Return the bad rows that were kept."""
    return write_rows(_ERROR, (_error(row) for row in rows))


def _error(row: BadRow) -> list[object]:
    reason = row_reason(row.code)
    return [row.line, reason.title, reason.advice, row.detail, row.excerpt]


def changes_csv(rows: Iterable[ImportChange]) -> bytes:
    """Return the preview; `until` is the first day after the billing periods that are compared."""
    return write_rows(_CHANGE, (_change(row) for row in rows))


def _change(row: ImportChange) -> list[object]:
    difference = None if row.spend_after is None else row.spend_after - (row.spend_before or Decimal(0))
    return [
        row.account.key, row.account.name, row.meter.name, row.currency, row.starts_on, row.ends_on, row.rows_new,
        row.rows_known, row.rows_voided, f"{row.quantity_before.normalize():f}", f"{row.quantity_after.normalize():f}",
        row.spend_before, row.spend_after, difference, row.adjustment,
    ]  # fmt: skip


def _sample(now: datetime, account: str, meter: str) -> dict[str, object]:
    at = (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": "call-0001", "source": "backfill", "time": at, "account": account, "meter": meter, "quantity": 12,
        "workflow": "invoice-ocr", "outcome": 1, "success": "true", "attempt": 1, "environment": "production",
        "region": "eu",
    }  # fmt: skip


def template_csv(now: datetime, account: str, meter: str, event_type: str) -> bytes:
    """Return a file with every column and one row to replace."""
    sample = _sample(now, account, meter)
    return write_rows(TEMPLATE_COLUMNS, [[sample[name] for name in TEMPLATE_COLUMNS]])


def template_ndjson(now: datetime, account: str, meter: str, event_type: str) -> bytes:
    """Return one CloudEvent on one line."""
    sample = _sample(now, account, meter)
    measures = ("quantity", "workflow", "outcome", "attempt", "environment", "region")
    data = {name: sample[name] for name in measures} | {"success": True}
    names = {"specversion": "1.0", "id": sample["id"], "source": sample["source"], "type": event_type}
    return orjson.dumps({**names, "subject": account, "time": sample["time"], "data": data}) + b"\n"


def template_parquet(now: datetime, account: str, meter: str, event_type: str) -> bytes:
    """Return a Parquet file with typed columns and one row to replace."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: [value] for name, value in _sample(now, account, meter).items()}
    columns["time"] = [now - timedelta(days=1)]
    columns["quantity"] = [Decimal(12)]
    columns["success"] = [True]
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()
