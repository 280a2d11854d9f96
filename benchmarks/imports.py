"""How fast imports go: a million rows of CSV and of Parquet, checked, previewed and closed by one worker.

    python -m benchmarks.imports [--json] [--rows 1000000]

The worker's steps run in this process on a private PostgreSQL, as a task runs them; `peak_mib` is what the process
needed at most above what it had when it began. The exit status is 1 when a limit is missed.
"""

import argparse
import csv
import io
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psutil

from benchmarks.harness import Json, running_stack, say, setup_django

ACCOUNTS = 200
DAYS = 30
LIMITS = {"validate_rows_per_s": 15_000, "preview_s": 30, "close_rows_per_s": 15_000, "peak_mib": 300}
COLUMNS = ("id", "source", "time", "account", "meter", "quantity", "workflow", "outcome", "success", "model")


def rows_of(count: int, now: datetime, kind: str) -> Iterator[tuple[Any, ...]]:
    """Rows of a month of a few hundred customers, in the order of their time, as a warehouse writes them."""
    pick = random.Random(11)  # noqa: S311 - test data
    start = now - timedelta(days=DAYS)
    for number in range(count):
        at = start + timedelta(seconds=number * DAYS * 86_400 // count)
        time_of = at if kind == "parquet" else at.strftime("%Y-%m-%dT%H:%M:%SZ")
        yield (
            f"{kind}-{number:09d}", "/warehouse", time_of, f"cust-{pick.randrange(ACCOUNTS)}", "llm.tokens",
            pick.randrange(1, 20_000), f"workflow-{pick.randrange(3)}", 1, pick.random() < 0.95, "large-2",
        )  # fmt: skip


def csv_file(count: int, now: datetime) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(rows_of(count, now, "csv"))
    return out.getvalue().encode()


def parquet_file(count: int, now: datetime) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = zip(*rows_of(count, now, "parquet"), strict=True)
    table = pa.table(dict(zip(COLUMNS, map(list, columns), strict=True)))
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=100_000)
    return out.getvalue()


class Peak:
    """The most memory that this process has while the block lasts, above what it had at its start, in MiB."""

    def __enter__(self) -> "Peak":
        self._process, self._stop = psutil.Process(), threading.Event()
        self.start = self.most = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.most = max(self.most, self._process.memory_info().rss)

    @property
    def mib(self) -> float:
        return (self.most - self.start) / 1024 / 1024


def prepare() -> UUID:
    """An organization with customers, a meter and a graduated price."""
    from django.db import transaction

    from tests.factories import make_account, make_meter, make_organization, make_price

    tiers = [{"up_to": "1000000", "unit": "0.0002"}, {"unit": "0.0001"}]
    with transaction.atomic():
        organization = make_organization("Benchmark")
        for number in range(ACCOUNTS):
            make_account(organization, name=f"Customer {number}", key=f"cust-{number}", timezone="America/New_York")
        meter = make_meter(organization, "llm.tokens")
        make_price(meter, terms={"model": "graduated", "params": {"tiers": tiers}})
    return organization.pk


class Import:
    """One import on its way, each step timed."""

    def __init__(self, organization_id: UUID, kind: str, content: bytes) -> None:
        from consumption_cs.lib.tenancy import Viewer, act_as
        from usage.actions.imports import create, files

        self.viewer, self.act_as = Viewer(organization_id, None, "admin"), act_as
        with act_as(self.viewer):
            one = create.create_import(self.viewer, create.NewImport(kind, f"benchmark.{kind}"))
            files.append(one, 0, io.BytesIO(content).read, datetime.now(UTC), is_last=True)
        self.id = one.pk

    def begin(self, act: Callable[..., None]) -> None:
        from usage.actions.imports import create

        with self.act_as(self.viewer):
            one = create.held(self.viewer, self.id)
            act(self.viewer, one, datetime.now(UTC))

    def work(self) -> dict[str, float]:
        """Take it as far as it goes; the seconds of each step."""
        from usage.actions.imports import work

        run = work._Run(self.viewer.organization_id, self.id, lambda: datetime.now(UTC))
        spent: dict[str, float] = {}
        is_more, step = True, self.look().step
        while is_more:
            started = time.perf_counter()
            is_more = run.step()
            spent[step] = spent.get(step, 0.0) + time.perf_counter() - started
            step = self.look().step if is_more else ""
        return spent

    def look(self) -> Any:
        from usage.models import UsageImport

        with self.act_as(self.viewer):
            return UsageImport.objects.get(pk=self.id)


def run(organization_id: UUID, kind: str, content: bytes, rows: int) -> Json:
    """One file from the upload to the close."""
    from usage.actions.imports import create

    started = time.perf_counter()
    one = Import(organization_id, kind, content)
    upload = time.perf_counter() - started
    with Peak() as peak:
        one.begin(create.start_validation)
        checked = one.work()
        seen = one.look()
        if (seen.state, seen.rows_new) != ("ready", rows):
            raise RuntimeError(f"{seen.state}: {seen.rows_new} of {rows} rows; {seen.problem} {seen.reasons}")
        one.begin(create.start_closing)
        closed = one.work()
    if one.look().state != "closed":
        raise RuntimeError(one.look().problem)
    return {
        "mib": round(len(content) / 1024 / 1024, 1),
        "upload_s": round(upload, 2),
        "validate_rows_per_s": round(rows / (checked["rows"] + checked["sum"])),
        "preview_s": round(checked["preview"], 2),
        "close_s": round(sum(closed.values()), 2),
        "close_rows_per_s": round(rows / closed["rows"]),
        "peak_mib": round(peak.mib, 1),
    }


def measure(rows: int, *, quiet: bool = False) -> Json:
    """The figures of both kinds of files."""
    now = datetime.now(UTC).replace(microsecond=0)
    with running_stack():
        setup_django()
        organization_id = prepare()
        figures: Json = {"rows": rows}
        for kind, make in (("csv", csv_file), ("parquet", parquet_file)):
            say(f"making {rows:,} rows of {kind}", quiet=quiet)
            content = make(rows, now)
            say("importing", quiet=quiet)
            figures[kind] = run(organization_id, kind, content, rows)
            say(str(figures[kind]), quiet=quiet)
    figures["limits"] = LIMITS
    figures["missed"] = [
        f"{kind} {name}" for kind in ("csv", "parquet") for name, limit in LIMITS.items()
        if (figures[kind][name] < limit if name.endswith("per_s") else figures[kind][name] > limit)
    ]  # fmt: skip
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print only JSON on standard output")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    figures = measure(options.rows, quiet=options.json)
    if options.json:
        print(json.dumps(figures))
    else:
        for kind in ("csv", "parquet"):
            for name, value in figures[kind].items():
                limit = f"   limit {LIMITS[name]:,}" if name in LIMITS else ""
                print(f"{kind:8} {name:22} {value:>12,}{limit}")
    sys.exit(1 if figures["missed"] else 0)


if __name__ == "__main__":
    main()
