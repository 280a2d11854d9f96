"""Imports for tests: made, uploaded and taken through their steps without a worker."""

import csv
import gzip
import io
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts.models import Account, Organization
from consumption_cs.lib.tenancy import Viewer, enter, leave
from tests.factories import staff_of
from usage.actions.imports import create, files, work
from usage.models import UsageImport

COLUMNS = ("id", "source", "time", "account", "meter", "quantity", "workflow", "success")


def csv_file(rows: Iterable[dict[str, Any]], columns: Iterable[str] = COLUMNS) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(columns), restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def ndjson_file(events: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def parquet_file(columns: dict[str, Any], **options: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **options)
    return out.getvalue()


def row(number: int | str, at: datetime, account: str = "northwind", **fields: Any) -> dict[str, Any]:
    made = {"id": f"e{number}", "source": "/old", "time": at.isoformat().replace("+00:00", "Z")}
    return made | {"account": account, "meter": "api.call", "quantity": "2"} | fields


def make_import(
    organization: Organization, content: bytes, kind: str = "csv", viewer: Viewer | None = None, **fields: Any
) -> UsageImport:
    """An import with its file."""
    viewer = viewer or staff_of(organization)
    enter(viewer)
    one = create.create_import(viewer, create.NewImport(kind, "usage." + kind, **fields))
    files.append(one, 0, io.BytesIO(content).read, timezone.now(), is_last=True)
    return one


def finish(one: UsageImport) -> UsageImport:
    """Do what a worker does until there is nothing left; then read the row again."""
    while work.work(one.organization_id, one.pk, timezone.now, seconds=60):
        pass
    enter(Viewer(one.organization_id))
    one.refresh_from_db()
    return one


def validated(organization: Organization, content: bytes, kind: str = "csv", **fields: Any) -> UsageImport:
    """An import that was checked."""
    one = make_import(organization, content, kind, **fields)
    create.start_validation(staff_of(organization), one, timezone.now())
    return finish(one)


def closed(one: UsageImport, **options: Any) -> UsageImport:
    """The import once it is closed."""
    viewer = Viewer(one.organization_id, None, "admin")
    enter(viewer)
    create.start_closing(viewer, one, timezone.now(), **options)
    return finish(one)


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def finish_by_id(account: Account, import_id: str) -> None:
    """Do what a worker does, and leave no tenant's rows in sight."""
    while work.work(account.organization_id, UUID(import_id), timezone.now, seconds=60):
        pass
    leave()
